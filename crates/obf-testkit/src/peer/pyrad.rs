//! pyrad ≥ 2.6 in a virtual environment of its own, made by `/usr/bin/python3` under the build's directory.

use super::lasting_directory;
use crate::peer::radclient::DICTIONARY;
use serde_json::{Value, json};
use std::{
    fs::File,
    io::Write,
    net::SocketAddr,
    path::PathBuf,
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
    let directory = lasting_directory("pyrad");
    let python = directory.join("bin/python3");
    let lock = File::create(directory.join("lock")).expect("a writable directory");
    lock.lock().expect("a file that can be locked");
    if works(&python) {
        return python;
    }
    let made = Command::new("/usr/bin/python3").args(["-m", "venv"]).arg(&directory).output();
    let made = made.unwrap_or_else(|error| panic!("/usr/bin/python3: {error}: apt-get install python3-venv"));
    assert!(
        made.status.success(),
        "apt-get install python3-venv:\n{}",
        String::from_utf8_lossy(&made.stdout)
    );
    let mut pip = Command::new(&python);
    let installed = pip.args(["-m", "pip", "install", "--quiet", "pyrad>=2.6"]).output().expect("pip");
    assert!(works(&python), "pyrad>=2.6: {}", String::from_utf8_lossy(&installed.stderr));
    python
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

fn works(python: &PathBuf) -> bool {
    let check =
        "import importlib.metadata as m; assert tuple(map(int, m.version('pyrad').split('.')[:2])) >= (2, 6)";
    Command::new(python).args(["-c", check]).output().is_ok_and(|output| output.status.success())
}
