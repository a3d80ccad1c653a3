//! Which Authentication Server a device bootstraps with, and how it is reached.

use obf_types::Domain;
use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
};

/// An Authentication Server: `https://as.operator.example[:8443]`, or `http://` where a deployment is configured so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthenticationServer {
    tls: bool,
    host: String,
    port: u16,
    domain: Option<Domain>,
    address: Option<SocketAddr>,
    ca: Option<PathBuf>,
}

/// Why a text is no Authentication Server's URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an Authentication Server is https://NAME[:PORT] (or http://…), without path or user")]
pub struct ServerUrlError;

impl AuthenticationServer {
    /// Debian's bundle of certificate authorities, used when no other is named.
    pub const SYSTEM_CA: &str = "/etc/ssl/certs/ca-certificates.crt";

    /// Reads a URL: scheme, host, port (443 or 80 if absent), and at most a `/`.
    ///
    /// # Errors
    /// [`ServerUrlError`].
    pub fn parse(url: &str) -> Result<Self, ServerUrlError> {
        let (tls, rest, port) = if let Some(rest) = url.strip_prefix("https://") {
            (true, rest, 443)
        } else {
            (false, url.strip_prefix("http://").ok_or(ServerUrlError)?, 80)
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, digits)) if !digits.ends_with(']') => {
                (host, digits.parse().ok().filter(|port| *port != 0).ok_or(ServerUrlError)?)
            }
            _ => (authority, port),
        };
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if bracketed.is_none() && host.contains(':') {
            return Err(ServerUrlError);
        }
        let host = bracketed.unwrap_or(host);
        let plausible = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':');
        if host.is_empty() || !host.chars().all(plausible) {
            return Err(ServerUrlError);
        }
        let host = host.to_ascii_lowercase();
        let names_one = host.contains('.') && host.parse::<IpAddr>().is_err();
        let domain = if names_one { Domain::new(&host).ok() } else { None };
        Ok(Self { tls, host, port, domain, address: None, ca: None })
    }

    /// Trusts the certificate authorities in this PEM file instead of the system's.
    #[must_use]
    pub fn with_ca(mut self, ca: impl Into<PathBuf>) -> Self {
        self.ca = Some(ca.into());
        self
    }

    /// Connects to this address instead of looking the host up.
    #[must_use]
    pub const fn at(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// Its domain. A URL whose host is an address or a single label does not say it; then the server is asked, and
    /// is believed as far as its certificate is.
    pub const fn domain(&self) -> Option<&Domain> {
        self.domain.as_ref()
    }

    /// Whether requests go through TLS.
    pub const fn is_tls(&self) -> bool {
        self.tls
    }

    /// The name that its certificate must have.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// What stands in `Host`.
    pub(crate) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == if self.tls { 443 } else { 80 } { host } else { format!("{host}:{}", self.port) }
    }

    pub(crate) fn ca(&self) -> &Path {
        self.ca.as_deref().unwrap_or(Path::new(Self::SYSTEM_CA))
    }

    /// Where to connect to, in the order to try.
    pub(crate) async fn addresses(&self) -> std::io::Result<Vec<SocketAddr>> {
        match self.address {
            Some(address) => Ok(vec![address]),
            None => Ok(tokio::net::lookup_host((self.host.as_str(), self.port)).await?.collect()),
        }
    }
}

impl FromStr for AuthenticationServer {
    type Err = ServerUrlError;
    fn from_str(url: &str) -> Result<Self, ServerUrlError> {
        Self::parse(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_strictly() {
        let read = |url| {
            let server = AuthenticationServer::parse(url).unwrap();
            (server.tls, server.authority(), server.domain.map(|domain| domain.as_str().to_owned()))
        };
        assert_eq!(read("https://as.example"), (true, "as.example".into(), Some("as.example".into())));
        assert_eq!(read("https://AS.example:8443/").1, "as.example:8443");
        assert_eq!(read("http://as.example:80").1, "as.example");
        assert_eq!(read("https://127.0.0.1:8443"), (true, "127.0.0.1:8443".into(), None));
        assert_eq!(read("https://[::1]:8443"), (true, "[::1]:8443".into(), None));
        assert_eq!(read("https://[::1]"), (true, "[::1]".into(), None));
        assert_eq!(read("https://localhost"), (true, "localhost".into(), None));
        for bad in [
            "",
            "as.example",
            "ftp://as.example",
            "https://",
            "https://a:0",
            "https://a:x",
            "https://a/b",
            "https://u@a",
            "https://a?b",
            "https:// a",
            "https://a:8443:9",
        ] {
            assert_eq!(AuthenticationServer::parse(bad), Err(ServerUrlError), "{bad}");
        }
    }
}
