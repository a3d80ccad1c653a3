//! RPB, both ends, without sockets.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod bootstrap;
mod lossy;
mod statuses;
mod world;
