//! Administrators and their roles.

use super::State;
use crate::{Role, Timestamp, pattern};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An administrator as it is registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("examples" = [{ "administrator": "auditor-1", "role": "auditor" }]))]
pub struct AdministratorRecord {
    /// Its id.
    #[schemars(regex(pattern = pattern::SLUG))]
    pub administrator: String,
    /// What it may do.
    pub role: Role,
    /// The application provider whose applications it may see: needed for the role `application-provider`, and for no
    /// other.
    #[schemars(regex(pattern = pattern::SLUG))]
    pub application_provider: Option<String>,
    /// A dNSName of the client certificate that it may come with instead of its token.
    #[schemars(regex(pattern = pattern::FQDN), length(max = 241))]
    pub cert_name: Option<String>,
}

/// An administrator as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Administrator {
    /// What was registered.
    #[serde(flatten)]
    pub record: AdministratorRecord,
    /// Its state.
    pub state: State,
    /// Counts its changes.
    pub version: u64,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// An administrator with its new token, which is told this once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AdministratorToken {
    /// The administrator.
    #[serde(flatten)]
    pub administrator: Administrator,
    /// Its token, for `Authorization: Bearer`. Only its SHA-256 is kept.
    pub token: String,
}
