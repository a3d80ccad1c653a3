//! Tokens that are live at an Authentication Server (SPEC T).

use super::APP;
use crate::{
    Answer, CliCommand, Operation, Parameter, Timestamp, Values,
    parameter::{self, LIMIT},
    pattern,
    schema::of,
};
use schemars::JsonSchema;
use serde::Serialize;

/// A live token; never its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Token {
    /// The token id: `base64(RAND)@domain`.
    pub id: String,
    /// The device's primary identity, `kind:value`.
    pub device: String,
    /// What the device called itself when it bootstrapped.
    pub user_name: String,
    /// The key schema.
    pub schema: String,
    /// The algorithm of the bootstrap.
    pub algorithm: String,
    /// The device's epoch at the bootstrap.
    pub epoch: u64,
    /// Bootstraps of the device up to this one.
    pub counter: u64,
    /// When it was bootstrapped.
    pub bootstrapped: Timestamp,
    /// When it expires.
    pub expires: Timestamp,
    /// The applications that it may be used with, as far as this server has asked.
    pub apps: Vec<TokenApp>,
    /// Whether the device may use others besides.
    pub more: bool,
}

/// An application that a token may be used with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TokenApp {
    /// The application's id.
    pub app: String,
    /// Until when.
    pub until: Timestamp,
}

/// What became of a revocation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Revoked {
    /// The token id.
    pub id: String,
    /// Whether it was live until now; one that had ended before is no error.
    pub ended: bool,
}

/// `?device=`. Nobody is asked here which device has an identity: it must be the one that the token was made for.
const DEVICE: Parameter = Parameter {
    name: "device",
    description: "A device by its primary identity, its kind in front unless that is an IMSI or IMPI.",
    values: Values::Text { pattern: pattern::KNOWN_IDENTITY, most: 260 },
    example: "imsi:001010000000001",
};
/// `{token}`.
const TOKEN: Parameter = Parameter {
    name: "token",
    description: "A token id, `base64(RAND)@domain`.",
    values: Values::Text { pattern: pattern::TOKEN_ID, most: 109 },
    example: "IyMjIyMjIyMjIyMjIyMjIw==@rs.as.example",
};
const AFTER: Parameter = parameter::after(TOKEN.values, TOKEN.example);
const ID: &[Parameter] = &[TOKEN];

/// What can be done with tokens.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        id: "tokens.list",
        path: "/v1/tokens",
        summary: "The live tokens, of a device or with a right for an application, a page at a time",
        details: "Of several Resource Servers, the tokens of devices of those that the administrator is one of; what one has \
                  that does not answer is left out, unless a device of it is asked for.",
        query: &[DEVICE, APP, AFTER, LIMIT],
        answers: &[Answer::page("tokens", of::<Token>())],
        problems: &[422],
        cli: CliCommand {
            command: &["token", "list"],
            columns: &["id", "device", "schema", "expires"],
            example: "obf token list --device 001010000000001",
            ..CliCommand::NONE
        },
        ..Operation::GET
    },
    Operation {
        id: "tokens.show",
        path: "/v1/tokens/{token}",
        summary: "One token; never its key",
        details: "For administrators of the Resource Server whose device has it: its id's domain says which.",
        path_parameters: ID,
        answers: &[Answer::json(of::<Token>())],
        cli: CliCommand { command: &["token", "show"], ..CliCommand::NONE },
        ..Operation::GET
    },
    Operation {
        id: "tokens.revoke",
        path: "/v1/tokens/{token}:revoke",
        summary: "End one token: every application that has a key of it is told at once",
        details: "Once more, it changes nothing. For administrators of the Resource Server whose device has it: its id's \
                  domain says which.",
        path_parameters: ID,
        answers: &[Answer::json(of::<Revoked>())],
        idempotent: true,
        cli: CliCommand { command: &["token", "revoke"], done: "revoked", ..CliCommand::NONE },
        ..Operation::POST
    },
];
