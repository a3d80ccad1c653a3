//! Providers, Resource Servers and application providers (SPEC C3, C4).

use super::{PROVIDER, STATE, State, slug};
use crate::{
    Access, Answer, Body, CliCommand, Operation, Parameter, Timestamp, Values,
    parameter::{AFTER_ID, AFTER_NAME, LIMIT},
    pattern,
    schema::of,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A Resource Server provider as it is registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("examples" = [{ "provider": "example-mno", "name": "Example Mobile", "kind": "mno",
    "domain": "as.example", "contact": "noc@example" }]))]
pub struct ProviderRecord {
    /// Its id.
    #[schemars(regex(pattern = pattern::SLUG))]
    pub provider: String,
    /// Its name.
    #[schemars(regex(pattern = pattern::TEXT), length(max = 253))]
    pub name: String,
    /// What it is.
    pub kind: ProviderKind,
    /// The domain of its Authentication Server.
    #[schemars(regex(pattern = pattern::DOMAIN), length(max = 84))]
    pub domain: Option<String>,
    /// How to reach it: free text.
    #[schemars(regex(pattern = pattern::TEXT), length(max = 253))]
    pub contact: Option<String>,
}

/// A Resource Server as it is registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("examples" = [{ "resource_server": "rs.as.example", "provider": "example-mno",
    "address": "192.0.2.7:2083" }]))]
pub struct ResourceServerRecord {
    /// Its id: its lower-case full domain name.
    #[schemars(regex(pattern = pattern::FQDN), length(max = 241))]
    pub resource_server: String,
    /// Whose it is: a registered provider's id.
    #[schemars(regex(pattern = pattern::SLUG))]
    pub provider: String,
    /// Where it is reached on RPR: free text, usually `host:port`.
    #[schemars(regex(pattern = pattern::TEXT), length(max = 253))]
    pub address: Option<String>,
}

/// An application provider as it is registered, by itself or by an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("examples" = [{ "application_provider": "state-tracking", "name": "State Tracking Authority",
    "contact": "ops@track.example" }]))]
pub struct ApplicationProviderRecord {
    /// Its id.
    #[schemars(regex(pattern = pattern::SLUG))]
    pub application_provider: String,
    /// Its name.
    #[schemars(regex(pattern = pattern::TEXT), length(max = 253))]
    pub name: String,
    /// How to reach it: free text.
    #[schemars(regex(pattern = pattern::TEXT), length(max = 253))]
    pub contact: String,
}

/// A stakeholder as registered: its record, and what is kept beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Registered{R}")]
pub struct Registered<R> {
    /// What was registered.
    #[serde(flatten)]
    pub record: R,
    /// Its state.
    pub state: State,
    /// Rises by one with each change.
    pub version: u64,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// What a provider is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderKind {
    /// A mobile network operator.
    Mno,
    /// An IoT service provider.
    IotSp,
}

/// An application provider that has registered itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Applicant {
    /// The application provider, not yet approved.
    #[serde(flatten)]
    pub provider: Registered<ApplicationProviderRecord>,
    /// Its administrator: `ap-` and its id.
    pub administrator: String,
    /// The token of its administrator, told this once. It is valid from the approval on; only its SHA-256 is kept.
    pub token: String,
}

/// `{resource_server}`.
const RESOURCE_SERVER: Parameter = Parameter {
    name: "resource_server",
    description: "A Resource Server's id: its lower-case full domain name.",
    values: Values::Text { pattern: pattern::FQDN, most: 241 },
    example: "rs.as.example",
};
const APPLICATION_PROVIDER: Parameter =
    slug("application_provider", "An application provider's id.", "state-tracking");

