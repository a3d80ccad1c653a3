//! The `[resource]` section of the configuration.

use crate::authorisation::Policy;
use obf_gsup::PeerName;
use obf_kms::KekConfig;
use obf_store::{Location, resource::HlrName};
pub use obf_types::ConfigError;
use obf_types::{Domain, MncLength, NodeNumber};
use serde::Deserialize;
use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

/// A Resource Server node. Relative paths are the caller's to resolve.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where everything is kept.
    pub database: Location,
    /// The password for a PostgreSQL database; whitespace around it is ignored.
    pub database_password_file: Option<PathBuf>,
    /// The key-encryption key in a file: 32 octets, or 64 hex digits. Short for a `kms` section with that alone.
    pub kek_file: Option<PathBuf>,
    /// Key management. The same for all nodes of the deployment.
    pub kms: Option<KmsConfig>,
    /// The number of this node, from 0; different for each node on the database.
    #[serde(default)]
    pub node: u8,
    /// How many nodes share the database, 1 to 32: with the Authentication Server's number it selects IND.
    #[serde(default = "one")]
    pub nodes: u8,
    /// Digits of the MNC in this network's IMSIs, 2 or 3, where a device's record says nothing.
    #[serde(default = "two")]
    pub mnc_digits: u8,
    /// The enterprise number of the OBF attributes.
    #[serde(default = "documentation")]
    pub vendor: u32,
    /// RPR over UDP.
    pub rpr: Option<UdpConfig>,
    /// RPR over TLS.
    pub rpr_tls: Option<TlsConfig>,
    /// The admin API.
    pub admin: Option<AdminConfig>,
    /// Machine KYC.
    #[serde(default)]
    pub kyc: KycConfig,
    /// The existing HLR in which subscribers may live.
    pub hlr: Option<HlrConfig>,
    /// More of them, each with a name of its own.
    #[serde(default)]
    pub hlrs: Vec<HlrConfig>,
    /// The Authentication Servers that may ask, each node of them.
    pub auth_servers: Vec<AuthServerConfig>,
}

/// Key management.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KmsConfig {
    /// The key-encryption key.
    pub kek: KekConfig,
    /// Key-encryption keys of before, until everything has been wrapped anew.
    #[serde(default)]
    pub former: Vec<KekConfig>,
    /// How long what an HSM unwrapped may be used without asking it again, seconds: so long the node serves without it.
    #[serde(default = "five_minutes")]
    pub lease: u64,
    /// Subscriber keys that one process wraps under one data key.
    #[serde(default = "hundred_thousand")]
    pub records_per_data_key: u64,
}

/// Machine KYC. The same for all nodes of the deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KycConfig {
    /// How long a verification stays valid after its `reverify_by` if it was not repeated, days; without it, to its
    /// `valid_until`, and the date only reminds.
    pub reverify_grace_days: Option<u32>,
}

impl KycConfig {
    pub(crate) fn policy(&self) -> Policy {
        Policy { reverify_grace: self.reverify_grace_days.map(|days| u64::from(days) * 86_400) }
    }
}

/// RPR over UDP.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UdpConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Listens elsewhere than on this host; every secret must then have 32 octets or more.
    #[serde(default)]
    pub allow_udp: bool,
}

/// RPR over TLS.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The certificate chain, PEM.
    pub cert_file: PathBuf,
    /// Its private key, PEM.
    pub key_file: PathBuf,
    /// Trust anchors of the Authentication Servers' certificates, PEM.
    pub client_ca_file: PathBuf,
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
    /// SHA-256 of the first administrator's bearer token, 64 hex digits. It is `admin`, an operator; others are
    /// registered by it.
    pub token_sha256: String,
    /// Trust anchors of administrators' certificates, PEM: they may come with one instead of a token.
    pub client_ca_file: Option<PathBuf>,
    /// Requests that one administrator may make, per second; four times as many at once.
    #[serde(default = "requests_per_second")]
    pub requests_per_second: u32,
    /// Requests without a valid credential that one source address may make, per second; ten times as many at once.
    #[serde(default = "strangers_per_second")]
    pub strangers_per_second: u32,
    /// Application providers that registered themselves and may wait for approval at once; no more can register.
    #[serde(default = "most_registrations")]
    pub most_registrations: u32,
    /// How long one of them waits before it is forgotten, days.
    #[serde(default = "registrations_expire_days")]
    pub registrations_expire_days: u32,
}

