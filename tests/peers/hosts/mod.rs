//! Nodes on several hosts, on PostgreSQL.
#![allow(dead_code, reason = "obf-auth's tests use the rest")]

#[path = "../../../crates/obf-auth/tests/all/application.rs"]
mod application;
#[path = "../../../crates/obf-auth/tests/all/deployment.rs"]
mod deployment;
#[path = "../../../crates/obf-auth/tests/all/device.rs"]
mod device;
mod two_hosts;
