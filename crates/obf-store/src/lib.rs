//! Storage of the nodes: a SQLite core with group commit, and what each kind of node keeps in it.
//!
//! Reading order: [`database`] (open, write, read), [`error`], [`schema`] (versions). *Acknowledged* means
//! fsynced: [`Database::write`] returns only after the commit that holds the work is on the disk. All SQL of the
//! project stands in this crate.
//!
//! Deliberately absent: keys in clear (callers wrap them first), any clock, any network.

pub mod auth;
pub mod database;
pub mod error;
#[cfg(feature = "fault-injection")]
pub mod fault;
mod readers;
pub mod resource;
pub mod schema;
mod turn;
mod writer;

pub use database::{Database, Options};
pub use error::{OpenError, StoreError};
pub use rusqlite;
pub use schema::Schema;
pub use writer::Statistics;

use std::time::Duration;

/// How long a write waits for another process to finish its transaction before it fails.
pub const LOCK_WAIT: Duration = Duration::from_secs(10);
