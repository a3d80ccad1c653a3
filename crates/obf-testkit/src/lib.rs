//! Development only: what the tests of several crates share.
//!
//! [`peer`] runs other people's programs against ours. [`postgres`] runs a PostgreSQL cluster. [`deployment`] runs the
//! real binary (`obf init`, `obf serve`) on ephemeral ports. [`small_disk`] is a disk that is soon full, [`network`]
//! hosts of a network of a test's own. [`in_own_process`] runs a test in a process of its own. A failure of the
//! harness fails the test, so it panics rather than returning errors.
#![expect(clippy::panic, reason = "a harness fails the test that uses it")]
#![allow(clippy::indexing_slicing, reason = "indexing a JSON value by name gives null where there is none")]

pub mod deployment;
pub mod network;
mod own_process;
pub mod peer;
pub mod postgres;
pub mod small_disk;

pub use deployment::{Deployment, Ran, Server, Sim};
pub use network::{Host, in_own_network};
pub use own_process::in_own_process;
pub use postgres::PostgresCluster;
pub use small_disk::SmallDisk;
