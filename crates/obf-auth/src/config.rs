//! The `[auth]` section of `obf.toml`.
//!
//! ```toml
//! [auth]
//! domain = "as.operator.example"      # realm on RPB, tail of every token id
//! node = 0                            # registered number of this node, 0 to 31
//! database = "data/auth.db"           # shared by the nodes of one host; or postgresql://user@host/database, by those of any
//! kek_file = "kek.hex"                # 64 hex digits; the same for all nodes
//!
//! [auth.rpb]
//! listen = "127.0.0.1:8443"
//! cert_file = "as.pem"
//! key_file = "as.key"                 # or, instead of both: plain_http = true
//!
//! [auth.rpo]
//! listen = "127.0.0.1:2083"
//! cert_file = "as.pem"
//! key_file = "as.key"
//! client_ca_file = "ca.pem"
//!
//! [auth.das]                          # RFC 5176 from the Resource Server over UDP; not needed with transport "tls"
//! listen = "127.0.0.1:3799"
//!
//! [auth.admin]
//! listen = "127.0.0.1:8444"
//! cert_file = "as.pem"
//! key_file = "as.key"
//! client_ca_file = "ca.pem"           # for administrators with certificates
//! # SHA-256 of the token of one administrator who is known while the Resource Server is away; may be left out
//! token_sha256 = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
//!
//! [auth.resource_server]
//! name = "rs"                         # stands in token ids: <name>.<domain>
//! transport = "udp"                   # or "tls"
//! servers = ["127.0.0.1:1812"]        # processes of one logical Resource Server; the first that answers is used
//! secret_file = "radius.secret"       # udp
//! # tls: ca_file, cert_file, key_file, server_name
//! ```
//!
//! Several Resource Servers stand in sections of their own instead, and say which devices are theirs:
//!
//! ```toml
//! [[auth.resource_servers]]
//! name = "north"
//! transport = "tls"
//! servers = ["192.0.2.7:2083"]
//! ca_file = "ca.pem"
//! cert_file = "as.pem"
//! key_file = "as.key"
//! server_name = "rs.north.example"
//! stale_after = 30                    # this server's own; otherwise that of [auth.limits]
//! prefixes = ["imsi:00101", "iccid:8991"]
//! realms = ["north.example"]          # of IMPIs; an IMSI's prefix takes the IMPI that is derived from it, too
//! identities = ["imsi:404450000000001"]
//! ```

use crate::rules::{RuleError, Rules, ServerRules};
use obf_files::SecretFile;
use obf_net::ConnectionLimits;
use obf_store::Location;
pub use obf_types::ConfigError;
use obf_types::{Domain, Lifetime};
use serde::Deserialize;
use std::{
    borrow::Cow,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

/// Everything an Authentication Server node is told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The server's domain: the realm on RPB, and the tail of every token id.
    pub domain: String,
    /// The registered number of this node, 0 to 31; different for each node of the domain.
    #[serde(default)]
    pub node: u8,
    /// Where the tokens are kept: a SQLite file that the nodes of this host share, or a PostgreSQL database that nodes
    /// on any hosts share.
    pub database: Location,
    /// The password for a PostgreSQL database; whitespace around it is ignored.
    pub database_password_file: Option<PathBuf>,
    /// The key-encryption key: 32 octets, or 64 hex digits. The same for all nodes of the deployment.
    pub kek_file: PathBuf,
    /// The RPB listener.
    pub rpb: RpbConfig,
    /// The RPO listener.
    pub rpo: RpoConfig,
    /// Where the Resource Server's RFC 5176 notices come in over UDP.
    #[serde(alias = "dae")]
    pub das: Option<DasConfig>,
    /// The admin API.
    pub admin: Option<AdminConfig>,
    /// The Resource Server, if there is one.
    pub resource_server: Option<ResourceServerConfig>,
    /// The Resource Servers, if there are several.
    #[serde(default)]
    pub resource_servers: Vec<ResourceServerConfig>,
    /// The enterprise number that our attributes stand under.
    #[serde(default = "documentation_vendor")]
    pub vendor: u32,
    /// Limits and times.
    #[serde(default)]
    pub limits: LimitsConfig,
}

