//! What stands in one place only: sockets are opened in `obf-net`, SQL is written in `obf-store`.

use crate::{
    code::{code_of, has_word, strings_of, without_tests},
    workspace::Workspace,
};

/// Something that has one home.
struct Place {
    what: &'static str,
    /// The folder of the crate that has it.
    home: &'static str,
    /// What shows it.
    words: &'static [&'static str],
    /// The part of a source in which the words are looked for.
    of: fn(&str) -> String,
    /// Other files or folders that may have it, each with its reason.
    also: &'static [(&'static str, &'static str)],
}

const PLACES: &[Place] = &[
    Place {
        what: "sockets are opened in obf-net",
        home: "crates/obf-net/",
        words: &[
            "TcpListener::bind",
            "TcpStream::connect",
            "UdpSocket::bind",
            "TcpSocket",
            "UnixDatagram",
            "UnixListener",
            "UnixStream",
            "socket2",
        ],
        of: code_of,
        also: &[
            ("crates/obf-bench/src/", "baselines and raw clients stand beside ours"),
            ("crates/obf/src/commands/init.rs", "asks for a free port, without a runtime"),
            ("crates/obf/src/systemd.rs", "tells systemd"),
        ],
    },
    Place {
        what: "SQL is written in obf-store",
        home: "crates/obf-store/",
        words: &["SELECT", "INSERT INTO", "DELETE FROM", "CREATE TABLE", "ALTER TABLE", "PRAGMA"],
        of: strings_of,
        also: &[
            ("crates/obf-bench/src/hlr.rs", "fills the tables of osmo-hlr, not ours"),
            ("crates/obf-bench/src/postgres.rs", "asks a server of its own whether it is up"),
        ],
    },
];

/// Development only, and not under these rules: tests, and the crates that run them.
const DEVELOPMENT: &[&str] = &["crates/obf-testkit/", "crates/xtask/", "tests/"];

/// Complaints about what stands elsewhere, and about exceptions that are none any more.
pub fn check(workspace: &Workspace) -> Result<Vec<String>, String> {
    let mut complaints = Vec::new();
    for place in PLACES {
        let mut used = vec![false; place.also.len()];
        for file in workspace.files.iter().filter(|file| is_ours(file)) {
            let found = complaints_of(place, file, &workspace.read(file)?);
            match place.also.iter().position(|(path, _)| file.starts_with(path)) {
                Some(exception) => {
                    used.get_mut(exception).into_iter().for_each(|used| *used |= !found.is_empty())
                }
                None => complaints.extend(found),
            }
        }
        let idle = place.also.iter().zip(used).filter(|(_, used)| !used);
        complaints.extend(idle.map(|((path, _), _)| format!("{path} needs no exception: {}", place.what)));
    }
    Ok(complaints)
}

/// Whether it is source that ships.
fn is_ours(file: &str) -> bool {
    file.ends_with(".rs")
        && file.starts_with("crates/")
        && !file.contains("/tests/")
        && !file.contains("/examples/")
        && !DEVELOPMENT.iter().any(|folder| file.starts_with(folder))
}

fn complaints_of(place: &Place, file: &str, source: &str) -> Vec<String> {
    if file.starts_with(place.home) {
        return Vec::new();
    }
    let text = (place.of)(without_tests(source));
    let lines = text.lines().enumerate();
    let found = lines.flat_map(|(number, line)| {
        let words = place.words.iter().filter(move |word| has_word(line, word));
        words.map(move |word| format!("{file}:{}: {word}: {}", number + 1, place.what))
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_and_sql_outside_their_places_are_found() {
        let [sockets, sql] = PLACES else { panic!("two rules") };
        for (place, file, source, count) in [
            (sockets, "crates/obf-app/src/a.rs", "let l = TcpListener::bind(address).await?;", 1),
            (sockets, "crates/obf-app/src/a.rs", "let s = std::net::TcpStream::connect(x)?;", 1),
            (sockets, "crates/obf-app/src/a.rs", "fn f(l: TcpListener) {} // TcpListener::bind", 0),
            (sockets, "crates/obf-app/src/a.rs", "#[cfg(test)]\nmod tests { UdpSocket::bind(x) }", 0),
            (sockets, "crates/obf-net/src/socket.rs", "TcpListener::bind(address).await", 0),
            (sql, "crates/obf/src/a.rs", "db.execute(\"DELETE FROM tokens\")", 1),
            (sql, "crates/obf/src/a.rs", "let q = \"\n  SELECT a\n  FROM b\";", 1),
            (sql, "crates/obf/src/a.rs", "// SELECT a FROM b\nlet x = \"select one of these\";", 0),
            (sql, "crates/obf-store/src/a.rs", "\"INSERT INTO t\"", 0),
        ] {
            assert_eq!(complaints_of(place, file, source).len(), count, "{file}: {source}");
        }
        assert!(is_ours("crates/obf/src/main.rs"));
        for file in
            ["crates/obf-app/tests/all/a.rs", "crates/obf-testkit/src/a.rs", "tests/nostd/src/main.rs"]
        {
            assert!(!is_ours(file), "{file}");
        }
    }
}
