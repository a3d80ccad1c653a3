//! `radclient` of FreeRADIUS, with `docs/dictionary.obf` beside its own dictionaries.

use super::program;
use std::{
    io::Write,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
};

/// `docs/dictionary.obf`.
pub const DICTIONARY: &str = include_str!("../../../../docs/dictionary.obf");

/// What came of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The reply's packet type, for example `Access-Accept`; empty if none came.
    pub code: String,
    /// The reply's attributes in order, values as radclient prints them.
    pub attributes: Vec<(String, String)>,
    /// All that it wrote.
    pub output: String,
}

impl Answer {
    /// The first value of an attribute; empty if it is not there.
    pub fn value(&self, name: &str) -> &str {
        self.attributes.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }

    /// Every value of an attribute.
    pub fn values(&self, name: &str) -> Vec<&str> {
        let named = self.attributes.iter().filter(|(found, _)| found == name);
        named.map(|(_, value)| value.as_str()).collect()
    }
}

/// Writes a dictionary directory that holds FreeRADIUS's dictionaries and ours.
///
/// # Panics
/// It cannot be written.
pub fn write_dictionaries(directory: &Path) {
    let text = format!("$INCLUDE /usr/share/freeradius/dictionary\n{DICTIONARY}");
    std::fs::write(directory.join("dictionary"), text).expect("a writable directory");
}

/// Sends one request (`auth`, `status`, `disconnect`, `coa`) with attributes as radclient reads them, one a line.
/// `tries` datagrams, a second apart; use 1 where silence is expected.
///
/// # Panics
/// radclient cannot be run.
pub fn ask(to: SocketAddr, command: &str, secret: &str, attributes: &str, tries: u32) -> Answer {
    let directory = tempfile::tempdir().expect("a temporary directory");
    write_dictionaries(directory.path());
    let secret_file = directory.path().join("secret");
    std::fs::write(&secret_file, secret).expect("a writable directory");
    let mut child = Command::new(program("radclient", "freeradius-utils"))
        .args(["-x", "-t", "1", "-r", &tries.to_string()])
        .arg("-D")
        .arg(directory.path())
        .arg("-S")
        .arg(&secret_file)
        .args([&to.to_string(), command])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("radclient: {error}"));
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(attributes.as_bytes()).expect("radclient reads its input");
    drop(stdin);
    let output = child.wait_with_output().expect("a child that was spawned");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    read(text)
}

fn read(output: String) -> Answer {
    let received = output.split_once("Received ").map_or("", |(_, rest)| rest);
    let mut lines = received.lines();
    let code = lines.next().and_then(|line| line.split(' ').next()).unwrap_or_default().to_owned();
    let attributes = lines
        .take_while(|line| line.starts_with('\t'))
        .filter_map(|line| line.trim().split_once(" = "))
        .map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()))
        .collect();
    Answer { code, attributes, output }
}