/// Reference point RPB.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RpbConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The certificate chain, PEM; it must cover the domain.
    pub cert_file: Option<PathBuf>,
    /// Its private key, PEM.
    pub key_file: Option<PathBuf>,
    /// Speaks HTTP without TLS, as stock UEs on Ub do. Only what Digest AKA protects is protected then.
    #[serde(default)]
    pub plain_http: bool,
    /// Offers AKAv1-MD5 beside AKAv2-SHA-256.
    #[serde(default = "yes")]
    pub offer_akav1: bool,
}

/// Reference point RPO.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RpoConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The certificate chain, PEM.
    pub cert_file: PathBuf,
    /// Its private key, PEM.
    pub key_file: PathBuf,
    /// Trust anchors of the applications' certificates, PEM.
    pub client_ca_file: PathBuf,
}

/// RFC 5176 over UDP.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DasConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
}

/// The admin API.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The certificate chain, PEM.
    pub cert_file: PathBuf,
    /// Its private key, PEM.
    pub key_file: PathBuf,
    /// SHA-256 of a bearer token, 64 hex digits, of `admin`, an operator who is known though no Resource Server answers; all
    /// others are the Resource Servers'. A token has at least 128 random bits, so that a plain hash does.
    pub token_sha256: Option<String>,
    /// Trust anchors of administrators' client certificates, PEM. Without it they have tokens only.
    pub client_ca_file: Option<PathBuf>,
    /// Requests per second of one administrator; four times as many at once.
    #[serde(default = "requests_per_second")]
    pub requests_per_second: u32,
    /// Requests per second of one source address without a valid credential; ten times as many at once.
    #[serde(default = "strangers_per_second")]
    pub strangers_per_second: u32,
}

/// A Resource Server, as this node reaches it, and which devices are its own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceServerConfig {
    /// Its name in token ids: one label or more; `<name>.<domain>` leads to this Authentication Server.
    pub name: String,
    /// RADIUS over UDP or over TLS.
    pub transport: Transport,
    /// Its processes, the preferred one first.
    pub servers: Vec<SocketAddr>,
    /// UDP: the shared secret.
    pub secret_file: Option<PathBuf>,
    /// UDP to anywhere but this host; the secret must then have 32 octets or more.
    #[serde(default)]
    pub allow_udp: bool,
    /// TLS: trust anchors of its certificate, PEM.
    pub ca_file: Option<PathBuf>,
    /// TLS: our certificate chain, PEM.
    pub cert_file: Option<PathBuf>,
    /// TLS: its private key, PEM.
    pub key_file: Option<PathBuf>,
    /// TLS: the name in its certificate.
    pub server_name: Option<String>,
    /// Nothing is issued for its devices when it was not heard for so long, seconds; else `limits.stale_after`.
    pub stale_after: Option<u32>,
    /// Its devices by how their numbers begin, `kind:digits`.
    #[serde(default)]
    pub prefixes: Vec<String>,
    /// Its devices by the realm of their IMPIs.
    #[serde(default)]
    pub realms: Vec<String>,
    /// Its devices one by one, `kind:value`.
    #[serde(default)]
    pub identities: Vec<String>,
    /// Where this stands, for errors; known when the whole has been read.
    #[serde(skip)]
    pub(crate) section: Cow<'static, str>,
}

/// How the Resource Server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// RADIUS/UDP: for one host.
    Udp,
    /// RADIUS/TLS with mutual certificates.
    Tls,
}

