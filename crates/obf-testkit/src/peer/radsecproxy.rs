//! radsecproxy: RADIUS/UDP on one side, RADIUS/TLS with certificates on the other.

use super::{Peer, free_udp_port, program};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

/// A proxy from UDP clients to one RADIUS/TLS server.
pub struct RadsecProxy {
    /// Where it takes RADIUS/UDP.
    pub address: SocketAddr,
    peer: Peer,
    _directory: tempfile::TempDir,
}

/// The certificate that the proxy shows, and the anchor of the server's.
pub struct Credentials<'a> {
    /// The certificate chain, PEM.
    pub certificate: &'a Path,
    /// Its private key, PEM.
    pub key: &'a Path,
    /// The trust anchor, PEM.
    pub ca: &'a Path,
    /// The dNSName that the server's certificate must have.
    pub server_name: &'a str,
}

impl RadsecProxy {
    /// Starts it: clients on loopback share `secret` with it.
    ///
    /// # Panics
    /// It does not start; the message has its log.
    pub fn start(secret: &str, server: SocketAddr, credentials: &Credentials<'_>) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_udp_port()));
        let file = directory.path().join("radsecproxy.conf");
        let config = configuration(address, secret, server, credentials);
        std::fs::write(&file, config).expect("a writable directory");
        let path = file.to_str().expect("a path in UTF-8");
        let arguments = ["-f", "-d", "2", "-c", path];
        let ready = format!("listening for udp on {address}");
        let peer = Peer::start(&program("radsecproxy", "radsecproxy"), &arguments, &ready);
        Self { address, peer, _directory: directory }
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.peer.log()
    }
}

fn configuration(
    listen: SocketAddr,
    secret: &str,
    server: SocketAddr,
    credentials: &Credentials<'_>,
) -> String {
    let Credentials { certificate, key, ca, server_name } = credentials;
    let name = server_name.replace('.', "\\.");
    format!(
        r#"
ListenUDP {listen}
LogLevel 2
tls obf {{
    CACertificateFile {ca}
    CertificateFile {certificate}
    CertificateKeyFile {key}
}}
client 127.0.0.1 {{
    type udp
    secret "{secret}"
}}
server ours {{
    type tls
    host {host}
    port {port}
    secret radsec
    tls obf
    CertificateNameCheck off
    MatchCertificateAttribute SubjectAltName:DNS:/^{name}$/
}}
realm * {{
    server ours
}}
"#,
        ca = ca.display(),
        certificate = certificate.display(),
        key = key.display(),
        host = server.ip(),
        port = server.port(),
    )
}
