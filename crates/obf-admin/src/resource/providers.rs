//! Providers, Resource Servers and application providers (SPEC C3, C4).

use super::State;
use crate::{Timestamp, pattern};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A Resource Server provider as it is registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("examples" = [{ "provider": "example-mno", "name": "Example Mobile", "kind": "mno",
    "domain": "as.example", "contact": "noc@example" }]))]
pub struct ProviderRecord {
    /// Its id.
    #[schemars(regex(pattern = pattern::SLUG))]
    pub provider: String,
    /// Its name.
    #[schemars(regex(pattern = pattern::TEXT), length(max = 253))]
    pub name: String,
    /// What it is.
    pub kind: ProviderKind,
    /// The domain of its Authentication Server.
    #[schemars(regex(pattern = pattern::DOMAIN), length(max = 84))]
    pub domain: Option<String>,
    /// How to reach it: free text.
    #[schemars(regex(pattern = pattern::TEXT), length(max = 253))]
    pub contact: Option<String>,
}

/// A Resource Server as it is registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("examples" = [{ "resource_server": "rs.as.example", "provider": "example-mno",
    "address": "192.0.2.7:2083" }]))]
pub struct ResourceServerRecord {
    /// Its id: its lower-case full domain name.
    #[schemars(regex(pattern = pattern::FQDN), length(max = 241))]
    pub resource_server: String,
    /// Whose it is: a registered provider's id.
    #[schemars(regex(pattern = pattern::SLUG))]
    pub provider: String,
    /// Where it is reached on RPR: free text, usually `host:port`.
    #[schemars(regex(pattern = pattern::TEXT), length(max = 253))]
    pub address: Option<String>,
}

/// An application provider as it is registered, by itself or by an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("examples" = [{ "application_provider": "state-tracking", "name": "State Tracking Authority",
    "contact": "ops@track.example" }]))]
pub struct ApplicationProviderRecord {
    /// Its id.
    #[schemars(regex(pattern = pattern::SLUG))]
    pub application_provider: String,
    /// Its name.
    #[schemars(regex(pattern = pattern::TEXT), length(max = 253))]
    pub name: String,
    /// How to reach it: free text.
    #[schemars(regex(pattern = pattern::TEXT), length(max = 253))]
    pub contact: String,
}

/// What is kept of an object beside its record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Kept<R> {
    /// What was registered.
    #[serde(flatten)]
    pub record: R,
    /// Its state.
    pub state: State,
    /// Counts its changes.
    pub version: u64,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// What a provider is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderKind {
    /// A mobile network operator.
    Mno,
    /// An IoT service provider.
    IotSp,
}
