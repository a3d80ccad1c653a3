//! OBF Authentication Server (SPEC N3): bootstraps devices on RPB, hands applications their keys on RPO, asks the Resource
//! Server on RPR, and ends tokens when told.
//!
//! Reading order: [`config`], `start` ([`start()`], [`Handle`]), `bootstrap` (RPB), `keys` (RPO), `resource_server` (RPR),
//! `notices_in` (from the Resource Server), `notices_out` (to applications), `change_feed` and `watches` (what ends tokens, in
//! the order of the store), `housekeeping` (what the clock ends), `sealing` and `vault` (keys that leave memory), `applications`, `admission`, `admin`; [`tokens`]
//! (what lives in memory) and [`limiter`].
//!
//! Invariants: a token counts from the moment it is on the disk, on every node of the deployment; what ends a token is on
//! the disk before it is acknowledged, and no fetch that begins afterwards gets a key of it; Ks leaves memory only
//! wrapped; no lock is held across an `.await`.
//!
//! Deliberately absent: any decision about rights, which is the Resource Server's.

mod admin;
mod admission;
mod applications;
mod bootstrap;
mod change_feed;
pub mod config;
mod discovery;
mod error;
mod housekeeping;
mod keys;
pub mod limiter;
mod node;
mod notices_in;
mod notices_out;
mod random;
mod resource_server;
mod sealing;
mod start;
mod store;
pub mod tokens;
pub mod vault;
mod watches;

pub use config::{Config, ConfigError};
pub use error::StartError;
pub use obf_net::{Drained, Environment};
pub use sealing::SealingError;
pub use start::{Handle, start};
