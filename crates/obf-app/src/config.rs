//! What a small application server of its own is told (`obf app run`, or a `[app]` section).

use obf_types::{AppId, NameError};
use serde::Deserialize;
use std::{net::SocketAddr, path::PathBuf};

/// The configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The application's id, for example `track.example`.
    pub id: String,
    /// Where devices come in; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The Authentication Server's RPO addresses, `host:port`, in order of preference.
    pub rpo: Vec<String>,
    /// The dNSName in the Authentication Server's certificate; the host of the address if absent.
    #[serde(default)]
    pub rpo_name: Option<String>,
    /// The application's certificate, PEM.
    pub cert_file: PathBuf,
    /// Its private key, PEM.
    pub key_file: PathBuf,
    /// The CA of the Authentication Server's certificate, PEM.
    pub ca_file: PathBuf,
    /// What is done with a device's octets.
    #[serde(default)]
    pub service: Service,
    /// Distinguishes the running instances of one application, never the same for two at once; if absent, a new one at
    /// each start.
    #[serde(default)]
    pub instance: Option<String>,
    /// ALPN names in order of preference.
    #[serde(default)]
    pub protocols: Vec<String>,
    /// Seconds after its fetch beyond which a key is not used.
    #[serde(default)]
    pub max_key_age: Option<u32>,
    /// Seconds that known keys go on without the Authentication Server.
    #[serde(default = "default_stale_grace")]
    pub stale_grace: u32,
    /// The enterprise number that attributes stand under.
    #[serde(default = "default_vendor")]
    pub vendor: u32,
}

/// What is done with a device's octets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// They are sent back.
    #[default]
    Echo,
    /// They go, in plain, to this address (`host:port`), and its answers back.
    To(String),
}

/// Why a configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The id is no application id.
    #[error("id: {0}")]
    Id(NameError),
    /// There is no Authentication Server to ask.
    #[error("rpo: at least one address is needed, for example 127.0.0.1:2083")]
    NoServer,
    /// The instance is empty or too long.
    #[error("instance: 1 to 253 octets")]
    Instance,
}

impl Config {
    /// Everything that can be checked without a file or a name server; the application's id.
    ///
    /// # Errors
    /// [`ConfigError`] names the key.
    pub fn validate(&self) -> Result<AppId, ConfigError> {
        let app = AppId::new(&self.id).map_err(ConfigError::Id)?;
        if self.rpo.is_empty() {
            return Err(ConfigError::NoServer);
        }
        if self.instance.as_ref().is_some_and(|instance| !(1..=253).contains(&instance.len())) {
            return Err(ConfigError::Instance);
        }
        Ok(app)
    }
}

const fn default_stale_grace() -> u32 {
    obf_rpa::LocalPolicy::DEFAULT_STALE_GRACE
}

const fn default_vendor() -> u32 {
    obf_radius::Vendor::DOCUMENTATION.0
}
