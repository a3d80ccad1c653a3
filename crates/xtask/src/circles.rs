//! No circle of files: what a file of a crate takes from its other files, as its `crate::` paths say.

use crate::{
    code::{code_of, without_tests},
    workspace::Workspace,
};
use std::collections::{BTreeMap, BTreeSet};

/// Folders whose files stand in no circle, and what a path from one to another begins with. A folder inside is one file
/// here.
const CHECKED: &[(&str, &str)] = &[
    ("crates/obf-ais140/src/", "crate::"),
    ("crates/obf-auth/src/", "crate::"),
    ("crates/obf-gsup/src/", "crate::"),
    ("crates/obf-kms/src/", "crate::"),
    ("crates/obf-resource/src/", "crate::"),
    ("crates/obf-resource/src/rpr/", "super::"),
];

/// Which file takes from which.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// Complaints about circles.
pub fn check(workspace: &Workspace) -> Result<Vec<String>, String> {
    let mut complaints = Vec::new();
    for (folder, prefix) in CHECKED {
        let mut graph = Graph::new();
        for file in &workspace.files {
            let Some(path) = file.strip_prefix(folder).filter(|path| path.ends_with(".rs")) else {
                continue;
            };
            let module = path.split(['/', '.']).next().unwrap_or_default();
            // The root names all of them.
            if !matches!(module, "lib" | "main" | "mod") {
                let code = code_of(&workspace.read(file)?);
                graph.entry(module.to_owned()).or_default().extend(taken(without_tests(&code), prefix));
            }
        }
        complaints.extend(circle(graph).map(|files| format!("{folder}: a circle of files: {files}")));
    }
    Ok(complaints)
}

/// The first names behind `prefix`, alone or in braces.
fn taken(code: &str, prefix: &str) -> BTreeSet<String> {
    let name = |text: &str| {
        let text = text.trim_start();
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        text.get(..end).unwrap_or_default().to_owned()
    };
    let mut names = BTreeSet::new();
    for path in code.split(prefix).skip(1) {
        let Some(group) = path.strip_prefix('{') else {
            names.insert(name(path));
            continue;
        };
        let mut depth = 0;
        for (at, c) in std::iter::once((0, ',')).chain(group.char_indices().map(|(at, c)| (at + 1, c))) {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    names.insert(name(group.get(at..).unwrap_or_default()));
                }
                _ => {}
            }
        }
    }
    names.remove("");
    names
}

/// One circle of a graph, as `a → b → a`.
fn circle(mut graph: Graph) -> Option<String> {
    let files: BTreeSet<String> = graph.keys().cloned().collect();
    for (file, takes) in &mut graph {
        takes.retain(|other| other != file && files.contains(other));
    }
    // What takes from nothing that is left stands in no circle.
    while let Some(free) = graph.iter().find(|(_, takes)| takes.is_empty()).map(|(file, _)| file.clone()) {
        graph.remove(&free);
        for takes in graph.values_mut() {
            takes.remove(&free);
        }
    }
    // Every file that is left takes from one that is left: following them comes back to where it was.
    let mut way = vec![graph.keys().next()?.clone()];
    loop {
        let next = graph.get(way.last()?)?.iter().next()?.clone();
        let been = way.iter().position(|file| *file == next);
        way.push(next);
        if let Some(from) = been {
            return Some(way.get(from..)?.join(" → "));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_behind_crate_are_what_a_file_takes() {
        let code =
            "use crate::{\n    b::{B, c::C},\n    d::D, e,\n};\nuse crate::f::F;\nfn g() { crate::h::i() }";
        let names: Vec<_> = taken(code, "crate::").into_iter().collect();
        assert_eq!(names, ["b", "d", "e", "f", "h"]);
        let names: Vec<_> = taken("use super::{a, b::B};\nuse crate::c::C;", "super::").into_iter().collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn a_circle_is_found_and_named() {
        let graph = |edges: &[(&str, &[&str])]| -> Graph {
            let to = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            edges.iter().map(|(file, takes)| ((*file).to_owned(), to(takes))).collect()
        };
        assert_eq!(circle(graph(&[("a", &["b", "c"]), ("b", &["c", "b"]), ("c", &["std"])])), None);
        let found = circle(graph(&[("a", &["b"]), ("b", &["c"]), ("c", &["d", "b"]), ("d", &[])]));
        assert_eq!(found.as_deref(), Some("b → c → b"));
    }
}
