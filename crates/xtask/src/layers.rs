//! The crate graph is the architecture drawing: arrows only downward.

use crate::workspace::{Package, Workspace};

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
    ("obf-daemon", 6),
    ("obf-ffi", 6),
    ("obf-proxy", 6),
    ("obf-bench", 7),
    ("obf", 8),
    ("obf-testkit", DEVELOPMENT),
    ("xtask", DEVELOPMENT),
    ("peers", DEVELOPMENT),
];

/// Above everything: no crate may depend on these, except for its tests.
const DEVELOPMENT: u8 = 9;

/// Skins: a node's library in another form, in front of what knows no OBF. Each sees the node named here, and none else;
/// those that have no crate yet come with their callers.
const SKINS: &[(&str, &str)] =
    &[("obf-daemon", "obf-client"), ("obf-ffi", "obf-client"), ("obf-proxy", "obf-app")];

/// The layer of the nodes.
const NODE: u8 = 5;

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
    workspace.ours().flat_map(complaints_of).collect()
}

fn complaints_of(package: &Package) -> Vec<String> {
    let mut complaints = Vec::new();
    let name = package.name.as_str();
    let Some(own) = layer(name) else {
        return vec![format!("{name} has no layer in crates/xtask/src/layers.rs")];
    };
    for dependency in package.dependencies.iter().map(String::as_str) {
        if layer(dependency).is_some_and(|other| other >= own) {
            complaints.push(format!("{name} (layer {own}) depends on {dependency}, which is not below it"));
        }
        if let Some((_, node)) = SKINS.iter().find(|(skin, _)| *skin == name)
            && layer(dependency) == Some(NODE)
            && dependency != *node
        {
            complaints.push(format!("{name} depends on {dependency}: it is a skin over {node}"));
        }
        if dependency == "obf-keyfile" && !KEY_FILE_CRATES.contains(&name) {
            complaints.push(format!("{name} depends on obf-keyfile: subscriber keys are for obf-kms alone"));
        }
        if own <= 2 && SHELL_CRATES.contains(&dependency) {
            complaints.push(format!("{name} (layer {own}) depends on {dependency}: cores do no I/O"));
        }
        if own <= NODE + 1 && own != 3 && TLS_ENGINES.contains(&dependency) {
            complaints.push(format!("{name} depends on {dependency}: TLS is obf-net's"));
        }
    }
    let nodes = LAYERS.iter().filter(|(_, layer)| *layer == NODE);
    let all = nodes.clone().all(|(node, _)| package.dependencies.iter().any(|dependency| dependency == node));
    if all && name != "obf" {
        complaints.push(format!("{name} names every node: only obf does"));
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_that_point_up_or_aside_are_found() {
        for (name, dependencies, count) in [
            ("obf-app", &["obf-net", "obf-rpo", "obf-types"][..], 0),
            ("obf-app", &["obf-auth"], 1),
            ("obf-app", &["obf-proxy"], 1),
            ("obf-app", &["openssl"], 1),
            ("obf-net", &["openssl", "tokio-rustls"], 0),
            ("obf-net", &["obf-store"], 1),
            ("obf-rpo", &["tokio"], 1),
            ("obf-rpo", &["obf-radius"], 0),
            ("obf-proxy", &["obf-app", "obf-net"], 0),
            ("obf-proxy", &["obf-client"], 1),
            ("obf-proxy", &["obf-app", "openssl"], 1),
            ("obf-ffi", &["obf-client"], 0),
            ("obf-ffi", &["obf-proxy"], 1),
            ("obf-resource", &["obf-keyfile"], 1),
            ("obf-bench", &["obf-app", "obf-auth", "obf-client", "obf-resource"], 1),
            ("obf", &["obf-app", "obf-auth", "obf-client", "obf-resource", "obf-proxy"], 0),
            ("obf-else", &[], 1),
        ] {
            let package = Package {
                name: name.to_owned(),
                version: String::new(),
                licence: String::new(),
                rust_version: String::new(),
                ours: true,
                dependencies: dependencies.iter().map(ToString::to_string).collect(),
            };
            assert_eq!(complaints_of(&package).len(), count, "{name} → {dependencies:?}");
        }
    }
}
