//! OBF Authentication Server (SPEC N3): bootstraps devices on RPB, hands applications their keys on RPO, asks the Resource
//! Server on RPR, and ends tokens when told.
//!
//! Reading order: [`config`], [`tokens`] (what lives in memory), [`limiter`].

pub mod config;
pub mod limiter;
pub mod tokens;

pub use config::{Config, ConfigError};
