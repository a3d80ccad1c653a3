//! Storage of the nodes: SQLite with group commit or PostgreSQL, and what each kind of node keeps there.
//!
//! Reading order: [`database`] (SQLite: open, write, read), [`error`], [`schema`] (versions), [`sql`] and [`engine`]
//! (statements for both engines), [`postgres`]. *Acknowledged* means fsynced: a write returns only after the commit
//! that holds the work is on the disk. All SQL of the project stands in this crate.
//!
//! Deliberately absent: keys in clear (callers wrap them first), any clock, any network.

pub mod audit;
pub mod auth;
pub mod database;
pub mod engine;
pub mod error;
#[cfg(feature = "fault-injection")]
pub mod fault;
pub mod location;
pub mod postgres;
mod readers;
pub mod resource;
pub mod schema;
pub mod sql;
mod sqlite;
pub mod tampering;
mod turn;
mod writer;

pub use database::{Database, Options};
pub use engine::Engine;
pub use error::{Failure, OpenError, StoreError};
pub use location::Location;
pub use postgres::PostgresOptions;
pub use rusqlite;
pub use schema::Schema;
pub use writer::Statistics;

use std::time::Duration;

/// How long a write waits for another process to finish its transaction before it fails.
pub const LOCK_WAIT: Duration = Duration::from_secs(10);