/// Limits and times; every one has a default.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// The longest that a token lives, e.g. `8h`; at most 24 hours.
    pub max_lifetime: String,
    /// How long a challenge can be answered, seconds; at most 60.
    pub challenge_life: u32,
    /// A new bootstrap leaves the device's former token that long, seconds; at most 60.
    pub former_token: u32,
    /// Nothing is issued when the Resource Server, or the store, was not heard for so long, seconds.
    pub stale_after: u32,
    /// Unanswered challenges of one identity …
    pub challenges: u32,
    /// … in so many seconds.
    pub challenges_seconds: u32,
    /// Requests of one source address on RPB …
    pub requests_per_source: u32,
    /// … in so many seconds.
    pub requests_seconds: u32,
    /// Connections of one listener at once.
    pub connections: usize,
    /// Of them, from one source address.
    pub connections_per_source: usize,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        let connections = ConnectionLimits::default();
        Self {
            max_lifetime: "8h".into(),
            challenge_life: 60,
            former_token: 60,
            stale_after: 60,
            challenges: 20,
            challenges_seconds: 600,
            requests_per_source: 100_000,
            requests_seconds: 10,
            connections: connections.total,
            connections_per_source: connections.per_source,
        }
    }
}

/// What is wrong with a key of this section.
pub(crate) fn wrong(key: impl Into<Cow<'static, str>>, reason: impl fmt::Display) -> ConfigError {
    ConfigError::new("auth", key, reason)
}

impl From<RuleError> for ConfigError {
    fn from(RuleError { key, reason }: RuleError) -> Self {
        wrong(key, reason)
    }
}

/// A configuration whose values hold their rules.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) domain: Domain,
    /// One at least.
    pub(crate) servers: Vec<CheckedServer>,
    pub(crate) rules: Rules,
    pub(crate) node: obf_types::NodeNumber,
    pub(crate) max_lifetime: Lifetime,
}

/// A Resource Server whose values hold their rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CheckedServer {
    pub(crate) config: ResourceServerConfig,
    /// `<name>.<as domain>`: of the token ids of its devices.
    pub(crate) token_domain: Domain,
    pub(crate) stale_after: Duration,
}

impl Config {
    /// Checks everything that can be checked without touching a file or a socket.
    ///
    /// # Errors
    /// [`ConfigError`] names the first key that is wrong.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.check().map(|_| ())
    }

    pub(crate) fn check(&self) -> Result<Checked, ConfigError> {
        let domain = Domain::new(&self.domain).map_err(|error| wrong("domain", error))?;
        let servers = self.checked_servers(&domain)?;
        let node =
            obf_types::NodeNumber::new(self.node).ok_or_else(|| wrong("node", "a number from 0 to 31"))?;
        let max_lifetime = Lifetime::parse(&self.limits.max_lifetime)
            .ok_or_else(|| wrong("limits.max_lifetime", "1s to 24h, for example 8h"))?;
        if self.rpb.plain_http == (self.rpb.cert_file.is_some() || self.rpb.key_file.is_some()) {
            return Err(wrong("rpb", "cert_file and key_file, or plain_http = true"));
        }
        if !(1..=60).contains(&self.limits.challenge_life) {
            return Err(wrong("limits.challenge_life", "1 to 60 seconds"));
        }
        if self.limits.former_token > 60 {
            return Err(wrong("limits.former_token", "0 to 60 seconds"));
        }
        let rules = Rules::new(&servers.iter().map(|server| server.config.rules()).collect::<Vec<_>>())?;
        Ok(Checked { domain, servers, rules, node, max_lifetime })
    }

    /// The one section or the several, each knowing where it stands.
    fn checked_servers(&self, domain: &Domain) -> Result<Vec<CheckedServer>, ConfigError> {
        let sections: Vec<(Cow<'static, str>, &ResourceServerConfig)> = match &self.resource_server {
            Some(_) if !self.resource_servers.is_empty() => {
                let reason = "[auth.resource_server] and [[auth.resource_servers]]: one or the other";
                return Err(wrong("resource_server", reason));
            }
            Some(server) => vec![("resource_server".into(), server)],
            None => (0..)
                .map(|place| format!("resource_servers[{place}]").into())
                .zip(&self.resource_servers)
                .collect(),
        };
        if sections.is_empty() {
            return Err(wrong(
                "resource_server",
                "needed, or [[auth.resource_servers]] if there are several",
            ));
        }
        let mut checked: Vec<CheckedServer> = Vec::with_capacity(sections.len());
        for (section, server) in sections {
            let server =
                ResourceServerConfig { section, ..server.clone() }.check(domain, self.limits.stale_after)?;
            if let Some(same) = checked.iter().find(|other| other.token_domain == server.token_domain) {
                let reason =
                    format_args!("{:?} is the name of {} too", server.config.name, same.config.section);
                return Err(server.config.wrong("name", reason));
            }
            checked.push(server);
        }
        Ok(checked)
    }
}

