//! Groups of devices: a fleet that is granted an application in one call.

use crate::{Timestamp, pattern};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most devices of one request.
pub const MOST_DEVICES: usize = 100_000;

/// A group as it is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("examples" = [{ "group": "fleet-north", "name": "Vehicles of the northern depot" }]))]
pub struct GroupRecord {
    /// Its id.
    #[schemars(regex(pattern = pattern::SLUG))]
    pub group: String,
    /// Its name.
    #[schemars(regex(pattern = pattern::TEXT), length(max = 253))]
    pub name: Option<String>,
}

/// A group as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Group {
    /// What was made.
    #[serde(flatten)]
    pub record: GroupRecord,
    /// How many devices it has.
    pub members: u64,
    /// Counts its changes.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Devices that join or leave a group: all of them, or none if one is unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("examples" = [{ "devices": ["001010000000001", "iccid:8988211000000000018"] }]))]
pub struct MembersRecord {
    /// The devices, each by any of its identities.
    #[schemars(length(min = 1, max = MOST_DEVICES), inner(regex(pattern = pattern::IDENTITY), length(max = 260)))]
    pub devices: Vec<String>,
}

/// What became of a change of members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MembersChange {
    /// How many joined or left; the others were in, or out, before.
    pub changed: u64,
    /// How many the group has now.
    pub members: u64,
}

/// A device of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Member {
    /// The device's primary identity.
    pub device: String,
}
