//! Whole deployments of the real binary.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod client;
mod device;
mod rpb;
