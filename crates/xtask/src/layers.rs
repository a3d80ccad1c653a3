//! The crate graph is the architecture drawing: arrows only downward.

use crate::workspace::Workspace;

/// Each crate's layer (ARCHITECTURE.md). Crates of one layer do not see each other: so nodes meet only on wires.
pub const LAYERS: &[(&str, u8)] = &[
    ("obf-types", 0),
    ("obf-aka", 1),
    ("obf-ais140", 1),
    ("obf-digest", 1),
    ("obf-keyfile", 1),
    ("obf-gsup", 1),
    ("obf-radius", 1),
    ("obf-token", 1),
    ("obf-admin", 2),
    ("obf-rpa", 2),
    ("obf-rpb", 2),
    ("obf-rpo", 2),
    ("obf-rpr", 2),
    ("obf-files", 3),
    ("obf-files", 3),
    ("obf-net", 3),
    ("obf-store", 3),
    ("obf-admin-http", 4),
    ("obf-kms", 4),
    ("obf-app", 5),
    ("obf-auth", 5),
    ("obf-client", 5),
    ("obf-resource", 5),
    ("obf-bench", 6),
    ("obf", 7),
    ("obf-testkit", DEVELOPMENT),
    ("xtask", DEVELOPMENT),
    ("peers", DEVELOPMENT),
];

/// Above everything: no crate may depend on these, except for its tests.
const DEVELOPMENT: u8 = 8;

/// What does I/O, keeps time or draws random numbers: not for layers 0 to 2.
const SHELL_CRATES: &[&str] = &[
    "async-trait",
    "axum",
    "futures",
    "getrandom",
    "hyper",
    "hyper-util",
    "libc",
    "mio",
    "openssl",
    "rand",
    "postgres",
    "rusqlite",
    "rustls",
    "socket2",
    "tokio",
    "tokio-openssl",
    "tokio-rustls",
];

/// TLS engines: of the library crates `obf-net` alone drives them, and `obf-store` towards PostgreSQL.
const TLS_ENGINES: &[&str] = &["openssl", "tokio-openssl", "tokio-rustls"];

/// Who reads and writes key files, in which subscriber keys stand: the key management system, and `obf`, which makes
/// secure elements out of them (SPEC C1). The Resource Server hands them through.
const KEY_FILE_CRATES: &[&str] = &["obf-kms", "obf"];

/// What a device needs: `no_std + alloc`.
pub const NO_STD: &[&str] =
    &["obf-types", "obf-aka", "obf-ais140", "obf-digest", "obf-token", "obf-rpb", "obf-rpa"];

/// The layer of a crate of ours.
pub fn layer(name: &str) -> Option<u8> {
    LAYERS.iter().find(|(crate_name, _)| *crate_name == name).map(|(_, layer)| *layer)
}

/// Complaints about the graph.
pub fn check(workspace: &Workspace) -> Vec<String> {
    let mut complaints = Vec::new();
    for package in workspace.ours() {
        let name = &package.name;
        let Some(own) = layer(name) else {
            complaints.push(format!("{name} has no layer in crates/xtask/src/layers.rs"));
            continue;
        };
        for dependency in &package.dependencies {
            if layer(dependency).is_some_and(|other| other >= own) {
                complaints
                    .push(format!("{name} (layer {own}) depends on {dependency}, which is not below it"));
            }
            if dependency == "obf-keyfile" && !KEY_FILE_CRATES.contains(&name.as_str()) {
                complaints
                    .push(format!("{name} depends on obf-keyfile: subscriber keys are for obf-kms alone"));
            }
            if own <= 2 && SHELL_CRATES.contains(&dependency.as_str()) {
                complaints.push(format!("{name} (layer {own}) depends on {dependency}: cores do no I/O"));
            }
            if own < 6 && own != 3 && TLS_ENGINES.contains(&dependency.as_str()) {
                complaints.push(format!("{name} depends on {dependency}: TLS is obf-net's"));
            }
        }
    }
    complaints
}
