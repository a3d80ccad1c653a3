//! Key management: which keys encrypt which. Never a key.

use crate::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What encrypts what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct KmsStatus {
    /// The key-encryption key in use.
    pub kek: String,
    /// The data keys.
    pub data_keys: Vec<DataKey>,
}

/// A data key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DataKey {
    /// Its number.
    pub id: u32,
    /// The key-encryption key that it is under.
    pub kek: String,
    /// How many subscriber keys are under it.
    pub records: u64,
    /// When it was made.
    pub created_at: Timestamp,
}

/// How a rotation is begun.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("examples" = [{ "full": true }]))]
pub struct RotationRecord {
    /// Every subscriber key is encrypted anew under a new data key; otherwise only the data keys under a new KEK.
    #[serde(default)]
    pub full: bool,
}

/// What a rotation is at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Rotation {
    /// Whether one is under way.
    pub running: bool,
    /// Subscriber keys that are encrypted anew.
    pub done: u64,
    /// All there are.
    pub total: u64,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}
