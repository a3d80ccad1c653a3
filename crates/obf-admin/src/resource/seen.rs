//! Applications that asked an Authentication Server for keys.

use crate::{
    Answer, Operation, Words,
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
    /// Whether the Resource Server has it registered and in use.
    pub registered: bool,
    /// Why not, if not: the code of the refusal and its words.
    pub refusal: Option<String>,
    /// Names of certificates that may ask for its keys.
    pub cert_names: Vec<String>,
}

/// What can be done with applications seen: nothing but look.
pub const OPERATIONS: &[Operation] = &[Operation {
    id: "seen-apps.list",
    path: "/v1/seen-apps",
    summary: "The applications that asked this node for keys within the last minute, and what it knows of them",
    query: &[AFTER_NAME, LIMIT],
    answers: &[Answer::page("seen-apps", of::<SeenApp>())],
    words: Words { command: &["app", "seen"], columns: &["app", "registered", "refusal"], ..Words::NONE },
    ..Operation::GET
}];
