//! Nodes on several hosts, on PostgreSQL.

#[path = "../../../crates/obf-auth/tests/all/application.rs"]
mod application;
#[path = "../../../crates/obf-auth/tests/all/deployment.rs"]
mod deployment;
#[path = "../../../crates/obf-auth/tests/all/device.rs"]
mod device;
mod two_hosts;
