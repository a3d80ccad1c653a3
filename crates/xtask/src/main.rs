//! Checks of the house that no compiler makes: `cargo xtask tidy`, `cargo xtask licences`, `cargo xtask no-std`; and
//! what is made from the code: `cargo xtask openapi`.
//!
//! Reading order: [`workspace`] (what `cargo metadata` and `git ls-files` say), [`layers`], [`circles`], [`sources`], [`places`],
//! [`conformance`], [`guides`], [`licences`], [`rust_version`], [`nostd`], [`openapi`]. Each check returns its complaints as lines; none of them means fine.

mod circles;
mod code;
mod conformance;
mod guides;
mod layers;
mod licences;
mod nostd;
mod openapi;
mod places;
mod rust_version;
mod sources;
mod spdx;
mod workspace;

use std::process::ExitCode;
use workspace::Workspace;

const USAGE: &str = "usage: cargo xtask tidy|licences|rust-version|no-std|openapi

  tidy      layers of the crate graph, circles of files, forbidden words in sources, docs/conformance.md against tests, paths, lengths
  licences  every dependency's licence is allowed, none has an advisory in crates/xtask/denied.txt
  rust-version  no dependency needs a later Rust than `rust-version` says
  no-std    what a device needs links without std (tests/nostd)
  openapi   writes docs/openapi.json and docs/openapi-auth.json";

fn main() -> ExitCode {
    let command = std::env::args().nth(1).unwrap_or_default();
    let check: fn(&Workspace) -> Result<Vec<String>, String> = match command.as_str() {
        "tidy" => tidy,
        "licences" => licences::check,
        "rust-version" => rust_version::check,
        "no-std" => nostd::check,
        "openapi" => openapi::write,
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match Workspace::load().and_then(|workspace| check(&workspace)) {
        Ok(complaints) if complaints.is_empty() => {
            println!("{command}: ok");
            ExitCode::SUCCESS
        }
        Ok(complaints) => {
            for complaint in &complaints {
                eprintln!("{command}: {complaint}");
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{command}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn tidy(workspace: &Workspace) -> Result<Vec<String>, String> {
    let mut complaints = layers::check(workspace);
    complaints.extend(sources::check(workspace)?);
    complaints.extend(circles::check(workspace)?);
    complaints.extend(places::check(workspace)?);
    complaints.extend(conformance::check(workspace)?);
    complaints.extend(guides::check(workspace)?);
    for line in sources::long_files(workspace)? {
        println!("tidy: note: {line}");
    }
    Ok(complaints)
}
