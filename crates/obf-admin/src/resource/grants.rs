//! Grants (SPEC C6, C11, R7): which device, or which group, may use which application. Nothing else is permitted.

use super::{APP, DEVICE, GROUP};
use crate::{
    Access, Answer, Body, CliCommand, Operation, Parameter, Roles, Timestamp, Values,
    parameter::{LIMIT, after},
    pattern,
    schema::of,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A grant as it is made: of exactly one device or group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("examples" = [{ "device": "001010000000001", "app": "track.example", "lifetime": 28800 }]))]
pub struct GrantRecord {
    /// The device, by any of its identities.
    #[schemars(regex(pattern = pattern::IDENTITY), length(max = 260))]
    pub device: Option<String>,
    /// The group whose devices may.
    #[schemars(regex(pattern = pattern::SLUG))]
    pub group: Option<String>,
    /// The application's id.
    #[schemars(regex(pattern = pattern::FQDN), length(max = 241))]
    pub app: String,
    /// The longest that a key under this grant lives, seconds.
    #[schemars(range(min = 1, max = 86_400), extend("format" = "seconds"))]
    pub lifetime: Option<u32>,
    /// When the grant ends.
    pub expires: Option<Timestamp>,
    /// Security settings for this device, instead of the application's: at most 2048 octets, as hex digits.
    #[schemars(regex(pattern = pattern::HEX), length(max = 4096))]
    pub settings: Option<String>,
    /// How long the application may use a key that it has fetched before it asks again, seconds.
    #[schemars(range(min = 1, max = 86_400), extend("format" = "seconds"))]
    pub local_validity: Option<u32>,
    /// The KYC level that the device's custodian needs for this grant, 0 to 3; the higher of it and the application's
    /// decides.
    #[schemars(range(min = 0, max = 3))]
    pub kyc_level: Option<u8>,
}

/// A grant as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Grant {
    /// The device's primary identity, if it is of a device; an application provider is not told it.
    pub device: Option<String>,
    /// The group, if it is of a group.
    pub group: Option<String>,
    /// The application.
    pub app: String,
    /// The longest that a key lives, seconds.
    pub lifetime: Option<u32>,
    /// When the grant ends.
    pub expires: Option<Timestamp>,
    /// Security settings of its own, hex digits.
    pub settings: Option<String>,
    /// How long the application may use a fetched key, seconds.
    pub local_validity: Option<u32>,
    /// The KYC level it needs, if it needs one of its own.
    pub kyc_level: Option<u8>,
}

const AFTER: Parameter = after(
    Values::Text { pattern: pattern::GRANT_CURSOR, most: 267 },
    "device/000000000000001000/track.example",
);
const ADD: &str = "obf grant add --device 001010000000001 --app track.example --lifetime 8h";

/// What can be done with grants.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        id: "grants.list",
        path: "/v1/grants",
        summary: "The grants there are, of a device, of a group or for an application",
        details: "Those of devices first. An application provider names one of its applications.",
        query: &[AFTER, LIMIT, DEVICE, GROUP, APP],
        answers: &[Answer::page("grants", of::<Grant>())],
        problems: &[404, 409],
        access: Access::Roles(Roles::ALL),
        cli: CliCommand {
            command: &["grant", "list"],
            columns: &["device", "group", "app", "lifetime", "local_validity", "kyc_level"],
            ..CliCommand::NONE
        },
        ..Operation::GET
    },
    Operation {
        id: "grants.add",
        path: "/v1/grants",
        summary: "Permit a device, or a group of devices, to use an application",
        details: "A grant that is there already is replaced.",
        body: Body::Json(of::<GrantRecord>()),
        answers: &[Answer::created(of::<Grant>())],
        problems: &[404],
        cli: CliCommand {
            command: &["grant", "add"],
            done: "added",
            example: ADD,
            flags: true,
            defaults: &[("lifetime", "8h")],
            ..CliCommand::NONE
        },
        ..Operation::POST
    },
    Operation {
        id: "grants.remove",
        path: "/v1/grants/{device}/{app}",
        summary: "Take the permission back: keys in use end at once",
        path_parameters: &[DEVICE, APP],
        cli: CliCommand { command: &["grant", "remove"], done: "removed", flags: true, ..CliCommand::NONE },
        ..Operation::DELETE
    },
    Operation {
        id: "grants.remove-group",
        path: "/v1/groups/{group}/grants/{app}",
        summary: "Take the permission of a group back: keys in use end at once",
        path_parameters: &[GROUP, APP],
        cli: CliCommand {
            command: &["grant", "remove-group"],
            done: "removed",
            flags: true,
            ..CliCommand::NONE
        },
        ..Operation::DELETE
    },
];