impl ResourceServerConfig {
    /// What is wrong with one of its keys.
    pub(crate) fn wrong(&self, key: &str, reason: impl fmt::Display) -> ConfigError {
        wrong(format!("{}.{key}", self.section), reason)
    }

    fn rules(&self) -> ServerRules<'_> {
        ServerRules {
            section: &self.section,
            name: &self.name,
            prefixes: &self.prefixes,
            realms: &self.realms,
            identities: &self.identities,
        }
    }

    fn check(self, domain: &Domain, stale_after: u32) -> Result<CheckedServer, ConfigError> {
        if self.name.len() > 63 {
            return Err(self.wrong("name", "at most 63 octets"));
        }
        let token_domain =
            Domain::new(&format!("{}.{domain}", self.name)).map_err(|error| self.wrong("name", error))?;
        if self.servers.is_empty() {
            return Err(self.wrong("servers", "at least one address"));
        }
        match self.transport {
            Transport::Udp => {
                if self.secret_file.is_none() {
                    return Err(self.wrong("secret_file", "needed with transport \"udp\""));
                }
                if !self.allow_udp && !self.servers.iter().all(|server| server.ip().is_loopback()) {
                    let reason = "RADIUS/UDP is for this host; use \"tls\", or say allow_udp = true";
                    return Err(self.wrong("transport", reason));
                }
            }
            Transport::Tls => {
                let needed = [
                    ("ca_file", self.ca_file.is_some()),
                    ("cert_file", self.cert_file.is_some()),
                    ("key_file", self.key_file.is_some()),
                    ("server_name", self.server_name.is_some()),
                ];
                if let Some((key, _)) = needed.into_iter().find(|(_, there)| !there) {
                    return Err(self.wrong(key, "needed with transport \"tls\""));
                }
            }
        }
        let stale_after = Duration::from_secs(self.stale_after.unwrap_or(stale_after).max(1).into());
        Ok(CheckedServer { config: self, token_domain, stale_after })
    }
}

/// Reads a key of 32 octets, or of 64 hex digits, from a file that only its owner may read.
pub(crate) fn read_key(key: &'static str, path: &Path) -> Result<obf_types::Secret<32>, ConfigError> {
    let read = SecretFile::open_private(path).and_then(|file| file.key());
    read.map_err(|error| wrong(key, error))
}

const fn requests_per_second() -> u32 {
    500
}

const fn strangers_per_second() -> u32 {
    5
}

fn yes() -> bool {
    true
}

