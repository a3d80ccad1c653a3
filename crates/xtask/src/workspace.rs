//! What `cargo metadata` and `git ls-files` say.

use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The workspace, its packages and its tracked files.
pub struct Workspace {
    /// Its root.
    pub root: PathBuf,
    /// All packages, dependencies included.
    pub packages: Vec<Package>,
    /// Tracked files, relative to the root; new ones too, unless ignored.
    pub files: Vec<String>,
}

/// A package of the dependency graph.
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The Rust that it says it needs, or empty.
    pub rust_version: String,
    /// SPDX expression, or empty.
    pub licence: String,
    /// Whether it is one of ours.
    pub ours: bool,
    /// Names of what it depends on, without development dependencies.
    pub dependencies: Vec<String>,
}

impl Workspace {
    /// Asks cargo and git; nothing is fetched.
    pub fn load() -> Result<Self, String> {
        let metadata =
            output(Command::new(env!("CARGO")).args(["metadata", "--format-version", "1", "--locked"]))?;
        let metadata: Value = serde_json::from_str(&metadata).map_err(|e| format!("cargo metadata: {e}"))?;
        let root = PathBuf::from(text(&metadata, "workspace_root"));
        let members: Vec<&str> = list(&metadata, "workspace_members").filter_map(Value::as_str).collect();
        let packages = list(&metadata, "packages").map(|package| Package::read(package, &members)).collect();
        let listed = output(Command::new("git").current_dir(&root).args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "--deduplicate",
        ]))?;
        let files = listed.lines().filter(|file| root.join(file).is_file()).map(str::to_owned).collect();
        Ok(Self { root, packages, files })
    }

    /// Our own packages.
    pub fn ours(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.ours)
    }

    /// The text of a file; lossy, as only ASCII words are looked for.
    pub fn read(&self, file: &str) -> Result<String, String> {
        let octets = std::fs::read(self.root.join(file)).map_err(|e| format!("{file}: {e}"))?;
        Ok(String::from_utf8_lossy(&octets).into_owned())
    }

    /// Tracked files below a folder with an ending.
    pub fn files_under<'a>(&'a self, folder: &'a str, ending: &'a str) -> impl Iterator<Item = &'a String> {
        self.files.iter().filter(move |file| Path::new(file).starts_with(folder) && file.ends_with(ending))
    }
}

impl Package {
    fn read(package: &Value, members: &[&str]) -> Self {
        let dependencies = list(package, "dependencies")
            .filter(|dependency| dependency.get("kind").is_none_or(|kind| kind.as_str() != Some("dev")))
            .map(|dependency| text(dependency, "name").to_owned())
            .collect();
        Self {
            name: text(package, "name").to_owned(),
            version: text(package, "version").to_owned(),
            rust_version: text(package, "rust_version").to_owned(),
            licence: text(package, "license").to_owned(),
            ours: members.contains(&text(package, "id")),
            dependencies,
        }
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or("")
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn output(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|e| format!("{name}: {e}"))?;
    if !output.status.success() {
        return Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
