//! Groups of devices: a fleet that is granted an application in one call.

use super::GROUP;
use crate::{
    Answer, Body, CliCommand, Operation, Timestamp,
    parameter::{AFTER_ID, AFTER_NUMBER, LIMIT},
    pattern,
    schema::of,
};
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
    /// Rises by one with each change.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
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

const ID: &[crate::Parameter] = &[GROUP];
const SHOWN: Answer = Answer::json(of::<Group>()).versioned();

/// What can be done with groups.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        id: "groups.list",
        path: "/v1/groups",
        summary: "All groups, a page at a time",
        query: &[AFTER_ID, LIMIT],
        answers: &[Answer::page("groups", of::<Group>())],
        cli: CliCommand {
            command: &["group", "list"],
            columns: &["group", "name", "members"],
            ..CliCommand::NONE
        },
        ..Operation::GET
    },
    Operation {
        id: "groups.add",
        path: "/v1/groups",
        summary: "Make a group",
        body: Body::Json(of::<GroupRecord>()),
        answers: &[Answer::created(of::<Group>()).versioned(), Answer::unchanged(of::<Group>()).versioned()],
        cli: CliCommand {
            command: &["group", "add"],
            done: "added",
            example: "obf group add fleet-north --name 'Vehicles of the northern depot'",
            ..CliCommand::NONE
        },
        ..Operation::POST
    },
    Operation {
        id: "groups.show",
        path: "/v1/groups/{group}",
        summary: "One group",
        path_parameters: ID,
        answers: &[SHOWN],
        cli: CliCommand { command: &["group", "show"], ..CliCommand::NONE },
        ..Operation::GET
    },
    Operation {
        id: "groups.set",
        path: "/v1/groups/{group}",
        summary: "Call it otherwise",
        path_parameters: ID,
        body: Body::MergePatch(of::<GroupRecord>(), &["group"]),
        answers: &[SHOWN],
        cli: CliCommand { command: &["group", "set"], done: "changed", ..CliCommand::NONE },
        ..Operation::PATCH
    },
    Operation {
        id: "groups.remove",
        path: "/v1/groups/{group}",
        summary: "Forget a group and its grants; its devices stay",
        path_parameters: ID,
        cli: CliCommand { command: &["group", "remove"], done: "removed", ..CliCommand::NONE },
        ..Operation::REMOVE
    },
    Operation {
        id: "groups.members",
        path: "/v1/groups/{group}/members",
        summary: "The devices of a group, a page at a time",
        path_parameters: ID,
        query: &[AFTER_NUMBER, LIMIT],
        answers: &[Answer::page("members", of::<Member>())],
        cli: CliCommand { command: &["group", "members"], columns: &["device"], ..CliCommand::NONE },
        ..Operation::GET
    },
    Operation {
        id: "groups.join",
        path: "/v1/groups/{group}/members",
        summary: "Put devices into a group, all or none",
        path_parameters: ID,
        body: Body::Json(of::<MembersRecord>()),
        answers: &[Answer::json(of::<MembersChange>())],
        cli: CliCommand {
            command: &["group", "join"],
            example: "obf group join fleet-north --device @devices.txt",
            ..CliCommand::NONE
        },
        ..Operation::POST
    },
    Operation {
        id: "groups.leave",
        path: "/v1/groups/{group}/members",
        summary: "Take devices out of a group, all or none",
        path_parameters: ID,
        body: Body::Json(of::<MembersRecord>()),
        answers: &[Answer::json(of::<MembersChange>())],
        cli: CliCommand { command: &["group", "leave"], ..CliCommand::NONE },
        ..Operation::DELETE
    },
];
