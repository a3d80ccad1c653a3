//! What is wrong with a node's configuration.

use alloc::{
    borrow::Cow,
    string::{String, ToString as _},
};
use core::fmt;

/// What is wrong with a configuration, and where. Shown as `auth.rpb.listen: …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The node's section of `obf.toml`: `auth` or `resource`.
    pub section: &'static str,
    /// The key in it, as it stands in the file.
    pub key: Cow<'static, str>,
    /// What is wrong with its value.
    pub reason: String,
}

impl ConfigError {
    /// The value of that key is wrong for that reason.
    pub fn new(section: &'static str, key: impl Into<Cow<'static, str>>, reason: impl fmt::Display) -> Self {
        Self { section, key: key.into(), reason: reason.to_string() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}: {}", self.section, self.key, self.reason)
    }
}

impl core::error::Error for ConfigError {}
