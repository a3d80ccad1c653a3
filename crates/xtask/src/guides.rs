//! What `CONTRIBUTING.md` and `docs/development` point at is there: they name files to follow.

use crate::workspace::Workspace;

/// Folders that a path begins with, as written from the root.
const FOLDERS: &[&str] = &["crates/", "docs/", "tests/", "benches/", ".ci/"];

/// Complaints about the guides.
pub fn check(workspace: &Workspace) -> Result<Vec<String>, String> {
    let guides = workspace.files_under("docs/development", ".md").map(String::as_str);
    let mut complaints = Vec::new();
    for guide in guides.chain(["CONTRIBUTING.md"]) {
        let page = workspace.read(guide)?;
        let absent = paths(&page).filter(|path| !workspace.root.join(path).exists());
        complaints.extend(absent.map(|path| format!("{guide} names {path}, which does not exist")));
    }
    Ok(complaints)
}

/// Code spans that are a path from the root.
fn paths(page: &str) -> impl Iterator<Item = &str> {
    let spans = page.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    spans.filter(|span| !span.contains([' ', '*']) && FOLDERS.iter().any(|folder| span.starts_with(folder)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_among_code_spans() {
        let page =
            "See `crates/obf-store/src/engine.rs`, `cargo test -p crates/x`, `Engine`\nand `.ci/packages`.";
        assert!(paths(page).eq(["crates/obf-store/src/engine.rs", ".ci/packages"]));
    }
}
