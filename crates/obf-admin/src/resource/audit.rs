//! The audit: who did what, when and why. Append-only, hash-chained.

use crate::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// An act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AuditRow {
    /// Its number.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Who: an administrator, or an Authentication Server as `domain#node`.
    pub actor: String,
    /// What: the id of an operation, `vector` or `resynchronisation`.
    pub action: String,
    /// To what: `kind:id`.
    pub object: String,
    /// Why, as the actor said.
    pub reason: String,
    /// What else is to be known.
    pub detail: String,
}

/// Whether the chain holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AuditVerified {
    /// Whether every record is there and as it was written.
    pub intact: bool,
    /// Records that were checked.
    pub records: u64,
    /// Records behind the last seal: written within the last second.
    pub unsealed: u64,
    /// The first that is not as it was, and what is wrong with it.
    pub fault: Option<String>,
}
