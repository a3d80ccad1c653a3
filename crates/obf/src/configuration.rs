//! `obf.toml`: one section a node, each node crate's own `Config`, and `[admin]` for the commands that administer.
//!
//! Three layers, later ones win: built-in defaults, the file, `--set section.key=value`. Unknown sections and
//! keys are refused. Relative paths are relative to the file. Secrets stand in files of their own (`…_file`).

use crate::{admin::Node, endpoints::Endpoints, failure::Failure, files};
use serde::Deserialize;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};
use toml::{Table, Value};

/// The name of the file in a deployment's directory.
pub const FILE_NAME: &str = "obf.toml";

/// A configuration that was read, and where it stands.
pub struct Configuration {
    path: PathBuf,
    sections: Sections,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sections {
    admin: Option<AdminSection>,
    auth: Option<obf_auth::Config>,
    resource: Option<obf_resource::Config>,
}

/// `[admin]`: how the commands of this binary reach a deployment.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AdminSection {
    /// The trust anchors of the admin API's certificates, PEM.
    ca_file: PathBuf,
    /// The administrator's bearer token.
    token_file: PathBuf,
    /// `host:port` of the Authentication Server's admin API, if the server does not run from this file.
    auth: Option<String>,
    /// `host:port` of the Resource Server's admin API, if the server does not run from this file.
    resource: Option<String>,
}

/// What a call of a node's admin API needs.
pub struct AdminAccess {
    /// `host:port`.
    pub authority: String,
    /// Trust anchors, PEM.
    pub ca_file: PathBuf,
    /// Bearer token.
    pub token_file: PathBuf,
}

impl Configuration {
    /// Reads the file and lays `settings` (`section.key=value`) over it.
    ///
    /// # Errors
    /// The file cannot be read, is no TOML, has an unknown section or key, or a setting is malformed.
    pub fn load(path: &Path, settings: &[String]) -> Result<Self, Failure> {
        let octets = files::read(path).map_err(|failure| failure.next("obf init DIR"))?;
        let text = String::from_utf8(octets)
            .map_err(|_| bad(format_args!("{} is not UTF-8 text", path.display())))?;
        let located = |error: &dyn std::fmt::Display| bad(format_args!("{}: {error}", path.display()));
        // Read as it stands first: these errors name the line.
        toml::from_str::<Sections>(&text).map_err(|error| located(&error))?;
        let mut table: Table = toml::from_str(&text).map_err(|error| located(&error))?;
        for setting in settings {
            lay_over(&mut table, setting)?;
        }
        let absolute = std::path::absolute(path).map_err(|error| Failure::file(path, &error))?;
        let base = absolute.parent().unwrap_or(Path::new("/")).to_owned();
        table.iter_mut().for_each(|(_, section)| resolve_paths(section, &base));
        let sections = Value::Table(table).try_into().map_err(|error: toml::de::Error| located(&error))?;
        Ok(Self { path: absolute, sections })
    }

    /// The directory of the file, where a running server says its endpoints.
    pub fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    /// `[auth]`.
    ///
    /// # Errors
    /// The configuration has no such section.
    pub fn auth(&self) -> Result<obf_auth::Config, Failure> {
        self.sections.auth.clone().ok_or_else(|| self.no_section(Node::Auth))
    }

    /// `[resource]`.
    ///
    /// # Errors
    /// The configuration has no such section.
    pub fn resource(&self) -> Result<obf_resource::Config, Failure> {
        self.sections.resource.clone().ok_or_else(|| self.no_section(Node::Resource))
    }

    /// Whether a node's admin API is one of this deployment's: named in `[admin]`, or served from this file.
    pub fn has_admin(&self, node: Node) -> bool {
        let Sections { admin, auth, resource } = &self.sections;
        let named = admin.as_ref().is_some_and(|admin| match node {
            Node::Auth => admin.auth.is_some(),
            Node::Resource => admin.resource.is_some(),
        });
        named
            || match node {
                Node::Auth => auth.as_ref().is_some_and(|auth| auth.admin.is_some()),
                Node::Resource => resource.as_ref().is_some_and(|resource| resource.admin.is_some()),
            }
    }

    fn no_section(&self, node: Node) -> Failure {
        bad(format_args!("{} has no [{}] section", self.path.display(), node.name())).next("obf init DIR")
    }

    /// How to reach a node's admin API: the address in `[admin]`, or the one that the server running from this
    /// file took.
    ///
    /// # Errors
    /// There is no `[admin]` section, or no server runs.
    pub fn admin_access(&self, node: Node) -> Result<AdminAccess, Failure> {
        let admin = self.sections.admin.as_ref().ok_or_else(|| {
            bad(format_args!(
                "{} has no [admin] section: ca_file and token_file are needed",
                self.path.display()
            ))
        })?;
        let named = match node {
            Node::Auth => admin.auth.clone(),
            Node::Resource => admin.resource.clone(),
        };
        let authority = match named {
            Some(authority) => authority,
            None => self.endpoint(node, "admin")?.to_string(),
        };
        Ok(AdminAccess { authority, ca_file: admin.ca_file.clone(), token_file: admin.token_file.clone() })
    }

