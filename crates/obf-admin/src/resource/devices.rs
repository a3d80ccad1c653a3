//! Devices: secure elements with their identities and keys (SPEC R5, R9).

use super::{CUSTODIAN, DEVICE, GROUP, STATE, State};
use crate::{
    Answer, Body, CliCommand, Content, Operation, Timestamp,
    parameter::{AFTER_NUMBER, LIMIT},
    pattern,
    schema::of,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A device as it is registered. At least one of `imsi`, `impi`, `iccid`, `eid` and `deveui` is needed; the first there
/// is in this order is its primary identity. `k` with one of `opc` and `op` (Milenage) or of `topc` and `top` (TUAK) is
/// needed unless its `source` is `hlr`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DeviceRecord")]
#[schemars(extend("examples" = [{
    "imsi": "001010000000001", "iccid": "8988211000000000018", "algorithm": "milenage",
    "k": "465b5ce8b199b49faa5f0a2ee238a6bc", "opc": "cd63cb71954a9f4e48a5994e37a02baf",
    "amf": "8000", "sqn": "000000000000",
}]))]
pub struct DeviceRecord<S = KeyText> {
    /// IMSI: 6 to 15 digits.
    #[schemars(regex(pattern = pattern::IMSI))]
    pub imsi: Option<String>,
    /// IMPI: `user@realm`; derived from the IMSI (TS 23.003 13.3) if it is absent.
    #[schemars(regex(pattern = pattern::IMPI), length(min = 3, max = 253))]
    pub impi: Option<String>,
    /// ICCID: 18 to 20 digits beginning 89.
    #[schemars(regex(pattern = pattern::ICCID))]
    pub iccid: Option<String>,
    /// EID: 32 digits beginning 89, modulo 97 = 1 (SGP.29).
    #[schemars(regex(pattern = pattern::EID))]
    pub eid: Option<String>,
    /// DevEUI: 16 hex digits.
    #[schemars(regex(pattern = pattern::DEVEUI))]
    pub deveui: Option<String>,
    /// IMEI of the terminal: 15 digits with a Luhn check digit.
    #[schemars(regex(pattern = pattern::IMEI))]
    pub imei: Option<String>,
    /// What its key is for.
    #[serde(default)]
    pub algorithm: AlgorithmName,
    /// K: 16 octets, for TUAK 16 or 32.
    pub k: Option<S>,
    /// OP, Milenage: 16 octets.
    pub op: Option<S>,
    /// OPc, Milenage: 16 octets.
    pub opc: Option<S>,
    /// TOP, TUAK: 32 octets.
    pub top: Option<S>,
    /// TOPc, TUAK: 32 octets.
    pub topc: Option<S>,
    /// AMF of its vectors: 2 octets; 0000 if it is absent.
    #[schemars(regex(pattern = pattern::HEX_2))]
    pub amf: Option<String>,
    /// The last SQN used: 6 octets; zero if it is absent.
    #[schemars(regex(pattern = pattern::HEX_6))]
    pub sqn: Option<String>,
    /// Digits of the MNC in its IMSI; the deployment's if it is absent.
    #[schemars(range(min = 2, max = 3))]
    pub mnc_digits: Option<u8>,
    /// The weakest algorithm that it may bootstrap with.
    pub minimum_algorithm: Option<BootstrapAlgorithm>,
    /// When its custodian's KYC ends; then it gets no new tokens.
    pub kyc_expiry: Option<Timestamp>,
    /// Its custodian: a registered custodian's id.
    #[schemars(regex(pattern = pattern::SLUG))]
    pub custodian: Option<String>,
    /// The technology that it authenticates as: `standalone` for a key that is its provider's own and of no network;
    /// `3gpp` if it is absent.
    pub technology: Option<TechnologyName>,
    /// Where its vectors come from; `own` if it is absent.
    pub source: Option<Source>,
    /// Which HLR, where its `source` is `hlr`: the name that the configuration gives it; `default` if it is absent.
    #[schemars(regex(pattern = pattern::SLUG))]
    pub hlr: Option<String>,
    /// `registered` if it shall not be in use yet; otherwise `active`.
    pub state: Option<FirstState>,
    /// TUAK: iterations of Keccak. Only 1 is computed here; a key for more would be of no use.
    #[schemars(range(min = 1, max = 1))]
    pub keccak_iterations: Option<u8>,
    /// The secure element's: by which index it knows the key. Of no concern here.
    pub key_index: Option<u8>,
    /// The secure element's: its memory of sequence numbers. Of no concern here.
    #[schemars(length(max = 32), inner(range(max = 8_796_093_022_207_u64)))]
    pub accepted: Option<Vec<u64>>,
}

