//! Custodians (SPEC R6): who answers for devices.

use super::{CUSTODIAN, STATE, State};
use crate::{
    Access, Answer, Body, CliCommand, Operation, Roles, Timestamp,
    parameter::{AFTER_ID, LIMIT},
    pattern,
    schema::of,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A custodian as it is registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("examples" = [{
    "custodian": "acme-logistics", "name": "Acme Logistics Ltd", "kind": "organisation",
    "contact": "fleet@acme.example",
}]))]
pub struct CustodianRecord {
    /// Its id.
    #[schemars(regex(pattern = pattern::SLUG))]
    pub custodian: String,
    /// Its name.
    #[schemars(regex(pattern = pattern::TEXT), length(max = 253))]
    pub name: String,
    /// What it is.
    pub kind: CustodianKind,
    /// How to reach it: free text.
    #[schemars(regex(pattern = pattern::TEXT), length(max = 253))]
    pub contact: Option<String>,
}

/// A custodian as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Custodian {
    /// What was registered.
    #[serde(flatten)]
    pub record: CustodianRecord,
    /// What its KYC records say together.
    pub kyc: Standing,
    /// Its state.
    pub state: State,
    /// Rises by one with each change.
    pub version: u64,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// What the KYC records of a custodian say together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Standing {
    /// The level that holds: 0 for none, up to 3.
    pub level: u8,
    /// Until when.
    pub expires: Option<Timestamp>,
    /// The number of the record that it comes from.
    pub record: Option<u64>,
}

/// What a custodian is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CustodianKind {
    /// A natural person.
    Person,
    /// Anything else that can be held to account.
    Organisation,
}

const ID: &[crate::Parameter] = &[CUSTODIAN];
const SHOWN: Answer = Answer::json(of::<Custodian>()).versioned();
const OFFICERS: Access = Access::Roles(Roles::KYC);
const ACT: Operation =
    Operation { path_parameters: ID, answers: &[SHOWN], access: OFFICERS, ..Operation::ACT };

/// What can be done with custodians.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        id: "custodians.list",
        path: "/v1/custodians",
        summary: "All custodians, a page at a time",
        query: &[AFTER_ID, LIMIT, STATE],
        answers: &[Answer::page("custodians", of::<Custodian>())],
        cli: CliCommand {
            command: &["custodian", "list"],
            columns: &["custodian", "name", "kind", "kyc", "state"],
            ..CliCommand::NONE
        },
        ..Operation::GET
    },
    Operation {
        id: "custodians.add",
        path: "/v1/custodians",
        summary: "Register a custodian",
        body: Body::Json(of::<CustodianRecord>()),
        answers: &[
            Answer::created(of::<Custodian>()).versioned(),
            Answer::unchanged(of::<Custodian>()).versioned(),
        ],
        access: OFFICERS,
        cli: CliCommand {
            command: &["custodian", "add"],
            done: "added",
            example: "obf custodian add acme-logistics --name 'Acme Logistics Ltd' --kind organisation",
            ..CliCommand::NONE
        },
        ..Operation::POST
    },
    Operation {
        id: "custodians.show",
        path: "/v1/custodians/{custodian}",
        summary: "One custodian, and what its KYC says",
        path_parameters: ID,
        answers: &[SHOWN],
        cli: CliCommand { command: &["custodian", "show"], ..CliCommand::NONE },
        ..Operation::GET
    },
    Operation {
        id: "custodians.set",
        path: "/v1/custodians/{custodian}",
        summary: "Change its name, kind or contact",
        path_parameters: ID,
        body: Body::MergePatch(of::<CustodianRecord>(), &["custodian"]),
        answers: &[SHOWN],
        access: OFFICERS,
        cli: CliCommand { command: &["custodian", "set"], done: "changed", ..CliCommand::NONE },
        ..Operation::PATCH
    },
    Operation {
        id: "custodians.remove",
        path: "/v1/custodians/{custodian}",
        summary: "Forget a custodian that no device has",
        path_parameters: ID,
        access: OFFICERS,
        cli: CliCommand { command: &["custodian", "remove"], done: "removed", ..CliCommand::NONE },
        ..Operation::REMOVE
    },
    Operation {
        id: "custodians.suspend",
        path: "/v1/custodians/{custodian}:suspend",
        summary: "End the tokens of its devices and let them bootstrap no more, until resumed",
        cli: CliCommand { command: &["custodian", "suspend"], done: "suspended", ..CliCommand::NONE },
        ..ACT
    },
    Operation {
        id: "custodians.resume",
        path: "/v1/custodians/{custodian}:resume",
        summary: "Let its devices bootstrap again",
        cli: CliCommand { command: &["custodian", "resume"], done: "resumed", ..CliCommand::NONE },
        ..ACT
    },
    Operation {
        id: "custodians.retire",
        path: "/v1/custodians/{custodian}:retire",
        summary: "It answers for no device any more",
        cli: CliCommand { command: &["custodian", "retire"], done: "retired", ..CliCommand::NONE },
        ..ACT
    },
];
