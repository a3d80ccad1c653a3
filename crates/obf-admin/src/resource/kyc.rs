//! Machine KYC (SPEC clause 3): what was verified of a custodian. Evidence by reference and hash, never the document.

use crate::{Timestamp, pattern};
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
    /// By when it shall be verified again.
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
    /// When it was recorded.
    pub created_at: Timestamp,
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
    /// Its time is over.
    Expired,
    /// It was taken back.
    Revoked,
}
