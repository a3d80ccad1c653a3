//! OBF Resource Server (SPEC N2): the node with the service-provider-side key material.
//!
//! Reading order: [`node`] (configuration in, listeners out), [`config`], [`vectors`] (of the subscriber keys that
//! [`obf_kms`] has, or an HLR's), [`registry`] (devices, applications, grants), [`provisioning`] (devices by the million),
//! [`authorisation`] (one pure decision), [`rpr`] (what Authentication Servers are answered and told), [`admin`] (the
//! routes that administrators use).
//!
//! Several nodes may share one database: every SQN is taken by one atomic statement and answered after its fsync.
//! Deliberately absent: tokens and Ks, which the Resource Server never sees.
#![forbid(unsafe_code)]

pub mod admin;
pub mod authorisation;
pub mod backup;
pub mod config;
pub mod node;
pub mod provisioning;
pub mod registry;
pub mod rpr;
pub mod vectors;

pub use config::{Config, ConfigError};
pub use node::{Handle, StartError, start};
pub use obf_net::Environment;
