//! Applications (SPEC C4, R5): who may ask for the keys of a device's connection.

use super::{APP, PROVIDER, STATE, State};
use crate::{
    Access, Answer, Body, CliCommand, Operation, Roles, Timestamp,
    parameter::{AFTER_NAME, LIMIT},
    pattern,
    schema::of,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An application as it is registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("examples" = [{
    "app": "track.example", "cert_names": ["track.example"], "protocols": ["http", "tcp"], "ua": ["tls-psk"],
}]))]
pub struct ApplicationRecord {
    /// Its id: the lower-case full domain name that devices connect to.
    #[schemars(regex(pattern = pattern::FQDN), length(max = 241))]
    pub app: String,
    /// The provider whose it is: a registered application provider's id.
    #[schemars(regex(pattern = pattern::SLUG))]
    pub provider: Option<String>,
    /// dNSNames of the certificates that may ask for its keys.
    #[schemars(length(min = 1, max = 64), inner(regex(pattern = pattern::FQDN), length(max = 241)))]
    pub cert_names: Vec<String>,
    /// Application protocols it speaks.
    #[serde(default)]
    #[schemars(length(max = 8))]
    pub protocols: Vec<Protocol>,
    /// Security protocols it speaks on RPA: `tls-psk`, `http-digest`, or a Ua security protocol id (TS 33.220 Annex H)
    /// as 10 hex digits.
    #[schemars(length(min = 1, max = 64), inner(regex(pattern = pattern::UA)))]
    pub ua: Vec<String>,
    /// The longest that a key for it lives, seconds; the grant's or the token's if it is absent.
    #[schemars(range(min = 1, max = 86_400), extend("format" = "seconds"))]
    pub max_lifetime: Option<u32>,
    /// The KYC level that a device's custodian must have: 0 for none, up to 3.
    #[schemars(range(min = 0, max = 3))]
    pub kyc_level: Option<u8>,
    /// Security settings handed to it with every key, at most 2048 octets, as hex digits.
    #[serde(default)]
    #[schemars(regex(pattern = pattern::HEX), length(max = 4096))]
    pub settings: String,
    /// Whether it is told the identity of the device.
    #[serde(default)]
    pub disclose_identity: bool,
}

/// An application as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Application {
    /// What was registered.
    #[serde(flatten)]
    pub record: ApplicationRecord,
    /// Its state.
    pub state: State,
    /// Whether it gets no keys, whatever its state, because its application provider is not active.
    pub withheld: bool,
    /// Rises by one with each change.
    pub version: u64,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// A protocol between device and application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// HTTP.
    Http,
    /// WebSocket.
    Websocket,
    /// MQTT.
    Mqtt,
    /// CoAP.
    Coap,
    /// A protocol of its own on TCP.
    Tcp,
}

const ID: &[crate::Parameter] = &[APP];
const SHOWN: Answer = Answer::json(of::<Application>()).versioned();
const ACT: Operation = Operation { path_parameters: ID, answers: &[SHOWN], ..Operation::ACT };
/// Application providers see their own.
const READERS: Access = Access::Roles(Roles::ALL);

/// What can be done with applications.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        id: "apps.list",
        path: "/v1/apps",
        summary: "All applications, a page at a time",
        query: &[AFTER_NAME, LIMIT, STATE, PROVIDER],
        answers: &[Answer::page("apps", of::<Application>())],
        access: READERS,
        cli: CliCommand {
            command: &["app", "list"],
            columns: &["app", "cert_names", "ua", "state"],
            ..CliCommand::NONE
        },
        ..Operation::GET
    },
    Operation {
        id: "apps.add",
        path: "/v1/apps",
        summary: "Register an application and the certificates that may ask for its keys",
        details: "An application provider's is `registered` until an operator activates it; an operator's is active.",
        body: Body::Json(of::<ApplicationRecord>()),
        answers: &[
            Answer::created(of::<Application>()).versioned(),
            Answer::unchanged(of::<Application>()).versioned(),
        ],
        problems: &[404],
        access: Access::Roles(Roles::APPLICATIONS),
        cli: CliCommand {
            command: &["app", "add"],
            done: "added",
            example: "obf app add track.example --cert-name track.example --ua tls-psk",
            defaults: &[("ua", "tls-psk")],
            ..CliCommand::NONE
        },
        ..Operation::POST
    },
    Operation {
        id: "apps.show",
        path: "/v1/apps/{app}",
        summary: "One application",
        path_parameters: ID,
        answers: &[SHOWN],
        access: READERS,
        cli: CliCommand { command: &["app", "show"], ..CliCommand::NONE },
        ..Operation::GET
    },
    Operation {
        id: "apps.set",
        path: "/v1/apps/{app}",
        summary: "Change what is registered of it; keys in use end if they must",
        path_parameters: ID,
        body: Body::MergePatch(of::<ApplicationRecord>(), &["app"]),
        answers: &[SHOWN],
        cli: CliCommand { command: &["app", "set"], done: "changed", ..CliCommand::NONE },
        ..Operation::PATCH
    },
    Operation {
        id: "apps.remove",
        path: "/v1/apps/{app}",
        summary: "Forget an application and every grant of it",
        path_parameters: ID,
        cli: CliCommand { command: &["app", "remove"], done: "removed", ..CliCommand::NONE },
        ..Operation::REMOVE
    },
    Operation {
        id: "apps.activate",
        path: "/v1/apps/{app}:activate",
        summary: "Give keys for an application that was registered by its provider",
        cli: CliCommand { command: &["app", "activate"], done: "activated", ..CliCommand::NONE },
        ..ACT
    },
    Operation {
        id: "apps.suspend",
        path: "/v1/apps/{app}:suspend",
        summary: "Give no more keys for it; those in use end at once",
        cli: CliCommand { command: &["app", "suspend"], done: "suspended", ..CliCommand::NONE },
        ..ACT
    },
    Operation {
        id: "apps.resume",
        path: "/v1/apps/{app}:resume",
        summary: "Give keys for it again",
        cli: CliCommand { command: &["app", "resume"], done: "resumed", ..CliCommand::NONE },
        ..ACT
    },
    Operation {
        id: "apps.retire",
        path: "/v1/apps/{app}:retire",
        summary: "Give keys for it never again",
        cli: CliCommand { command: &["app", "retire"], done: "retired", ..CliCommand::NONE },
        ..ACT
    },
];
