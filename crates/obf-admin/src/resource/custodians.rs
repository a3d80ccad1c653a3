//! Custodians (SPEC R6): who answers for devices.

use super::State;
use crate::{Timestamp, pattern};
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
    /// Counts its changes.
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