    /// The address that a node's listener took when it was started from this file.
    ///
    /// # Errors
    /// No server has been started from this file.
    pub fn endpoint(&self, node: Node, point: &str) -> Result<SocketAddr, Failure> {
        Endpoints::read(self.directory(), node.name())
            .and_then(|endpoints| endpoints.address(point))
            .ok_or_else(|| {
                let text =
                    format_args!("no {} server runs from {}", node.name(), self.path.display()).to_string();
                Failure::new(crate::failure::Exit::Unreachable, "not-running", text)
                    .next(format!("obf serve all --config {}", self.path.display()))
            })
    }
}

fn bad(text: impl std::fmt::Display) -> Failure {
    Failure::new(crate::failure::Exit::Usage, "configuration", text)
}

fn lay_over(table: &mut Table, setting: &str) -> Result<(), Failure> {
    let malformed = || Failure::usage(format_args!("--set takes section.key=value, not {setting}"));
    let (key, value) = setting.split_once('=').ok_or_else(malformed)?;
    let (section, key) = key.split_once('.').ok_or_else(malformed)?;
    // What is no TOML value is meant as a text: `--set auth.domain=as.example`.
    let value = toml::from_str::<Table>(&format!("v = {value}"))
        .ok()
        .and_then(|mut parsed| parsed.remove("v"))
        .unwrap_or_else(|| Value::String(value.to_owned()));
    let mut place = table
        .entry(section)
        .or_insert_with(|| Value::Table(Table::new()))
        .as_table_mut()
        .ok_or_else(malformed)?;
    let mut rest = key;
    while let Some((inner, deeper)) = rest.split_once('.') {
        let next = place.entry(inner).or_insert_with(|| Value::Table(Table::new()));
        place = next.as_table_mut().ok_or_else(malformed)?;
        rest = deeper;
    }
    place.insert(rest.to_owned(), value);
    Ok(())
}

/// Makes the paths of a section absolute: every text under a key that ends in `_file` or `_dir`, or is `database`.
fn resolve_paths(section: &mut Value, base: &Path) {
    match section {
        Value::Table(table) => {
            for (key, value) in table.iter_mut() {
                let is_server =
                    |text: &str| text.starts_with("postgres://") || text.starts_with("postgresql://");
                let names_path = key.ends_with("_file")
                    || key.ends_with("_dir")
                    || (key == "database" && !value.as_str().is_some_and(is_server));
                match value {
                    Value::String(path) if names_path => *path = base.join(&*path).display().to_string(),
                    nested => resolve_paths(nested, base),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| resolve_paths(item, base)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, settings: &[&str]) -> Result<Configuration, Failure> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        std::fs::write(&path, text).unwrap();
        Configuration::load(&path, &settings.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    /// `docs/configuration.md` leaves no key out; those of the KMS stand in `docs/kms.md`.
    #[test]
    fn every_key_has_its_words_in_the_documentation() {
        let pages =
            [include_str!("../../../docs/configuration.md"), include_str!("../../../docs/kms.md")].concat();
        let inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let words: Vec<&str> = pages.split(|c| !inner(c)).collect();
        for source in
            [include_str!("../../obf-auth/src/config.rs"), include_str!("../../obf-resource/src/config.rs")]
        {
            let (sections, _) = source.split_once("\nimpl Config {").unwrap();
            let keys = sections.lines().filter_map(|line| line.strip_prefix("    pub ")?.split_once(": "));
            for (key, _) in keys {
                assert!(words.contains(&key), "docs/configuration.md does not say what {key} is");
            }
        }
    }

    const ADMIN: &str = "[admin]\nca_file = \"ca.pem\"\ntoken_file = \"/t\"\nauth = \"h:1\"\n";

    #[test]
    fn unknown_keys_are_refused_with_their_line() {
        let failure = load("[admin]\nca_fil = \"x\"\n", &[]).err().unwrap();
        assert_eq!(failure.code, "configuration");
        assert!(failure.text.contains("line 2") && failure.text.contains("ca_fil"), "{}", failure.text);
    }

    #[test]
    fn paths_are_relative_to_the_file_and_settings_win() {
        let configuration = load(ADMIN, &["admin.auth=h:2"]).unwrap();
        let access = configuration.admin_access(Node::Auth).unwrap();
        assert_eq!(access.authority, "h:2");
        assert_eq!(access.ca_file, configuration.directory().join("ca.pem"));
        assert_eq!(access.token_file, Path::new("/t"));
    }

    #[test]
    fn a_deployment_that_does_not_run_says_how_to_start_it() {
        let failure = load(ADMIN, &[]).unwrap().admin_access(Node::Resource).err().unwrap();
        assert_eq!(failure.code, "not-running");
        assert!(failure.next.unwrap().starts_with("obf serve all --config "));
    }
}
