//! Licences from `cargo metadata` alone, and a small committed list of versions with advisories (the advisory
//! database is not at hand offline).

use crate::{spdx::satisfied, workspace::Workspace};

/// Permissive, or weak copyleft by file. Anything else is a decision, not an oversight.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

const DENIED: &str = "crates/xtask/denied.txt";

/// Complaints about dependencies.
pub fn check(workspace: &Workspace) -> Result<Vec<String>, String> {
    let denied = workspace.read(DENIED)?;
    let mut complaints = Vec::new();
    for package in workspace.packages.iter().filter(|package| !package.ours) {
        let (name, version) = (&package.name, &package.version);
        if !satisfied(&package.licence, ALLOWED) {
            complaints.push(format!("{name} {version}: licence {:?} is not allowed", package.licence));
        }
        complaints.extend(advisory(&denied, name, version)?.map(|id| format!("{name} {version}: {id}")));
    }
    println!("licences: {} dependencies", workspace.packages.iter().filter(|package| !package.ours).count());
    Ok(complaints)
}

/// The advisory that covers a version. Lines are `name below-version id`, `*` for every version.
fn advisory(denied: &str, name: &str, version: &str) -> Result<Option<String>, String> {
    for line in denied.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let [denied_name, below, id] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            return Err(format!("{DENIED}: {line:?} is not `name below-version id`"));
        };
        if denied_name == name && (below == "*" || numbers(version)? < numbers(below)?) {
            return Ok(Some(id.to_owned()));
        }
    }
    Ok(None)
}

fn numbers(version: &str) -> Result<Vec<u64>, String> {
    let release = version.split(['-', '+']).next().unwrap_or("");
    release.split('.').map(|part| part.parse().map_err(|_| format!("{version:?} is not a version"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_advisory_covers_the_versions_below_the_fixed_one() {
        let list = "# comment\nring 0.17.12 RUSTSEC-2025-0009\nrsa * RUSTSEC-2023-0071\n";
        assert_eq!(advisory(list, "ring", "0.17.9").unwrap().as_deref(), Some("RUSTSEC-2025-0009"));
        assert_eq!(advisory(list, "ring", "0.17.12").unwrap(), None);
        assert_eq!(advisory(list, "ring", "0.17.14+x").unwrap(), None);
        assert!(advisory(list, "rsa", "9.0.0").unwrap().is_some());
        assert!(advisory("ring 1", "ring", "0.1.0").is_err());
    }
}