/// Listing, adding, showing, changing, removing and the states of one kind of record.
macro_rules! kept {
    (
        $tag:literal, $rows:literal, $path:literal, $noun:literal, $id:literal, $parameter:expr, $record:ty,
        after $after:expr, filters [$($filter:expr),*], columns $columns:expr, example $example:literal,
        also [$($also:expr),*]
    ) => {
        &[
            Operation {
                id: concat!($tag, ".list"),
                path: $path,
                summary: "All of them, a page at a time",
                query: &[$after, LIMIT, STATE, $($filter),*],
                answers: &[Answer::page($rows, of::<Registered<$record>>())],
                cli: CliCommand { command: &[$noun, "list"], columns: $columns, ..CliCommand::NONE },
                ..Operation::GET
            },
            Operation {
                id: concat!($tag, ".add"),
                path: $path,
                summary: "Register one, active at once",
                body: Body::Json(of::<$record>()),
                answers: &[
                    Answer::created(of::<Registered<$record>>()).versioned(),
                    Answer::unchanged(of::<Registered<$record>>()).versioned(),
                ],
                problems: &[404],
                cli: CliCommand { command: &[$noun, "add"], done: "added", example: $example, ..CliCommand::NONE },
                ..Operation::POST
            },
            Operation {
                id: concat!($tag, ".show"),
                path: concat!($path, "/", $id),
                summary: "One of them",
                path_parameters: &[$parameter],
                answers: &[Answer::json(of::<Registered<$record>>()).versioned()],
                cli: CliCommand { command: &[$noun, "show"], ..CliCommand::NONE },
                ..Operation::GET
            },
            Operation {
                id: concat!($tag, ".set"),
                path: concat!($path, "/", $id),
                summary: "Change what is registered of it",
                path_parameters: &[$parameter],
                body: Body::MergePatch(of::<$record>(), &[$parameter.name]),
                answers: &[Answer::json(of::<Registered<$record>>()).versioned()],
                cli: CliCommand { command: &[$noun, "set"], done: "changed", ..CliCommand::NONE },
                ..Operation::PATCH
            },
            Operation {
                id: concat!($tag, ".remove"),
                path: concat!($path, "/", $id),
                summary: "Forget one that nothing refers to",
                path_parameters: &[$parameter],
                cli: CliCommand { command: &[$noun, "remove"], done: "removed", ..CliCommand::NONE },
                ..Operation::REMOVE
            },
            Operation {
                id: concat!($tag, ".suspend"),
                path: concat!($path, "/", $id, ":suspend"),
                summary: "Out of use until it is resumed",
                path_parameters: &[$parameter],
                answers: &[Answer::json(of::<Registered<$record>>()).versioned()],
                cli: CliCommand { command: &[$noun, "suspend"], done: "suspended", ..CliCommand::NONE },
                ..Operation::ACT
            },
            Operation {
                id: concat!($tag, ".resume"),
                path: concat!($path, "/", $id, ":resume"),
                summary: "In use again",
                path_parameters: &[$parameter],
                answers: &[Answer::json(of::<Registered<$record>>()).versioned()],
                cli: CliCommand { command: &[$noun, "resume"], done: "resumed", ..CliCommand::NONE },
                ..Operation::ACT
            },
            Operation {
                id: concat!($tag, ".retire"),
                path: concat!($path, "/", $id, ":retire"),
                summary: "Out of use for good",
                path_parameters: &[$parameter],
                answers: &[Answer::json(of::<Registered<$record>>()).versioned()],
                cli: CliCommand { command: &[$noun, "retire"], done: "retired", ..CliCommand::NONE },
                ..Operation::ACT
            },
            $($also),*
        ]
    };
}

/// What can be done with Resource Server providers.
pub const PROVIDERS: &[Operation] = kept!(
    "providers", "providers", "/v1/providers", "provider", "{provider}", PROVIDER, ProviderRecord,
    after AFTER_ID, filters [], columns &["provider", "name", "kind", "state"],
    example "obf provider add example-mno --name 'Example Mobile' --kind mno --domain as.example", also []
);

/// What can be done with Resource Servers.
pub const RESOURCE_SERVERS: &[Operation] = kept!(
    "resource-servers", "resource-servers", "/v1/resource-servers", "resource-server", "{resource_server}",
    RESOURCE_SERVER, ResourceServerRecord,
    after AFTER_NAME, filters [PROVIDER], columns &["resource_server", "provider", "address", "state"],
    example "obf resource-server add rs.as.example --provider example-mno --address 192.0.2.7:2083", also []
);

/// What can be done with application providers.
pub const APPLICATION_PROVIDERS: &[Operation] = kept!(
    "application-providers", "application-providers", "/v1/application-providers", "application-provider",
    "{application_provider}", APPLICATION_PROVIDER, ApplicationProviderRecord,
    after AFTER_ID, filters [], columns &["application_provider", "name", "contact", "state"],
    example "obf application-provider add state-tracking --name 'State Tracking' --contact ops@track.example",
    also [
        Operation {
            id: "application-providers.register",
            path: "/v1/application-providers:register",
            summary: "Apply, as an application provider, for registration",
            details: "Needs no credential. Until an operator approves, the token that is told opens nothing.",
            body: Body::Json(of::<ApplicationProviderRecord>()),
            answers: &[Answer::created(of::<Applicant>()).versioned()],
            access: Access::Anyone,
            secret: true,
            cli: CliCommand { command: &["application-provider", "register"], ..CliCommand::NONE },
            ..Operation::POST
        },
        Operation {
            id: "application-providers.approve",
            path: "/v1/application-providers/{application_provider}:approve",
            summary: "Approve one that has registered itself: its token is valid from now on",
            path_parameters: &[APPLICATION_PROVIDER],
            answers: &[Answer::json(of::<Registered<ApplicationProviderRecord>>()).versioned()],
            cli: CliCommand { command: &["application-provider", "approve"], done: "approved", ..CliCommand::NONE },
            ..Operation::ACT
        }
    ]
);
