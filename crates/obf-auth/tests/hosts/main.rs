//! Nodes on several hosts.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs, dead_code)]

#[path = "../nodes/application.rs"]
mod application;
#[path = "../nodes/deployment.rs"]
mod deployment;
#[path = "../nodes/device.rs"]
mod device;
mod two_hosts;
