//! Key management: which keys encrypt which. Never a key.

use super::devices::{AlgorithmName, KeyText, TechnologyName};
use crate::{Answer, Body, CliCommand, Content, Operation, Timestamp, pattern, schema::of};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What encrypts what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct KmsStatus {
    /// The key-encryption key in use.
    pub kek: String,
    /// The data keys.
    pub data_keys: Vec<DataKey>,
}

/// A data key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DataKey {
    /// Its number.
    pub id: u32,
    /// The key-encryption key that it is under.
    pub kek: String,
    /// How many subscriber keys are under it.
    pub records: u64,
    /// When it was made.
    pub created_at: Timestamp,
}

/// How a rotation is begun.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("examples" = [{ "full": true }]))]
pub struct RotationRecord {
    /// Every subscriber key is encrypted anew under a new data key; otherwise only the data keys under a new KEK.
    #[serde(default)]
    pub full: bool,
}

/// What a rotation is at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Rotation {
    /// Whether one is under way.
    pub running: bool,
    /// Whether subscriber keys are encrypted anew too.
    pub full: bool,
    /// Data keys that are under the key-encryption key anew.
    pub data_keys: u64,
    /// Subscriber keys that are encrypted anew.
    pub done: u64,
    /// All there were when it began.
    pub total: u64,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Why it does not get on at present, if it does not.
    pub problem: Option<String>,
}

/// Secure elements whose keys are to be made: a range of identities.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CreationRecord")]
#[schemars(extend("examples" = [{
    "imsi": "001010000500000", "count": 2, "format": "csv",
    "transport_key_name": "maker-2026", "transport_key": "000102030405060708090a0b0c0d0e0f",
}]))]
pub struct CreationRecord<S = KeyText> {
    /// The first IMSI.
    #[schemars(regex(pattern = pattern::IMSI))]
    pub imsi: String,
    /// The first ICCID without its check digit, which is added.
    #[schemars(regex(pattern = pattern::ICCID_PAYLOAD))]
    pub iccid: Option<String>,
    /// How many.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub count: u64,
    /// What the keys are for.
    #[serde(default)]
    pub algorithm: AlgorithmName,
    /// The technology that the secure elements authenticate as: `standalone` for keys that are their provider's own and of no
    /// network; `3gpp` if it is absent. The key file says it too.
    pub technology: Option<TechnologyName>,
    /// Of the key file.
    pub format: KeyFileFormat,
    /// What the maker of the secure elements calls the transport key.
    #[schemars(regex(pattern = pattern::KEY), length(max = 64))]
    pub transport_key_name: String,
    /// The key that the file's secrets are encrypted under: 16 or 32 octets.
    pub transport_key: S,
}

/// A format of key files (docs/key-files.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeyFileFormat {
    /// One line a secure element.
    Csv,
    /// RFC 6030.
    Pskc,
}

/// What can be done with keys.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        id: "kms.show",
        path: "/v1/kms",
        summary: "Which keys encrypt which, and how many subscriber keys are under each",
        answers: &[Answer::json(of::<KmsStatus>())],
        cli: CliCommand { command: &["kms", "status"], ..CliCommand::NONE },
        ..Operation::GET
    },
    Operation {
        id: "kms.rotate",
        path: "/v1/kms:rotate",
        summary: "Begin a rotation, or go on with the one under way",
        details: "The data keys go under the first key-encryption key of the configuration; with `full`, every \
                  subscriber key is encrypted anew as well. The server works on while it serves, and after a restart.",
        body: Body::Json(of::<RotationRecord>()),
        answers: &[Answer::json(of::<Rotation>())],
        ..Operation::POST
    },
    Operation {
        id: "kms.rotation",
        path: "/v1/kms/rotation",
        summary: "What the last rotation is at",
        answers: &[Answer::json(of::<Rotation>())],
        cli: CliCommand { command: &["kms", "rotation"], ..CliCommand::NONE },
        ..Operation::GET
    },
    Operation {
        id: "kms.create",
        path: "/v1/kms:create",
        summary: "Make keys for a range of secure elements, register them, and hand out their key file",
        details: "Identities that are registered already are left out of the file. A file that broke off lacks its end.",
        body: Body::Json(of::<CreationRecord>()),
        answers: &[Answer {
            status: 200,
            when: "The key file, written while the keys are made.",
            content: Content::Stream("application/octet-stream"),
            versioned: false,
        }],
        ..Operation::POST
    },
];
