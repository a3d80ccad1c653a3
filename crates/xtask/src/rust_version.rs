//! `rust-version` is not belied by what we depend on: no dependency declares that it needs a later one. That our own
//! code uses nothing later of the standard library is clippy's `incompatible_msrv`, which reads the same field.

use crate::workspace::Workspace;

/// Complaints about versions of Rust.
pub fn check(workspace: &Workspace) -> Result<Vec<String>, String> {
    let ours: Vec<(&str, Option<Version>)> =
        workspace.ours().map(|package| (package.name.as_str(), version(&package.rust_version))).collect();
    let claimed = ours.first().and_then(|(_, version)| *version).ok_or("no rust-version in Cargo.toml")?;
    let other = ours.iter().filter(|(_, version)| *version != Some(claimed));
    let mut complaints: Vec<String> = other
        .map(|(name, _)| format!("{name} has another rust-version than the workspace, or none"))
        .collect();
    for package in workspace.packages.iter().filter(|package| !package.ours) {
        if version(&package.rust_version).is_some_and(|needed| needed > claimed) {
            let (name, version, needed) = (&package.name, &package.version, &package.rust_version);
            complaints
                .push(format!("{name} {version} needs Rust {needed}, which is later than our rust-version"));
        }
    }
    Ok(complaints)
}

type Version = (u32, u32, u32);

/// `1.89` or `1.89.1`; `None` for nothing, which claims nothing.
fn version(text: &str) -> Option<Version> {
    let mut parts = text.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??, parts.next().flatten().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Package;

    fn package(name: &str, rust_version: &str, ours: bool) -> Package {
        Package {
            name: name.into(),
            version: "1.0.0".into(),
            rust_version: rust_version.into(),
            licence: String::new(),
            ours,
            dependencies: Vec::new(),
        }
    }

    #[test]
    fn a_dependency_that_needs_a_later_rust_is_named() {
        let with = |dependency: &str, second: &str| Workspace {
            root: "".into(),
            packages: vec![
                package("obf-types", "1.89", true),
                package("obf-aka", second, true),
                package("dependency", dependency, false),
            ],
            files: Vec::new(),
        };
        for (dependency, second, count) in [
            ("", "1.89", 0),
            ("1.89.0", "1.89", 0),
            ("1.9", "1.89", 0),
            ("1.89.1", "1.89", 1),
            ("1.90", "1.89", 1),
            ("1.56", "1.88", 1),
            ("1.56", "", 1),
        ] {
            assert_eq!(
                check(&with(dependency, second)).map(|found| found.len()),
                Ok(count),
                "{dependency} {second}"
            );
        }
    }
}