fn documentation_vendor() -> u32 {
    obf_radius::Vendor::DOCUMENTATION.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> String {
        examples().swap_remove(0)
    }

    /// The examples that stand at the top of this file.
    fn examples() -> Vec<String> {
        let blocks = include_str!("config.rs").split("//! ```toml\n").skip(1);
        let blocks = blocks.filter_map(|block| Some(block.split_once("//! ```\n")?.0)).take(2);
        let text = |line: &str| line.trim_start_matches("//!").trim().to_owned() + "\n";
        blocks.map(|block| block.lines().map(text).collect()).collect()
    }

    #[derive(Deserialize)]
    struct File {
        auth: Config,
    }

    fn read(text: &str) -> Result<Config, String> {
        toml::from_str::<File>(text).map(|file| file.auth).map_err(|error| error.to_string())
    }

    #[test]
    fn the_documented_example_is_valid() {
        let config = read(&example()).unwrap();
        let checked = config.check().unwrap();
        assert_eq!(checked.servers[0].token_domain.as_str(), "rs.as.operator.example");
        assert_eq!(checked.max_lifetime, Lifetime::DEFAULT);
    }

    #[test]
    fn the_documented_example_of_several_servers_is_valid_instead_of_the_one() {
        let one = example().split("[auth.resource_server]").next().unwrap().to_owned();
        let checked = read(&format!("{one}{}", examples()[1])).unwrap().check().unwrap();
        assert_eq!(checked.servers[0].token_domain.as_str(), "north.as.operator.example");
        assert_eq!(checked.servers[0].stale_after, Duration::from_secs(30));
        let key = |text: &str| read(text).unwrap().check().unwrap_err();
        // Both at once, none, one name twice; a rule of two servers is named with both.
        assert_eq!(key(&format!("{}{}", example(), examples()[1])).key, "resource_server");
        assert_eq!(key(&one).key, "resource_server");
        let twice = key(&format!("{one}{}{}", examples()[1], examples()[1]));
        assert_eq!(twice.key, "resource_servers[1].name");
        assert!(twice.to_string().contains("resource_servers[0]"), "{twice}");
        let south = examples()[1].replace("\"north\"", "\"south\"");
        let overlap = key(&format!("{one}{}{south}", examples()[1]));
        assert_eq!(overlap.key, "resource_servers[1].realms");
        assert!(overlap.to_string().contains("resource_servers[0].realms (north)"), "{overlap}");
        let ruleless = south
            .lines()
            .filter(|line| !line.contains('[') || line.contains("[[") || line.contains("servers ="));
        let ruleless: String = ruleless.map(|line| format!("{line}\n")).collect();
        assert_eq!(key(&format!("{one}{}{ruleless}", examples()[1])).key, "resource_servers[1].prefixes");
    }

    #[test]
    fn the_section_for_notices_has_its_former_name_too() {
        let former = example().replace("[auth.das]", "[auth.dae]");
        assert_eq!(read(&former).unwrap().das.unwrap().listen.port(), 3799);
    }

    #[test]
    fn a_key_file_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kek.hex");
        std::fs::write(&path, "5a".repeat(32)).unwrap();
        for (mode, read) in [(0o640, false), (0o604, false), (0o600, true), (0o400, true)] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            let key = read_key("kek_file", &path);
            assert_eq!(key.is_ok(), read, "{mode:o}");
            if let Err(error) = key {
                assert!(error.to_string().contains("chmod 600") && !error.to_string().contains("5a5a"));
            }
        }
    }

    #[test]
    fn a_wrong_value_is_named_by_its_key() {
        let wrong = |from: &str, to: &str| {
            assert!(example().contains(from), "{from}");
            read(&example().replace(from, to))
                .map(|config| config.check().map_err(|error| error.key.into_owned()))
        };
        assert!(wrong("node = 0", "nod = 0").unwrap_err().contains("nod"));
        assert_eq!(wrong("node = 0", "node = 32").unwrap().unwrap_err(), "node");
        assert_eq!(wrong("\"as.operator.example\"", "\"AS\"").unwrap().unwrap_err(), "domain");
        assert_eq!(wrong("name = \"rs\"", "name = \"r s\"").unwrap().unwrap_err(), "resource_server.name");
        assert_eq!(
            wrong("127.0.0.1:1812", "192.0.2.1:1812").unwrap().unwrap_err(),
            "resource_server.transport"
        );
        assert_eq!(
            wrong("transport = \"udp\"", "transport = \"tls\"").unwrap().unwrap_err(),
            "resource_server.ca_file"
        );
        assert_eq!(
            wrong("listen = \"127.0.0.1:8443\"", "listen = \"127.0.0.1:8443\"\nplain_http = true")
                .unwrap()
                .unwrap_err(),
            "rpb"
        );
    }
}
