//! schemathesis ≥ 4 in a virtual environment of its own, made by `/usr/bin/python3` under the build's directory.

use super::python_environment;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Examples for each operation and phase: with some sixty operations a run takes a minute or two.
const EXAMPLES: &str = "10";

/// What of its checks needs saying. A request that fits its schema may still be refused: a check digit is wrong, two
/// fields do not go together, what it names is not there, the object has another version.
const SETTINGS: &str = r#"
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409", "412", "422"]

[[operations]]
# A batch of ten million secure elements takes longer than a test.
include-operation-id = "kms.create"
enabled = false

[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "406", "409", "412", "413", "415", "422"]
"#;

/// How it writes JSON lines, which it does not know.
const HOOKS: &str = r#"
import json
import schemathesis

@schemathesis.serializer("application/jsonl", "application/x-ndjson", "text/csv", "application/pskc+xml")
def lines(ctx, value):
    rows = value if isinstance(value, list) else [value]
    return "\n".join(json.dumps(row) for row in rows).encode() or b"\n"
"#;

/// The environment's program.
///
/// # Panics
/// It cannot be made; the message says what is missing.
pub fn program() -> PathBuf {
    let works = |programs: &Path| {
        let version = Command::new(programs.join("schemathesis")).arg("--version").output();
        version.is_ok_and(|version| version.status.success())
    };
    python_environment("schemathesis", "schemathesis>=4,<5", works).join("schemathesis")
}

/// Runs every check against the document at `url`, trusting `ca`, with that bearer token. `directory` takes what it
/// writes.
///
/// # Panics
/// It found something; the message is its report.
pub fn finds_nothing(url: &str, ca: &Path, token: &str, directory: &Path) {
    let settings = directory.join("schemathesis.toml");
    fs::write(&settings, SETTINGS).expect("a writable directory");
    fs::write(directory.join("hooks.py"), HOOKS).expect("a writable directory");
    let mut report = run(url, ca, token, directory, &settings);
    // Python 3.11 sometimes fails in its own parser; that is no finding.
    if report.as_ref().is_err_and(|report| !report.contains("- ST")) {
        report = run(url, ca, token, directory, &settings);
    }
    if let Err(report) = report {
        panic!("{report}");
    }
}

fn run(url: &str, ca: &Path, token: &str, directory: &Path, settings: &Path) -> Result<(), String> {
    let ran = Command::new(program())
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONPATH", directory)
        .arg("--config-file")
        .arg(settings)
        .args([
            "run",
            url,
            "--seed",
            "1",
            "--no-color",
            "--workers",
            "1",
            "--generation-database",
            ":memory:",
        ])
        .args(["--max-examples", EXAMPLES, "--suppress-health-check", "all", "--request-timeout", "20"])
        .arg("--tls-verify")
        .arg(ca)
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .current_dir(directory)
        .output()
        .expect("schemathesis");
    let report = String::from_utf8_lossy(&ran.stdout);
    if ran.status.success() {
        return Ok(());
    }
    Err(format!("{report}{}", String::from_utf8_lossy(&ran.stderr)))
}