/// An existing HLR that speaks GSUP.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HlrConfig {
    /// What devices that live in it call it: `"source":"hlr","hlr":"<name>"`. `default` where nothing is said, here and
    /// there.
    pub name: Option<String>,
    /// Its GSUP port, such as `127.0.0.1:4222`.
    pub address: SocketAddr,
    /// The HLR is on another host, and keys travel from it in clear: GSUP has no protection of its own.
    #[serde(default)]
    pub allow_plain: bool,
    /// What this node calls itself there, different for each node: the HLR keeps an IND for each name. Where nothing
    /// is said, `obf-rs-<node>`.
    pub ipa_name: Option<String>,
}

/// One node of an Authentication Server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthServerConfig {
    /// Its domain, which it sends as NAS-Identifier.
    pub domain: String,
    /// Its node number, 0 to 31.
    #[serde(default)]
    pub node: u8,
    /// UDP: where it asks from.
    pub address: Option<IpAddr>,
    /// UDP: the secret shared with it; one secret an address. Also for notices to `das`.
    pub secret_file: Option<PathBuf>,
    /// TLS: a dNSName of its certificate.
    pub cert_name: Option<String>,
    /// Its Dynamic Authorization Server (RFC 5176): where it takes notices over UDP; over TLS they go in reverse on its
    /// own connection. `dae` is the former name.
    #[serde(alias = "dae")]
    pub das: Option<SocketAddr>,
}

/// What is wrong with a key of this section.
pub(crate) fn wrong(key: impl Into<Cow<'static, str>>, reason: impl fmt::Display) -> ConfigError {
    ConfigError::new("resource", key, reason)
}

impl Config {
    /// Checks everything that can be checked without touching a file or a socket.
    ///
    /// # Errors
    /// [`ConfigError`] names the first key that is wrong.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.mnc_length()?;
        self.kms()?;
        if !(1..=32).contains(&self.nodes) {
            return Err(wrong("nodes", "a number from 1 to 32"));
        }
        if self.node >= self.nodes {
            return Err(wrong("node", format_args!("a number from 0 to {}", self.nodes - 1)));
        }
        if self.rpr.is_none() && self.rpr_tls.is_none() {
            return Err(wrong("rpr", "at least one of rpr and rpr_tls is needed"));
        }
        if let Some(udp) = &self.rpr
            && !udp.listen.ip().is_loopback()
            && !udp.allow_udp
        {
            let reason = "RADIUS/UDP is for one host; use rpr_tls, or set allow_udp = true";
            return Err(wrong("rpr.listen", reason));
        }
        self.hlrs()?;
        self.auth_servers.iter().try_for_each(AuthServerConfig::validate)
    }

    /// Every HLR by its name, and what this node calls itself there.
    pub(crate) fn hlrs(&self) -> Result<BTreeMap<HlrName, (&HlrConfig, PeerName)>, ConfigError> {
        let mut named = BTreeMap::new();
        let one = self.hlr.iter().map(|hlr| (hlr, &HLR));
        for (hlr, keys) in one.chain(self.hlrs.iter().map(|hlr| (hlr, &HLRS))) {
            let name = hlr.name.as_deref().map_or_else(|| Ok(HlrName::default()), HlrName::new);
            let name = name.map_err(|error| wrong(keys.name, error))?;
            hlr.validate(keys)?;
            let ipa_name = hlr.ipa_name.clone().unwrap_or_else(|| format!("obf-rs-{}", self.node));
            let ipa_name = PeerName::new(&ipa_name).map_err(|error| wrong(keys.ipa_name, error))?;
            if named.insert(name.clone(), (hlr, ipa_name)).is_some() {
                return Err(wrong(keys.name, format_args!("there are two HLRs named {name}")));
            }
        }
        Ok(named)
    }

    /// Key management, however it is written.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn kms(&self) -> Result<KmsConfig, ConfigError> {
        let kms = match (&self.kek_file, &self.kms) {
            (Some(file), None) => KmsConfig {
                kek: KekConfig::File { file: file.clone() },
                former: Vec::new(),
                lease: five_minutes(),
                records_per_data_key: hundred_thousand(),
            },
            (None, Some(kms)) => kms.clone(),
            _ => return Err(wrong("kms", "exactly one of kek_file and kms is needed")),
        };
        if kms.lease == 0 || kms.records_per_data_key == 0 {
            return Err(wrong("kms", "lease and records_per_data_key are at least 1"));
        }
        Ok(kms)
    }

    pub(crate) fn mnc_length(&self) -> Result<MncLength, ConfigError> {
        let length = MncLength::from_digits(self.mnc_digits.into());
        length.ok_or_else(|| wrong("mnc_digits", "2 or 3"))
    }
}

