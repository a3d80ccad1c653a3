//! The registered Authentication Servers (SPEC C3): by source address and secret on UDP, by certificate on TLS.

use crate::config::{self, AuthServerConfig, ConfigError};
use obf_files::secret_line;
use obf_net::radius::{Origin, UdpPeer};
use obf_rpr::RprClient;
use obf_types::{Domain, NodeNumber, SecretBytes};
use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
};

/// One node of an Authentication Server.
#[derive(Clone, Debug)]
pub struct AuthServer {
    /// `<domain>#<node>`: what it is called in the outbox and the log.
    pub name: Arc<str>,
    domain: Domain,
    node: NodeNumber,
    address: Option<IpAddr>,
    cert_name: Option<String>,
    /// Where notices go over UDP, and the secret.
    pub(super) das: Option<(SocketAddr, SecretBytes)>,
    secret: Option<SecretBytes>,
}

/// All of them.
#[derive(Clone, Debug)]
pub struct AuthServers(Arc<[AuthServer]>);

impl AuthServers {
    /// Those of a configuration, with their secrets read.
    ///
    /// # Errors
    /// [`ConfigError`]: a secret cannot be read, is too short, or differs from another one for the same address.
    pub fn read(configured: &[AuthServerConfig], least_secret: usize) -> Result<Self, ConfigError> {
        let servers = configured.iter().map(|server| AuthServer::read(server, least_secret));
        let servers = Self(servers.collect::<Result<_, _>>()?);
        for (index, server) in servers.0.iter().enumerate() {
            for other in servers.0.iter().skip(index + 1) {
                if server.name == other.name {
                    let reason = format_args!("{} is there twice: each node needs its number", server.name);
                    return Err(config::wrong("auth_servers", reason));
                }
                if server.address.is_some()
                    && server.address == other.address
                    && server.secret != other.secret
                {
                    let reason = "two secrets for one address: a packet does not say which it uses";
                    return Err(config::wrong("auth_servers.secret_file", reason));
                }
            }
        }
        Ok(servers)
    }

    /// Every one.
    pub fn iter(&self) -> impl Iterator<Item = &AuthServer> {
        self.0.iter()
    }

    /// The sources that may ask over UDP.
    pub fn udp_peers(&self) -> Vec<UdpPeer> {
        let mut peers: Vec<UdpPeer> = Vec::new();
        for server in self.iter() {
            if let (Some(source), Some(secret)) = (server.address, &server.secret)
                && !peers.iter().any(|peer| peer.source == source)
            {
                peers.push(UdpPeer { source, secret: secret.clone(), names: Vec::new() });
            }
        }
        peers
    }

    /// The registration of who asks: domain and node number as said, from the address or with the certificate that
    /// is registered for them.
    pub fn registered(&self, origin: &Origin, client: &RprClient) -> Option<&AuthServer> {
        self.iter().filter(|server| server.domain == client.domain && server.node == client.node).find(
            |server| match &origin.connection {
                Some(_) => server.has_certificate(&origin.names),
                None => server.address.map(|a| a.to_canonical()) == Some(origin.address.ip().to_canonical()),
            },
        )
    }

    /// Those that have one of a certificate's names.
    pub fn of_certificate(&self, names: &[String]) -> Vec<&AuthServer> {
        self.iter().filter(|server| server.has_certificate(names)).collect()
    }
}

impl AuthServer {
    fn read(configured: &AuthServerConfig, least_secret: usize) -> Result<Self, ConfigError> {
        let secret =
            configured.secret_file.as_deref().map(|path| read_secret(path, least_secret)).transpose()?;
        let domain = configured.domain()?;
        let node = configured.node()?;
        Ok(Self {
            name: format!("{domain}#{}", node.value()).into(),
            domain,
            node,
            address: configured.address,
            cert_name: configured.cert_name.as_ref().map(|name| name.to_ascii_lowercase()),
            das: configured.das.zip(secret.clone()),
            secret,
        })
    }

    fn has_certificate(&self, names: &[String]) -> bool {
        self.cert_name.as_ref().is_some_and(|name| names.contains(name))
    }
}

/// A shared secret of RADIUS/UDP.
fn read_secret(path: &Path, least: usize) -> Result<SecretBytes, ConfigError> {
    let key = "auth_servers.secret_file";
    let secret = secret_line(path).map_err(|error| config::wrong(key, error))?;
    if secret.expose().len() < least {
        let reason = format_args!("{}: at least {least} octets are needed", path.display());
        return Err(config::wrong(key, reason));
    }
    Ok(secret)
}
