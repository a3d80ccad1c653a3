//! `docs/openapi.json` and `docs/openapi-auth.json`: the descriptions of the admin APIs for those who read files. A test of
//! `obf-admin` says when one is stale.

use crate::workspace::Workspace;

/// Writes them.
pub fn write(workspace: &Workspace) -> Result<Vec<String>, String> {
    for api in obf_admin::Api::ALL {
        let document = obf_admin::openapi::document(api);
        let text = serde_json::to_string_pretty(&document).map_err(|error| error.to_string())?;
        let path = workspace.root.join("docs").join(api.file());
        std::fs::write(&path, text + "\n").map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(Vec::new())
}
