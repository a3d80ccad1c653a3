//! The Authentication Server among real nodes: a Resource Server, devices, applications, nothing between them but sockets
//! (issue sentences 3 to 9).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod administration;
mod application;
mod bootstrap;
#[allow(dead_code, reason = "the crash test uses more of it")]
mod crash;
mod deployment;
#[allow(dead_code, reason = "the crash test uses more of it")]
mod device;
mod keys;
mod local_validity;
mod restart;
mod revocation;
mod several_servers;
mod token_memory;