/// The keys of an HLR, for whoever is told that one is wrong.
struct HlrKeys {
    name: &'static str,
    address: &'static str,
    ipa_name: &'static str,
}

const HLR: HlrKeys = HlrKeys { name: "hlr.name", address: "hlr.address", ipa_name: "hlr.ipa_name" };
const HLRS: HlrKeys = HlrKeys { name: "hlrs.name", address: "hlrs.address", ipa_name: "hlrs.ipa_name" };

impl HlrConfig {
    fn validate(&self, keys: &HlrKeys) -> Result<(), ConfigError> {
        if self.address.port() == 0 {
            return Err(wrong(keys.address, "a port is needed; osmo-hlr's is 4222"));
        }
        if self.address.ip().is_unspecified() {
            return Err(wrong(keys.address, "the address of the HLR, not that of every interface"));
        }
        if !self.address.ip().is_loopback() && !self.allow_plain {
            let reason =
                "GSUP carries keys in clear: use a tunnel that ends on this host, or set allow_plain = true";
            return Err(wrong(keys.address, reason));
        }
        Ok(())
    }
}

impl AuthServerConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        self.domain()?;
        self.node()?;
        if self.address.is_none() && self.cert_name.is_none() {
            let reason = "address (UDP) or cert_name (TLS) is needed";
            return Err(wrong("auth_servers", reason));
        }
        if (self.address.is_some() || self.das.is_some()) && self.secret_file.is_none() {
            return Err(wrong("auth_servers.secret_file", "needed for RADIUS/UDP"));
        }
        Ok(())
    }

    pub(crate) fn domain(&self) -> Result<Domain, ConfigError> {
        Domain::new(&self.domain).map_err(|error| wrong("auth_servers.domain", error))
    }

    pub(crate) fn node(&self) -> Result<NodeNumber, ConfigError> {
        NodeNumber::new(self.node).ok_or_else(|| wrong("auth_servers.node", "a number from 0 to 31"))
    }
}

const fn five_minutes() -> u64 {
    300
}

const fn hundred_thousand() -> u64 {
    100_000
}

const fn one() -> u8 {
    1
}

const fn requests_per_second() -> u32 {
    500
}

const fn strangers_per_second() -> u32 {
    5
}

const fn most_registrations() -> u32 {
    100
}

const fn registrations_expire_days() -> u32 {
    30
}

const fn two() -> u8 {
    2
}

