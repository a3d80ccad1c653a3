//! Keys under which an Authentication Server seals what it must remember between the two requests of a bootstrap.

use crate::{
    Answer, CliCommand, Operation, Parameter, Timestamp, Values,
    parameter::{self, LIMIT},
    schema::of,
};
use schemars::JsonSchema;
use serde::Serialize;

/// A sealing key; never the key itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SealingKey {
    /// Its number, which stands in front of what it sealed.
    pub key: u32,
    /// What it is for now.
    pub use_now: SealingUse,
    /// When it was made; at the latest ten minutes later it is destroyed.
    pub created_at: Timestamp,
}

/// What a sealing key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SealingUse {
    /// Known to every node, and not used by any yet.
    Next,
    /// New challenges are sealed with it.
    Seals,
    /// Challenges that it sealed are still opened with it.
    Opens,
}

/// `after`: the number of a key.
const AFTER: Parameter = parameter::after(Values::Number { least: 0, most: u32::MAX as u64 }, "2024311407");

/// What can be done with sealing keys: nothing but look. They rotate by themselves.
pub const OPERATIONS: &[Operation] = &[Operation {
    id: "sealing-keys.list",
    path: "/v1/sealing-keys",
    summary: "The keys that challenges are sealed with, as this node knows them, newest first",
    details: "For administrators of the first of several Resource Servers: that of the Authentication Server's operator.",
    query: &[AFTER, LIMIT],
    answers: &[Answer::page("sealing-keys", of::<SealingKey>())],
    cli: CliCommand {
        command: &["sealing-key", "list"],
        columns: &["key", "use_now", "created_at"],
        ..CliCommand::NONE
    },
    ..Operation::GET
}];
