//! The audit: who did what, when and why. Append-only, hash-chained.

use crate::{
    Access, Answer, CliCommand, Content, Operation, Parameter, Roles, Timestamp, Values,
    parameter::{AFTER_NUMBER, LIMIT},
    pattern,
    schema::of,
};
use schemars::JsonSchema;
use serde::Serialize;

/// An act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AuditRow {
    /// Its number.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Who: an administrator, or an Authentication Server as `domain#node`.
    pub actor: String,
    /// What: the id of an operation, `vector` or `resynchronisation`.
    pub action: String,
    /// To what: `kind:id`.
    pub object: String,
    /// Why, as the actor said.
    pub reason: String,
    /// What else is to be known.
    pub detail: String,
}

/// Whether the chain holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AuditVerified {
    /// Whether every record is there and as it was written.
    pub intact: bool,
    /// Records that are as they were sealed.
    pub records: u64,
    /// Records behind the last seal: written within the last second.
    pub unsealed: u64,
    /// The hash of the last seal, hex digits: noted elsewhere, it shows later whether the end was cut off.
    pub head: Option<String>,
    /// What is not as it was, in order, up to 1000.
    pub faults: Vec<String>,
}

const fn filter(name: &'static str, description: &'static str, example: &'static str) -> Parameter {
    Parameter { name, description, values: Values::Text { pattern: pattern::TEXT, most: 300 }, example }
}

const ACTOR: Parameter =
    filter("actor", "Only what this administrator, or Authentication Server, did.", "admin");
const ACTION: Parameter = filter("action", "Only what was done so.", "device.suspend");
const OBJECT: Parameter = filter("object", "Only what was done to this.", "imsi:001010000000001");
/// `?head=`.
const HEAD: Parameter = Parameter {
    name: "head",
    description: "A head that was noted down before: it must still be in the chain.",
    values: Values::Text { pattern: pattern::HEX_32, most: 64 },
    example: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
};
const READERS: Access = Access::Roles(Roles::AUDIT);

/// What can be done with the audit: nothing but read.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        id: "audit.list",
        path: "/v1/audit",
        summary: "Who did what, when and why, a page at a time, oldest first",
        query: &[AFTER_NUMBER, LIMIT, ACTOR, ACTION, OBJECT],
        answers: &[Answer::page("audit", of::<AuditRow>())],
        access: READERS,
        cli: CliCommand {
            command: &["audit", "list"],
            columns: &["seq", "at", "actor", "action", "object", "reason"],
            ..CliCommand::NONE
        },
        ..Operation::GET
    },
    Operation {
        id: "audit.export",
        path: "/v1/audit:export",
        summary: "The audit as JSON lines",
        query: &[AFTER_NUMBER, ACTOR, ACTION, OBJECT],
        answers: &[Answer {
            status: 200,
            when: "A line for each act, oldest first.",
            content: Content::Lines(of::<AuditRow>()),
            versioned: false,
        }],
        access: READERS,
        cli: CliCommand {
            command: &["audit", "export"],
            example: "obf audit export > audit.jsonl",
            ..CliCommand::NONE
        },
        ..Operation::GET
    },
    Operation {
        id: "audit.verify",
        path: "/v1/audit:verify",
        summary: "Whether no record was removed, altered or put in",
        query: &[HEAD],
        answers: &[Answer::json(of::<AuditVerified>())],
        access: READERS,
        cli: CliCommand { command: &["audit", "verify"], ..CliCommand::NONE },
        ..Operation::GET
    },
];
