//! Applications that asked an Authentication Server for keys.

use crate::{
    Answer, CliCommand, Operation,
    parameter::{AFTER_NAME, LIMIT},
    schema::of,
};
use schemars::JsonSchema;
use serde::Serialize;

/// An application as an Authentication Server node knows it at present.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SeenApp {
    /// The id that was asked for.
    pub app: String,
    /// The Resource Servers that have it registered and in use.
    pub registered_at: Vec<String>,
    /// Why none has: the code of the refusal and its words.
    pub refusal: Option<String>,
    /// Names of certificates that may ask for its keys.
    pub cert_names: Vec<String>,
}

/// What can be done with applications seen: nothing but look.
pub const OPERATIONS: &[Operation] = &[Operation {
    id: "seen-apps.list",
    path: "/v1/seen-apps",
    summary: "The applications that asked this node for keys within the last minute, and what it knows of them",
    details: "Of several Resource Servers, those that the administrator is one of are looked at.",
    query: &[AFTER_NAME, LIMIT],
    answers: &[Answer::page("seen-apps", of::<SeenApp>())],
    cli: CliCommand {
        command: &["app", "seen"],
        columns: &["app", "registered_at", "refusal"],
        ..CliCommand::NONE
    },
    ..Operation::GET
}];
