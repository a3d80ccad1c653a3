//! Machine KYC (SPEC clause 3): what was verified of a custodian. Evidence by reference and hash, never the document.

use super::CUSTODIAN;
use crate::{
    Access, Answer, Body, CliCommand, Operation, Parameter, Roles, Timestamp, Values,
    parameter::{AFTER_NUMBER, LIMIT},
    pattern,
    schema::of,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A verification as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("examples" = [{
    "custodian": "acme-logistics", "level": 2, "method": "physical", "verifier": "branch 12",
    "evidence": [{
        "reference": "dms:2026/4711",
        "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    }],
    "verified_at": "2026-01-31T00:00:00Z", "valid_until": "2028-01-31T00:00:00Z",
}]))]
pub struct KycRecord {
    /// The custodian that was verified.
    #[schemars(regex(pattern = pattern::SLUG))]
    pub custodian: String,
    /// How far: 1 to 3.
    #[schemars(range(min = 1, max = 3))]
    pub level: u8,
    /// How.
    pub method: KycMethod,
    /// Who verified.
    #[schemars(regex(pattern = pattern::TEXT), length(max = 253))]
    pub verifier: String,
    /// What was seen.
    #[schemars(length(max = 16))]
    #[serde(default)]
    pub evidence: Vec<Evidence>,
    /// When.
    pub verified_at: Timestamp,
    /// Until when it holds; then the devices of the custodian get no new tokens where a level is needed.
    pub valid_until: Timestamp,
    /// By when it shall be verified again: from then on it is due, which the log and the audit say once. It holds to
    /// its end all the same, unless `reverify_grace_days` is configured.
    pub reverify_by: Option<Timestamp>,
}

/// A document that was seen: where it is kept and what it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Where it is kept.
    #[schemars(regex(pattern = pattern::TEXT), length(max = 253))]
    pub reference: String,
    /// SHA-256 of it, 64 hex digits.
    #[schemars(regex(pattern = pattern::HEX_32))]
    pub sha256: String,
}

/// A verification as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Kyc {
    /// Its number.
    pub record: u64,
    /// What was recorded.
    #[serde(flatten)]
    pub content: KycRecord,
    /// Whether it holds.
    pub state: KycState,
    /// Whether it holds, but should have been verified again by now.
    pub due: bool,
    /// Rises by one with each change.
    pub version: u64,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// How a custodian was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KycMethod {
    /// In person.
    Physical,
    /// By electronic means.
    Digital,
}

/// Whether a verification holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KycState {
    /// It holds.
    Valid,
    /// Its time is over, or it was not verified again within the time that the operator leaves.
    Expired,
    /// It was taken back.
    Revoked,
}

/// `{record}`.
const RECORD: Parameter = Parameter {
    name: "record",
    description: "The number of a verification.",
    values: Values::Number { least: 1, most: i64::MAX as u64 },
    example: "1",
};
/// `due`.
const DUE: Parameter = Parameter {
    name: "due",
    description: "Only those that are due for re-verification and that no later verification has replaced.",
    values: Values::Truth,
    example: "true",
};
/// `within`.
const WITHIN: Parameter = Parameter {
    name: "within",
    description: "As `due`, with those that become due or end within so many days.",
    values: Values::Number { least: 0, most: 36_500 },
    example: "30",
};
const ID: &[Parameter] = &[RECORD];
const SHOWN: Answer = Answer::json(of::<Kyc>()).versioned();

/// What can be done with verifications.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        id: "kyc.list",
        path: "/v1/kyc",
        summary: "All verifications, those of a custodian, or those to be seen to, a page at a time",
        query: &[AFTER_NUMBER, LIMIT, CUSTODIAN, DUE, WITHIN],
        answers: &[Answer::page("kyc", of::<Kyc>())],
        cli: CliCommand {
            command: &["kyc", "list"],
            columns: &[
                "record",
                "custodian",
                "level",
                "method",
                "valid_until",
                "reverify_by",
                "state",
                "due",
            ],
            example: "obf kyc list --due --within 30",
            ..CliCommand::NONE
        },
        ..Operation::GET
    },
    Operation {
        id: "kyc.add",
        path: "/v1/kyc",
        summary: "Record that a custodian was verified",
        details: "Evidence is a reference and a hash, never the document. A record is not changed afterwards: revoke it \
                  and make another.",
        body: Body::Json(of::<KycRecord>()),
        answers: &[Answer::created(of::<Kyc>()).versioned()],
        problems: &[404],
        access: Access::Roles(Roles::KYC),
        cli: CliCommand {
            command: &["kyc", "add"],
            example: "obf kyc add --custodian acme-logistics --level 2 --method physical --verifier 'branch 12' \
                      --verified-at 2026-01-31T00:00:00Z --valid-until 2028-01-31T00:00:00Z",
            flags: true,
            ..CliCommand::NONE
        },
        ..Operation::POST
    },
    Operation {
        id: "kyc.show",
        path: "/v1/kyc/{record}",
        summary: "One verification",
        path_parameters: ID,
        answers: &[SHOWN],
        cli: CliCommand { command: &["kyc", "show"], ..CliCommand::NONE },
        ..Operation::GET
    },
    Operation {
        id: "kyc.revoke",
        path: "/v1/kyc/{record}:revoke",
        summary: "Take a verification back; devices whose rights need it lose them at once",
        path_parameters: ID,
        answers: &[SHOWN],
        access: Access::Roles(Roles::KYC),
        cli: CliCommand { command: &["kyc", "revoke"], done: "revoked", ..CliCommand::NONE },
        ..Operation::ACT
    },
];
