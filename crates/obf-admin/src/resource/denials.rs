//! Denials (SPEC C11): which device, or which group, may not use which application, whatever it is granted.

use super::{APP, DEVICE, GROUP};
use crate::{
    Answer, Body, CliCommand, Operation, Parameter, Timestamp, Values,
    parameter::{AFTER_NUMBER, LIMIT},
    pattern,
    schema::of,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A denial as it is made: of exactly one device or group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("examples" = [{ "device": "001010000000001", "app": "track.example" }]))]
pub struct DenialRecord {
    /// The device, by any of its identities.
    #[schemars(regex(pattern = pattern::IDENTITY), length(max = 260))]
    pub device: Option<String>,
    /// The group whose devices may not.
    #[schemars(regex(pattern = pattern::SLUG))]
    pub group: Option<String>,
    /// The application's id.
    #[schemars(regex(pattern = pattern::FQDN), length(max = 241))]
    pub app: String,
    /// When it is over; then what is granted applies again.
    pub until: Option<Timestamp>,
}

/// A denial as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Denial {
    /// Its number.
    pub denial: u64,
    /// The device's primary identity, if it is of a device.
    pub device: Option<String>,
    /// The group, if it is of a group.
    pub group: Option<String>,
    /// The application.
    pub app: String,
    /// When it is over, if ever.
    pub until: Option<Timestamp>,
    /// Whether it is over, and so denies nothing.
    pub over: bool,
    /// The `Obf-Reason` that it was made with.
    pub reason: Option<String>,
    /// Rises by one with each change.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// `{denial}`.
const DENIAL: Parameter = Parameter {
    name: "denial",
    description: "The number of a denial.",
    values: Values::Number { least: 1, most: i64::MAX as u64 },
    example: "1",
};
const ID: &[Parameter] = &[DENIAL];

/// What can be done with denials.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        id: "denials.list",
        path: "/v1/denials",
        summary: "The denials there are, of a device itself, of a group or for an application",
        query: &[AFTER_NUMBER, LIMIT, DEVICE, GROUP, APP],
        answers: &[Answer::page("denials", of::<Denial>())],
        problems: &[404, 409],
        cli: CliCommand {
            command: &["denial", "list"],
            columns: &["denial", "device", "group", "app", "until", "reason"],
            ..CliCommand::NONE
        },
        ..Operation::GET
    },
    Operation {
        id: "denials.add",
        path: "/v1/denials",
        summary: "Deny a device, or a group of devices, an application: keys in use end at once",
        details: "It stands over every grant. One that is there already gets this end and reason.",
        body: Body::Json(of::<DenialRecord>()),
        answers: &[Answer::created(of::<Denial>()).versioned()],
        problems: &[404, 409],
        cli: CliCommand {
            command: &["denial", "add"],
            example: "obf denial add --device 001010000000001 --app track.example --reason 'ticket 4711: stolen'",
            flags: true,
            ..CliCommand::NONE
        },
        ..Operation::POST
    },
    Operation {
        id: "denials.show",
        path: "/v1/denials/{denial}",
        summary: "One denial",
        path_parameters: ID,
        answers: &[Answer::json(of::<Denial>()).versioned()],
        problems: &[404],
        cli: CliCommand { command: &["denial", "show"], ..CliCommand::NONE },
        ..Operation::GET
    },
    Operation {
        id: "denials.remove",
        path: "/v1/denials/{denial}",
        summary: "Take a denial back: what is granted applies again at the next fetch",
        path_parameters: ID,
        cli: CliCommand { command: &["denial", "remove"], done: "removed", ..CliCommand::NONE },
        ..Operation::REMOVE
    },
];
