//! `docs/conformance.md` against the sources: a row for every number, and no test or path named that is not there.

use crate::{code::code_of, workspace::Workspace};
use std::collections::{BTreeMap, BTreeSet};

const PAGE: &str = "docs/conformance.md";

/// The numbers of the requirements, prefix and last.
const NUMBERS: &[(&str, u8)] =
    &[("N", 3), ("P", 4), ("C", 11), ("R", 21), ("D", 3), ("A", 3), ("W", 5), ("U", 14)];

/// Terms of clause 3 that ask for something.
const TERMS: &[&str] = &["3.1.1", "3.1.8", "3.1.9", "3.2.1", "3.2.8"];

/// Complaints about the page.
pub fn check(workspace: &Workspace) -> Result<Vec<String>, String> {
    let page = workspace.read(PAGE)?;
    let mut tests = BTreeSet::new();
    for file in workspace.files_under("", ".rs") {
        tests.extend(test_names(&code_of(&workspace.read(file)?)));
    }
    let exists = |path: &str| workspace.root.join(path).exists();
    Ok(complaints(&page, &tests, exists))
}

fn complaints(page: &str, tests: &BTreeSet<String>, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let rows = rows(page);
    let mut out = Vec::new();
    for number in numbers() {
        match rows.get(number.as_str()).map(Vec::as_slice) {
            None => out.push(format!("{PAGE} has no row for {number}")),
            Some([row]) => {
                let named: Vec<&str> = code_spans(row).filter(|span| is_test_name(span)).collect();
                if named.is_empty() && !row.contains("*open*") {
                    out.push(format!("{PAGE}: {number} names no test and is not *open*"));
                }
            }
            Some(_) => out.push(format!("{PAGE} has several rows for {number}")),
        }
    }
    for span in code_spans(page) {
        if is_test_name(span) && !tests.contains(span) {
            out.push(format!("{PAGE} names the test {span}, which no source has"));
        }
        if span.contains('/') && !span.contains(' ') && !span.starts_with('/') && !exists(span) {
            out.push(format!("{PAGE} names {span}, which does not exist"));
        }
    }
    out
}

fn numbers() -> impl Iterator<Item = String> {
    let counted = NUMBERS.iter().flat_map(|(prefix, last)| (1..=*last).map(move |n| format!("{prefix}{n}")));
    counted.chain(["T"].iter().chain(TERMS).map(|number| (*number).to_owned()))
}

/// Table rows by their first cell.
fn rows(page: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut out: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in page.lines() {
        if let Some((number, row)) = line.strip_prefix("| ").and_then(|line| line.split_once(" |")) {
            out.entry(number.trim()).or_default().push(row);
        }
    }
    out
}

fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// A test's name is a sentence: three words at least.
fn is_test_name(span: &str) -> bool {
    span.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && span.matches('_').count() >= 2
}

/// Functions under a test attribute, `proptest!`'s included, and those of a battery (`on_each_engine!`).
fn test_names(code: &str) -> Vec<String> {
    let mut out = Vec::new();
    let (mut marked, mut battery) = (false, false);
    for whole in code.lines() {
        let line = whole.trim();
        battery = line == "on_each_engine! {" || (battery && whole != "}");
        marked |= battery && whole.starts_with("    async fn ");
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            marked = true;
        } else if marked
            && let Some((_, rest)) = line.split_once("fn ")
            && let Some((name, _)) = rest.split_once('(')
        {
            out.push(name.trim().to_owned());
            marked = false;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_rows_tests_and_paths_are_named() {
        let tests = test_names(
            "#[test]\nfn a_real_test() {}\nfn no_test_here() {}\non_each_engine! {\n    async fn a_test_of_both(db: Db) {\n    }\n}\nfn nor_this_one() {}",
        );
        let tests: BTreeSet<String> = tests.into_iter().collect();
        assert_eq!(tests.len(), 2);
        let mut page = String::new();
        for number in numbers().filter(|number| number != "R13") {
            page.push_str(&format!("| {number} | x | `a_real_test` |\n"));
        }
        let found = |page: &str| complaints(page, &tests, |path| path == "crates/obf-aka");
        assert_eq!(found(&page), ["docs/conformance.md has no row for R13"]);
        for (row, count) in [
            ("| R13 | x | *open*: later |", 0),
            ("| R13 | `crates/obf-aka` | `a_real_test` |", 0),
            ("| R13 | x | true |", 1),
            ("| R13 | x | `a_test_not_there` |", 1),
            ("| R13 | `crates/obf-none` | `a_real_test` |", 1),
        ] {
            assert_eq!(found(&format!("{page}{row}\n")).len(), count, "{row}");
        }
    }
}
