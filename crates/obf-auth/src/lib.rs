//! OBF Authentication Server (SPEC N3): bootstraps devices on RPB, hands applications their keys on RPO, asks the Resource
//! Server on RPR, and ends tokens when told.
//!
//! Reading order: [`config`], `start` ([`start()`], [`Handle`]), then a listener and what it takes:
//! `bootstrap` (RPB), `keys` (RPO), `notices_out` (to applications), `notices_in` (from Resource Servers), `admin`.
//!
//! | noun | is |
//! |---|---|
//! | `tokens` | their life: `store`, memory ([`table`]), [`vault`], `change_feed` with its `watches`, `housekeeping` |
//! | `locator` | which Resource Server (`resource_server`) answers for a device (`rules`) or a token |
//! | `applications`, `administrators` | what one Resource Server has registered |
//! | `admission` | how much a source and an identity may ask (buckets: [`obf_net::rate_limit`]) |
//! | `sealing` | the keys of challenges |
//! | `audit` | what administrators did |
//!
//! Invariants: a token is valid from the moment it is on the disk, on every node of the deployment; what ends a token is on
//! the disk before it is acknowledged, and no fetch that begins afterwards gets a key of it; Ks leaves memory only
//! wrapped; no lock of a thread is held across an `.await`; what a Resource Server says is acted on for its own devices and
//! tokens only.
//!
//! Deliberately absent: any decision about rights. The Resource Server's answer stands until the time that it says; that an
//! answer's epoch is newer than a token's is not weighed but is a revocation, whose notice was slower.

mod admin;
mod administrators;
mod admission;
mod applications;
mod audit;
mod bootstrap;
mod change_feed;
pub mod config;
mod discovery;
mod error;
mod housekeeping;
mod keys;
mod locator;
mod notices_in;
mod notices_out;
mod random;
mod resource_server;
mod rules;
mod sealing;
mod start;
mod store;
pub mod table;
mod tokens;
pub mod vault;
mod watches;

pub use config::{Config, ConfigError};
pub use error::StartError;
pub use locator::ServerHealth;
pub use obf_net::{Drained, Environment};
pub use sealing::SealingError;
pub use start::{Handle, start};
