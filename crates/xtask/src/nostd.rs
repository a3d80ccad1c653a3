//! What a device needs links without `std`: a small program of its own (`tests/nostd`), with its own allocator and
//! panic handler, in which a dependency that pulled `std` would be a duplicate panic handler.

use crate::workspace::Workspace;
use std::{path::PathBuf, process::Command};

/// Builds and runs `tests/nostd`, with the versions of the workspace's `Cargo.lock`.
pub fn check(workspace: &Workspace) -> Result<Vec<String>, String> {
    let folder = workspace.root.join("tests/nostd");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(workspace.root.join("target"), PathBuf::from);
    std::fs::copy(workspace.root.join("Cargo.lock"), folder.join("Cargo.lock"))
        .map_err(|e| format!("tests/nostd/Cargo.lock: {e}"))?;
    let status = Command::new(env!("CARGO"))
        .current_dir(folder)
        .args(["run", "--quiet", "--offline", "--target-dir"])
        .arg(target.join("nostd"))
        .status()
        .map_err(|e| format!("cargo: {e}"))?;
    Ok(if status.success() { Vec::new() } else { vec![format!("tests/nostd: {status}")] })
}
