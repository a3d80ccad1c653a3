//! What anyone may know (SPEC R1): this description, and what the server offers to whom.

use crate::{Access, Answer, Operation, schema::of};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// What a Resource Server publishes of itself. What an Authentication Server offers (algorithms of Digest AKA, key schemas) is for
/// that one to say, at its own `/.well-known/obf`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Discovery {
    /// `resource-server`.
    pub node: String,
    /// The version of the software.
    pub version: String,
    /// Addresses by reference point: `admin`, `rpr` (RADIUS/UDP), `rpr-tls` (RADIUS/TLS).
    pub addresses: BTreeMap<String, String>,
    /// The domains of the Authentication Servers that it serves.
    pub authentication_servers: Vec<String>,
    /// Algorithms of authentication and key agreement.
    pub algorithms: Vec<String>,
    /// Security protocols that an application may be registered for.
    pub ua: Vec<String>,
    /// Kinds of identities, unchanged from their network technology.
    pub identities: Vec<String>,
    /// How devices, applications and application providers are registered.
    pub registration: Registration,
    /// Where the OpenAPI document is.
    pub openapi: String,
}

/// How to be registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Registration {
    /// Devices.
    pub devices: String,
    /// Applications.
    pub applications: String,
    /// Application providers.
    pub application_providers: String,
}

/// This description.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct OpenApi {
    /// The version of OpenAPI.
    pub openapi: String,
    /// The rest of it.
    #[serde(flatten)]
    pub document: BTreeMap<String, serde_json::Value>,
}

/// The description itself, of whichever server.
pub const DOCUMENT: &[Operation] = &[Operation {
    id: "discovery.openapi",
    path: "/v1/openapi.json",
    summary: "This description",
    answers: &[Answer { when: "OpenAPI 3.1.", ..Answer::json(of::<OpenApi>()) }],
    access: Access::Anyone,
    ..Operation::GET
}];

/// What anyone may ask of a Resource Server.
pub const OPERATIONS: &[Operation] = &[Operation {
    id: "discovery.show",
    path: "/.well-known/obf",
    summary: "What this server offers, and how to be registered",
    answers: &[Answer { when: "What it offers.", ..Answer::json(of::<Discovery>()) }],
    access: Access::Anyone,
    ..Operation::GET
}];
