//! Administrators and their roles.

use super::{State, slug};
use crate::{
    Access, Answer, Body, CliCommand, Operation, Role, Roles, Timestamp,
    parameter::{AFTER_ID, LIMIT},
    pattern,
    schema::of,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An administrator as it is registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("examples" = [{ "administrator": "auditor-1", "role": "auditor" }]))]
pub struct AdministratorRecord {
    /// Its id.
    #[schemars(regex(pattern = pattern::SLUG))]
    pub administrator: String,
    /// What it may do.
    pub role: Role,
    /// The application provider whose applications it may see: needed for the role `application-provider`, and for no
    /// other.
    #[schemars(regex(pattern = pattern::SLUG))]
    pub application_provider: Option<String>,
    /// A dNSName of the client certificate that it may come with instead of its token.
    #[schemars(regex(pattern = pattern::FQDN), length(max = 241))]
    pub cert_name: Option<String>,
}

/// An administrator as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Administrator {
    /// What was registered.
    #[serde(flatten)]
    pub record: AdministratorRecord,
    /// Its state.
    pub state: State,
    /// Rises by one with each change.
    pub version: u64,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// An administrator with its new token, which is told this once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AdministratorToken {
    /// The administrator.
    #[serde(flatten)]
    pub administrator: Administrator,
    /// Its token, for `Authorization: Bearer`. Only its SHA-256 is kept.
    pub token: String,
}

const ID: &[crate::Parameter] = &[slug("administrator", "An administrator's id.", "auditor-1")];
const SHOWN: Answer = Answer::json(of::<Administrator>()).versioned();
const TOLD: Answer = Answer::json(of::<AdministratorToken>()).versioned();
/// The operator, and the auditor, who reads only.
const READERS: Access = Access::Roles(Roles::AUDIT);
const ACT: Operation = Operation { path_parameters: ID, answers: &[SHOWN], ..Operation::ACT };

/// What can be done with administrators.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        id: "administrators.list",
        path: "/v1/administrators",
        summary: "All administrators but the one of the configuration, a page at a time",
        query: &[AFTER_ID, LIMIT],
        answers: &[Answer::page("administrators", of::<Administrator>())],
        access: READERS,
        cli: CliCommand {
            command: &["administrator", "list"],
            columns: &["administrator", "role", "application_provider", "cert_name", "state"],
            ..CliCommand::NONE
        },
        ..Operation::GET
    },
    Operation {
        id: "administrators.add",
        path: "/v1/administrators",
        summary: "Register an administrator; its token is told this once",
        body: Body::Json(of::<AdministratorRecord>()),
        answers: &[Answer::created(of::<AdministratorToken>()).versioned()],
        problems: &[404],
        secret: true,
        cli: CliCommand {
            command: &["administrator", "add"],
            example: "obf administrator add auditor-1 --role auditor",
            ..CliCommand::NONE
        },
        ..Operation::POST
    },
    Operation {
        id: "administrators.show",
        path: "/v1/administrators/{administrator}",
        summary: "One administrator",
        path_parameters: ID,
        answers: &[SHOWN],
        access: READERS,
        cli: CliCommand { command: &["administrator", "show"], ..CliCommand::NONE },
        ..Operation::GET
    },
    Operation {
        id: "administrators.set",
        path: "/v1/administrators/{administrator}",
        summary: "Change its role or its certificate",
        path_parameters: ID,
        body: Body::MergePatch(of::<AdministratorRecord>(), &["administrator"]),
        answers: &[SHOWN],
        cli: CliCommand { command: &["administrator", "set"], done: "changed", ..CliCommand::NONE },
        ..Operation::PATCH
    },
    Operation {
        id: "administrators.renew-token",
        path: "/v1/administrators/{administrator}:renew-token",
        summary: "Give it another token, told this once; the one before is no longer valid",
        answers: &[TOLD],
        secret: true,
        cli: CliCommand { command: &["administrator", "renew-token"], ..CliCommand::NONE },
        ..ACT
    },
    Operation {
        id: "administrators.suspend",
        path: "/v1/administrators/{administrator}:suspend",
        summary: "Let it do nothing until it is resumed",
        cli: CliCommand { command: &["administrator", "suspend"], done: "suspended", ..CliCommand::NONE },
        ..ACT
    },
    Operation {
        id: "administrators.resume",
        path: "/v1/administrators/{administrator}:resume",
        summary: "Let it do what its role permits again",
        cli: CliCommand { command: &["administrator", "resume"], done: "resumed", ..CliCommand::NONE },
        ..ACT
    },
    Operation {
        id: "administrators.remove",
        path: "/v1/administrators/{administrator}",
        summary: "Forget an administrator",
        path_parameters: ID,
        cli: CliCommand { command: &["administrator", "remove"], done: "removed", ..CliCommand::NONE },
        ..Operation::REMOVE
    },
];
