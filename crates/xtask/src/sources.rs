//! Words that must not stand in sources, and paths that must not stand anywhere.

use crate::{
    code::{code_of, has_word, without_tests},
    layers::{self, NO_STD},
    workspace::Workspace,
};

/// Files in which `unsafe` may stand, each with its reason.
const UNSAFE_ALLOWED: &[(&str, &str)] = &[
    ("crates/obf-auth/tests/allocations/main.rs", "a counting allocator, in a test"),
    ("crates/obf-net/src/psk/hint.rs", "OpenSSL's PSK identity hint has no safe binding"),
    ("crates/obf-net/src/scheduling.rs", "the standard library knows no scheduling policies"),
    ("crates/obf-store/src/fault.rs", "a SQLite VFS for the durability tests, behind a feature of theirs"),
    ("tests/nostd/src/main.rs", "an allocator and a C main, without std"),
];

/// Not in the cores (layers 0 to 2): they take time and randomness as parameters and never wait.
const NOT_IN_CORES: &[&str] = &[
    "async",
    ".await",
    "std::net",
    "std::fs",
    "std::thread",
    "SystemTime",
    "Instant",
    "tokio",
    "getrandom",
    "thread_rng",
];

/// Files of the Resource Server in which a secret may be exposed, each with what it is. None of them is a subscriber's
/// key: those are in clear in `obf-kms` only.
const EXPOSES: &[(&str, &str)] = &[
    ("crates/obf-resource/src/node.rs", "the password of the database"),
    ("crates/obf-resource/src/rpr/auth_servers.rs", "the length of a RADIUS secret"),
    ("crates/obf-resource/src/registry/applications.rs", "security settings, read as hex digits"),
    ("crates/obf-resource/src/vectors/hlr.rs", "the vectors of an HLR"),
];
const RESOURCE_SERVER: &str = "crates/obf-resource/src/";

/// Nowhere: unfinished or switched off.
const NOWHERE: &[&str] = &["todo!", "unimplemented!", "#[ignore", "dbg!"];

/// A file beyond this many lines makes a note.
const LONG: usize = 600;

/// Complaints about words and paths.
pub fn check(workspace: &Workspace) -> Result<Vec<String>, String> {
    let mut complaints = Vec::new();
    for file in &workspace.files {
        let text = workspace.read(file)?;
        complaints.extend(machine_paths(file, &text));
        if file.ends_with(".rs") {
            complaints.extend(words(file, &code_of(&text)));
        }
    }
    for package in workspace.ours().filter(|package| layers::layer(&package.name).is_some_and(|l| l <= 2)) {
        let root = format!("crates/{}/src/lib.rs", package.name);
        let code = code_of(&workspace.read(&root)?);
        if !code.contains("#![forbid(unsafe_code)]") {
            complaints.push(format!("{root} lacks #![forbid(unsafe_code)]"));
        }
        if NO_STD.contains(&package.name.as_str()) && !code.contains("#![no_std]") {
            complaints.push(format!("{root} lacks #![no_std]: a device needs it"));
        }
    }
    Ok(complaints)
}

/// Files that have grown long: ask what noun hides in them.
pub fn long_files(workspace: &Workspace) -> Result<Vec<String>, String> {
    let mut out = Vec::new();
    for file in workspace.files.iter().filter(|file| file.ends_with(".rs")) {
        let lines = workspace.read(file)?.lines().count();
        if lines > LONG {
            out.push(format!("{file} has {lines} lines"));
        }
    }
    Ok(out)
}

fn words(file: &str, code: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut complain = |number: usize, word: &str, why: &str| {
        complaints.push(format!("{file}:{}: {word} {why}", number + 1));
    };
    let allowed = UNSAFE_ALLOWED.iter().any(|(path, _)| *path == file);
    for (number, line) in code.lines().enumerate() {
        for word in NOWHERE.iter().filter(|word| has_word(line, word)) {
            complain(number, word, "stands nowhere here");
        }
        if !allowed && has_word(line, "unsafe") {
            complain(number, "unsafe", "is allowed only in the files that crates/xtask/src/sources.rs names");
        }
    }
    if file.starts_with(RESOURCE_SERVER) && !EXPOSES.iter().any(|(path, _)| *path == file) {
        for (number, _) in
            without_tests(code).lines().enumerate().filter(|(_, line)| has_word(line, "expose"))
        {
            complain(number, "expose", "is for the files that crates/xtask/src/sources.rs names");
        }
    }
    if file.starts_with("crates/obf-rpo/src/") {
        for (number, _) in code.lines().enumerate().filter(|(_, line)| has_word(line, "Ks")) {
            complain(number, "Ks", "does not travel on RPO: AppKey does");
        }
    }
    if is_core(file) {
        for (number, line) in without_tests(code).lines().enumerate() {
            for word in NOT_IN_CORES.iter().filter(|word| has_word(line, word)) {
                complain(number, word, "has no place in a core (layers 0 to 2)");
            }
        }
    }
    complaints
}

/// Whether it is library source of a crate of layers 0 to 2.
fn is_core(file: &str) -> bool {
    let mut parts = file.split('/');
    parts.next() == Some("crates")
        && parts.next().and_then(layers::layer).is_some_and(|layer| layer <= 2)
        && parts.next() == Some("src")
}

/// Paths of a developer's machine. Spelled in halves, or this file would complain about itself.
fn machine_paths(file: &str, text: &str) -> Vec<String> {
    let paths =
        [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/tmp/tar", "get")];
    text.lines()
        .enumerate()
        .filter(|(_, line)| paths.iter().any(|path| line.contains(path)))
        .map(|(number, _)| format!("{file}:{}: a path of somebody's machine", number + 1))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forbidden_words_are_found() {
        let core = "crates/obf-aka/src/lib.rs";
        for (file, code, count) in [
            (core, "let now = SystemTime::now();", 1),
            (core, "async fn f() {}", 1),
            (core, "#[cfg(test)]\nmod tests { use std::net::UdpSocket; }", 0),
            ("crates/obf-net/src/lib.rs", "async fn f() { g().await }", 0),
            ("crates/obf-net/src/lib.rs", "unsafe { f() }", 1),
            ("crates/obf-rpo/src/grant.rs", "fn encode(ks: &Ks) {} // Ks", 1),
            ("crates/obf-resource/src/registry/record.rs", "let k = part.expose();", 1),
            ("crates/obf-resource/src/vectors/hlr.rs", "let ck = ck.expose();", 0),
            ("crates/obf-net/tests/a.rs", "#[ignore = \"\"] fn f() { todo!() }", 2),
        ] {
            assert_eq!(words(file, code).len(), count, "{code}");
        }
        assert_eq!(machine_paths("a", concat!("x /wo", "rk/y")).len(), 1);
    }
}