/// What may change of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceSettings {
    /// The weakest algorithm that it may bootstrap with.
    pub minimum_algorithm: BootstrapAlgorithm,
    /// When its custodian's KYC ends; then it gets no new tokens.
    pub kyc_expiry: Option<Timestamp>,
    /// Its custodian: a registered custodian's id.
    #[schemars(regex(pattern = pattern::SLUG))]
    pub custodian: Option<String>,
}

/// A device as it is shown: everything but its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Device {
    /// Its primary identity.
    pub device: String,
    /// All its identities, `kind:value`, the primary one first.
    pub identities: Vec<String>,
    /// What its key is for.
    pub algorithm: AlgorithmName,
    /// The technology that it authenticates as.
    pub technology: TechnologyName,
    /// Where its vectors come from.
    pub source: Source,
    /// Which HLR, where they come from one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hlr: Option<String>,
    /// Its state.
    pub state: State,
    /// Rises whenever its tokens are ended; it began at the time when the device was added, seconds since 1970.
    pub epoch: u64,
    /// AMF of its vectors, 4 hex digits.
    pub amf: String,
    /// The last SQN handed out, 12 hex digits.
    pub sqn: String,
    /// The weakest algorithm that it may bootstrap with.
    pub minimum_algorithm: BootstrapAlgorithm,
    /// When its custodian's KYC ends.
    pub kyc_expiry: Option<Timestamp>,
    /// Its custodian.
    pub custodian: Option<String>,
    /// Rises by one with each change.
    pub version: u64,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// One line of an import's report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImportedLine {
    /// The number of the line or record, from 1.
    pub line: u64,
    /// The device's primary identity, if it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// `added` or `unchanged`, if it went in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// The code of the problem, if it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What was wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// An algorithm of authentication and key agreement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AlgorithmName {
    /// TS 35.206.
    #[default]
    Milenage,
    /// TS 35.231.
    Tuak,
}

/// An algorithm of Digest AKA.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BootstrapAlgorithm {
    /// RFC 3310.
    #[default]
    #[serde(rename = "AKAv1-MD5")]
    Akav1Md5,
    /// RFC 4169 with SHA-256.
    #[serde(rename = "AKAv2-SHA-256")]
    Akav2Sha256,
}

/// The technology that a device authenticates as: application keys differ by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TechnologyName {
    /// A 3GPP network's.
    #[serde(rename = "3gpp")]
    ThreeGpp,
    /// LoRaWAN.
    #[serde(rename = "lorawan")]
    Lorawan,
    /// No network's: a key or certificate of its provider's own.
    #[serde(rename = "standalone")]
    Standalone,
}

/// Where the vectors of a device come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// From its key here.
    #[default]
    Own,
    /// From the HLR of the network; no key of it is here.
    Hlr,
}

/// The state in which a device begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FirstState {
    /// Known, not in use yet.
    Registered,
    /// In use.
    #[default]
    Active,
}

/// A part of a key, as it is described: hex digits. There is no value of it: a server that reads records names, as their
/// parameter, what holds the keys in them (`obf_kms::KeyPart`), so that nothing else does.
#[derive(Debug)]
pub enum KeyText {}

impl JsonSchema for KeyText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "HexSecret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": pattern::HEX_16_32, "writeOnly": true })
    }
}

