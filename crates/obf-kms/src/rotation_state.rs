//! Where a rotation stands, as the store keeps it.

use obf_types::UnixTime;
use serde::{Deserialize, Serialize};

/// Where a rotation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Under way; after a crash the next node to start goes on with it.
    Running,
    /// Everything is under the current keys.
    Done,
}

/// A rotation, as it is noted and shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// Whether subscriber keys are wrapped anew too.
    pub full: bool,
    /// Where it stands.
    pub state: State,
    /// The key-encryption key that everything goes under.
    pub kek: String,
    /// Data keys that were wrapped under it anew.
    pub data_keys_done: u64,
    /// Subscriber keys there were when it began.
    pub records_total: u64,
    /// Subscriber keys wrapped anew so far.
    pub records_done: u64,
    /// When it began, seconds since 1970.
    pub started_at: u64,
    /// When it noted something last.
    pub updated_at: u64,
    /// When it was done.
    pub finished_at: Option<u64>,
    /// Why it does not get on at present, if it does not.
    pub problem: Option<String>,
    /// Data keys that are to be replaced.
    pub(crate) old: Vec<u32>,
    /// The device that was reached.
    pub(crate) after: Option<i64>,
    /// Passes over all devices so far.
    pub(crate) pass: u32,
}

impl Rotation {
    pub(crate) fn to_document(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// When it began.
    pub const fn started(&self) -> UnixTime {
        UnixTime(self.started_at)
    }
}

/// The data keys that a rotation replaces: nothing new goes under them.
pub(crate) fn retired(document: &str) -> Vec<u32> {
    serde_json::from_str::<Rotation>(document).map(|rotation| rotation.old).unwrap_or_default()
}
