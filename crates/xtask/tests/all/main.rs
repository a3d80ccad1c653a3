//! `docs/wires.md` is the contract: its worked examples are recomputed here by this code, and in `tests/peers` by a
//! Python script that shares nothing with it; its tables are those of the sources.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod document;
mod keys;
mod radius;

use document::{Example, examples, page};
use obf_types::Refusal;
use std::collections::BTreeSet;

#[test]
fn wires_md_examples_are_what_this_code_does() {
    let mut seen = BTreeSet::new();
    for example in examples() {
        check(&example);
        seen.insert(example.name.clone());
    }
    let names = ["auts", "digest", "envelope", "gba-me", "milenage", "obf-1", "radius", "sqn", "token-id"];
    assert!(seen.iter().map(String::as_str).eq(names), "{seen:?}");
}

fn check(example: &Example) {
    match example.name.as_str() {
        "milenage" => keys::milenage(example),
        "sqn" => keys::sqn(example),
        "auts" => keys::auts(example),
        "token-id" => keys::token_id(example),
        "gba-me" => keys::gba_me(example),
        "obf-1" => keys::obf_1(example),
        "envelope" => keys::envelope(example),
        "digest" => keys::digest(example),
        "radius" => radius::packet(example),
        other => panic!("an example of an unknown kind: {other}"),
    }
}

#[test]
fn wires_md_lists_every_refusal_with_its_words() {
    let page = page();
    for refusal in Refusal::ALL {
        let row = format!("| {} | {} |", refusal.code(), refusal.text());
        assert_eq!(page.lines().filter(|line| *line == row).count(), 1, "{row}");
    }
    let rows = page.lines().filter(|line| {
        let code = line.strip_prefix("| ").and_then(|line| line.get(..3));
        code.is_some_and(|code| code.bytes().all(|b| b.is_ascii_digit())) && line.matches('|').count() == 3
    });
    assert_eq!(rows.count(), Refusal::ALL.len());
}

#[test]
fn wires_md_names_the_suites_of_rpa_in_order() {
    let listed = |suites: &[obf_rpa::Suite]| {
        suites.iter().map(|suite| format!("{:04X}", suite.number)).collect::<Vec<_>>().join(", ")
    };
    let page = page();
    assert!(page.contains(&format!("in this order: {}.", listed(&obf_rpa::Suite::TLS12))));
    assert!(page.contains(&format!("suites with SHA-256: {}.", listed(&obf_rpa::Suite::TLS13))));
}

#[test]
fn wires_md_states_each_outcome_of_rpb_under_its_status() {
    let page = page();
    let table: Vec<&str> = page.lines().filter(|line| line.starts_with("| ")).collect();
    for outcome in obf_rpb::Outcome::ALL {
        let status = outcome.status().to_string();
        let told = outcome.told().map(|refusal| format!("OBF-{}", refusal.code()));
        let row = table.iter().any(|line| {
            let cells: Vec<&str> = line.split('|').collect();
            cells.len() == 4
                && cells[2].contains(&status)
                && told.as_ref().is_none_or(|code| cells[1].contains(code))
        });
        assert!(row, "{outcome:?}: {status} {told:?}");
    }
}

#[test]
fn wires_md_names_every_problem_of_the_admin_api() {
    let page = page();
    let sources = [
        include_str!("../../../obf-resource/src/admin/problem.rs"),
        include_str!("../../../obf-admin-http/src/problem.rs"),
    ];
    // Of what kind an object is, in the same file.
    let kinds = ["resource-server", "application-provider"];
    let is_code = |text: &str| {
        text.contains('-')
            && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
            && !kinds.contains(&text)
    };
    let mut found = 0;
    for code in
        sources.iter().flat_map(|source| source.split('"').skip(1).step_by(2)).filter(|text| is_code(text))
    {
        assert!(page.contains(&format!("`{code}`")), "{code}");
        found += 1;
    }
    assert!(found > 10);
}