const ID: &[crate::Parameter] = &[DEVICE];
/// Media types of an import.
pub const JSON_LINES: &str = "application/jsonl";
/// A key file, a line a record.
pub const CSV: &str = "text/csv";
/// A key file of RFC 6030.
pub const PSKC: &str = "application/pskc+xml";
const SHOWN: Answer = Answer::json(of::<Device>()).versioned();
const ACT: Operation =
    Operation { path_parameters: ID, answers: &[SHOWN], problems: &[409], ..Operation::ACT };

const fn act(command: &'static [&'static str], done: &'static str) -> CliCommand {
    CliCommand { command, done, ..CliCommand::NONE }
}

/// What can be done with devices.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        id: "devices.list",
        path: "/v1/devices",
        summary: "All devices, a page at a time",
        query: &[AFTER_NUMBER, LIMIT, STATE, CUSTODIAN, GROUP],
        answers: &[Answer::page("devices", of::<Device>())],
        cli: CliCommand {
            command: &["device", "list"],
            columns: &["device", "algorithm", "state", "epoch"],
            ..CliCommand::NONE
        },
        ..Operation::GET
    },
    Operation {
        id: "devices.add",
        path: "/v1/devices",
        summary: "Register one device",
        details: "Sent again the same, it changes nothing; with another key or other fields it is refused (409).",
        body: Body::Json(of::<DeviceRecord>()),
        answers: &[
            Answer::created(of::<Device>()).versioned(),
            Answer::unchanged(of::<Device>()).versioned(),
        ],
        problems: &[404],
        ..Operation::POST
    },
    Operation {
        id: "devices.import",
        path: "/v1/devices:import",
        summary: "Register many devices",
        details: "One device record a line, or a key file (CSV or PSKC under a transport key), however many. Each record \
                  is answered by a line, in order, while they come: a bad one is named with what is wrong, the good \
                  ones go in. The same again changes nothing.",
        body: Body::Stream(&[JSON_LINES, "application/x-ndjson", CSV, PSKC]),
        answers: &[Answer {
            status: 200,
            when: "A line for each line.",
            content: Content::Lines(of::<ImportedLine>()),
            versioned: false,
        }],
        ..Operation::POST
    },
    Operation {
        id: "devices.show",
        path: "/v1/devices/{device}",
        summary: "One device; never its keys",
        path_parameters: ID,
        answers: &[SHOWN],
        problems: &[409],
        cli: CliCommand { command: &["device", "show"], ..CliCommand::NONE },
        ..Operation::GET
    },
    Operation {
        id: "devices.set",
        path: "/v1/devices/{device}",
        summary: "Change its custodian, or what it may bootstrap with",
        path_parameters: ID,
        body: Body::MergePatch(of::<DeviceSettings>(), &[]),
        answers: &[SHOWN],
        cli: act(&["device", "set"], "changed"),
        ..Operation::PATCH
    },
    Operation {
        id: "devices.remove",
        path: "/v1/devices/{device}",
        summary: "Forget a device, its keys and its grants",
        path_parameters: ID,
        cli: act(&["device", "remove"], "removed"),
        ..Operation::REMOVE
    },
    Operation {
        id: "devices.activate",
        path: "/v1/devices/{device}:activate",
        summary: "Take a registered device into use",
        cli: act(&["device", "activate"], "activated"),
        ..ACT
    },
    Operation {
        id: "devices.suspend",
        path: "/v1/devices/{device}:suspend",
        summary: "End its tokens and let it bootstrap no more, until resumed",
        cli: act(&["device", "suspend"], "suspended"),
        ..ACT
    },
    Operation {
        id: "devices.resume",
        path: "/v1/devices/{device}:resume",
        summary: "Let it bootstrap again",
        cli: act(&["device", "resume"], "resumed"),
        ..ACT
    },
    Operation {
        id: "devices.revoke",
        path: "/v1/devices/{device}:revoke",
        summary: "End every token of it, everywhere, at once; it may bootstrap again",
        cli: act(&["device", "revoke"], "revoked"),
        ..ACT
    },
    Operation {
        id: "devices.retire",
        path: "/v1/devices/{device}:retire",
        summary: "End its tokens and let it bootstrap never again",
        cli: act(&["device", "retire"], "retired"),
        ..ACT
    },
];