const fn documentation() -> u32 {
    obf_radius::Vendor::DOCUMENTATION.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn with_hlr(hlr: Value) -> Result<PeerName, String> {
        let config = json!({
            "database": "rs.db", "kek_file": "kek", "node": 3, "nodes": 4, "auth_servers": [],
            "rpr": { "listen": "127.0.0.1:0" }, "hlr": hlr,
        });
        let config: Config = serde_json::from_value(config).map_err(|error| error.to_string())?;
        config.validate().map_err(|error| error.to_string())?;
        let mut hlrs = config.hlrs().map_err(|error| error.to_string())?;
        Ok(hlrs.remove(&HlrName::default()).unwrap().1)
    }

    #[test]
    fn the_das_of_an_authentication_server_has_its_former_name_too() {
        for key in ["das", "dae"] {
            let server = json!({ "domain": "as.example", "secret_file": "secret", key: "127.0.0.1:3799" });
            let server: AuthServerConfig = serde_json::from_value(server).unwrap();
            assert_eq!(server.das, Some(([127, 0, 0, 1], 3799).into()));
        }
    }

    #[test]
    fn r3_several_hlrs_have_a_name_each() {
        let named = |hlr: Value, hlrs: Value| {
            let config = json!({
                "database": "rs.db", "kek_file": "kek", "auth_servers": [],
                "rpr": { "listen": "127.0.0.1:0" }, "hlr": hlr, "hlrs": hlrs,
            });
            let config: Config = serde_json::from_value(config).unwrap();
            let names = |hlrs: BTreeMap<HlrName, _>| hlrs.into_keys().map(|name| name.to_string());
            config.hlrs().map(names).map(Iterator::collect::<Vec<_>>).map_err(|error| error.to_string())
        };
        let (one, west) =
            (json!({ "address": "127.0.0.1:4222" }), json!({ "name": "west", "address": "127.0.0.2:4222" }));
        assert_eq!(named(Value::Null, json!([])).unwrap(), Vec::<String>::new());
        assert_eq!(named(one.clone(), json!([])).unwrap(), ["default"]);
        assert_eq!(named(one.clone(), json!([west])).unwrap(), ["default", "west"]);
        assert_eq!(named(Value::Null, json!([west])).unwrap(), ["west"]);
        let twice = named(one.clone(), json!([one])).unwrap_err();
        assert_eq!(twice, "resource.hlrs.name: there are two HLRs named default");
        let bad = named(Value::Null, json!([{ "name": "West", "address": "127.0.0.1:4222" }])).unwrap_err();
        assert!(bad.starts_with("resource.hlrs.name: the name of an HLR has"), "{bad}");
        let far = named(Value::Null, json!([{ "address": "192.0.2.7:4222" }])).unwrap_err();
        assert!(far.starts_with("resource.hlrs.address: GSUP carries keys in clear"), "{far}");
    }

    #[test]
    fn a_wrong_hlr_is_named_by_its_key() {
        let address = "127.0.0.1:4222";
        assert_eq!(with_hlr(json!({ "address": address })).unwrap().as_str(), "obf-rs-3");
        assert_eq!(with_hlr(json!({ "address": address, "ipa_name": "rs-a" })).unwrap().as_str(), "rs-a");
        assert!(with_hlr(json!({ "address": "192.0.2.7:4222", "allow_plain": true })).is_ok());
        for (hlr, words) in [
            (
                json!({ "address": "127.0.0.1:0" }),
                "resource.hlr.address: a port is needed; osmo-hlr's is 4222",
            ),
            (json!({ "address": "0.0.0.0:4222" }), "resource.hlr.address: the address of the HLR"),
            (
                json!({ "address": address, "ipa_name": "two words" }),
                "resource.hlr.ipa_name: a peer's name has 1 to 63 printable ASCII characters and no space",
            ),
            (json!({ "address": address, "ipa_name": "" }), "resource.hlr.ipa_name: a peer's name"),
            (
                json!({ "address": "192.0.2.7:4222" }),
                "resource.hlr.address: GSUP carries keys in clear: use a tunnel",
            ),
            (json!({ "address": "hlr.example" }), "invalid socket address syntax"),
            (json!({ "ipa_name": "rs-a" }), "missing field `address`"),
            (json!({ "address": address, "port": 4222 }), "unknown field `port`"),
        ] {
            let error = with_hlr(hlr).unwrap_err();
            assert!(error.starts_with(words), "{error}");
        }
    }
}
