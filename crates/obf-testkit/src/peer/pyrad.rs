//! pyrad ≥ 2.6 in a virtual environment of its own, made by `/usr/bin/python3` under the build's directory.

use super::python_environment;
use crate::peer::radclient::DICTIONARY;
use serde_json::{Value, json};
use std::{
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Asks once and prints the reply as JSON.
const SCRIPT: &str = include_str!("pyrad_ask.py");

/// The standard attributes that pyrad has no dictionary of its own for.
const STANDARD: &str = "\
ATTRIBUTE User-Name 1 string
ATTRIBUTE Reply-Message 18 string
ATTRIBUTE Session-Timeout 27 integer
ATTRIBUTE NAS-Identifier 32 string
ATTRIBUTE Proxy-State 33 octets
ATTRIBUTE Message-Authenticator 80 octets
VENDOR Microsoft 311
BEGIN-VENDOR Microsoft
ATTRIBUTE MS-MPPE-Send-Key 16 octets encrypt=2
ATTRIBUTE MS-MPPE-Recv-Key 17 octets encrypt=2
END-VENDOR Microsoft
";

/// The environment's Python.
///
/// # Panics
/// It cannot be made; the message says what is missing.
pub fn python() -> PathBuf {
    python_environment("pyrad", "pyrad>=2.6", |programs| works(&programs.join("python3"))).join("python3")
}

/// Sends one Access-Request with attributes by name; a list stands for a repeated attribute, and octets are written as
/// `0x…`. The answer has `code` (a number, `null` if none came) and `attributes` by name, each a list.
///
/// # Panics
/// pyrad cannot be run, or refuses the reply: it requires a valid Message-Authenticator.
pub fn ask(to: SocketAddr, secret: &str, attributes: &Value) -> Value {
    let request = json!({
        "host": to.ip().to_string(),
        "port": to.port(),
        "secret": secret,
        "dictionary": format!("{STANDARD}{DICTIONARY}"),
        "attributes": attributes,
    });
    let mut child = Command::new(python())
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("python3: {error}"));
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(request.to_string().as_bytes()).expect("the script reads its input");
    drop(stdin);
    let output = child.wait_with_output().expect("a child that was spawned");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "pyrad: {errors}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"))
}

fn works(python: &Path) -> bool {
    let check =
        "import importlib.metadata as m; assert tuple(map(int, m.version('pyrad').split('.')[:2])) >= (2, 6)";
    Command::new(python).args(["-c", check]).output().is_ok_and(|output| output.status.success())
}
