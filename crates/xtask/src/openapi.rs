//! `docs/openapi.json`: the description of the admin API for those who read files. A test of `obf-admin` says when it
//! is stale.

use crate::workspace::Workspace;

/// Writes it.
pub fn write(workspace: &Workspace) -> Result<Vec<String>, String> {
    let document = obf_admin::openapi::document();
    let text = serde_json::to_string_pretty(&document).map_err(|error| error.to_string())?;
    let path = workspace.root.join("docs/openapi.json");
    std::fs::write(&path, text + "\n").map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Vec::new())
}
