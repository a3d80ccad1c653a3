//! HTTP/1.1 over TLS, octet by octet: no HTTP library between the test and the server.

use super::DOMAIN;
use obf_rpb::http::{ClientRequest, HttpResponse};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub struct Wire {
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    stream: StreamOwned<ClientConnection, TcpStream>,
}

pub struct Answer {
    pub status: u16,
    /// Status line and headers, as they came.
    pub head: Vec<u8>,
    /// Names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn response(&self) -> HttpResponse<'_> {
        let plain = HttpResponse::new(self.status, &self.body);
        self.headers.iter().fold(plain, |response, (name, value)| response.with_header(name, value))
    }
}

pub fn tls(ca: &Path) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

impl Wire {
    pub fn connect(address: SocketAddr, tls: &Arc<ClientConfig>) -> Self {
        Self { address, tls: Arc::clone(tls), stream: open(address, tls) }
    }

    /// Sends a request and reads its answer; connects again if the server has closed in between.
    pub fn send(&mut self, request: &ClientRequest) -> Answer {
        let mut octets =
            format!("{} {} HTTP/1.1\r\nhost: {DOMAIN}\r\n", request.method, request.target).into_bytes();
        for (name, value) in &request.headers {
            octets.extend_from_slice(name.as_bytes());
            octets.extend_from_slice(b": ");
            octets.extend_from_slice(value);
            octets.extend_from_slice(b"\r\n");
        }
        octets.extend_from_slice(b"\r\n");
        self.send_octets(&octets)
    }

    pub fn send_octets(&mut self, octets: &[u8]) -> Answer {
        if let Some(answer) = self.exchange(octets) {
            return answer;
        }
        self.stream = open(self.address, &self.tls);
        self.exchange(octets).expect("an answer on a new connection")
    }

    /// Only writes.
    pub fn write(&mut self, octets: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(octets).and_then(|()| self.stream.flush())
    }

    /// Reads one answer; `None` if the server closed first.
    pub fn read(&mut self) -> Option<Answer> {
        let mut received = Vec::new();
        let end = loop {
            if let Some(at) = received.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            self.more(&mut received)?;
        };
        let head = received[..end].to_vec();
        let text = String::from_utf8_lossy(&head).into_owned();
        let headers: Vec<(String, Vec<u8>)> = text
            .lines()
            .skip(1)
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.as_bytes().to_vec()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length: usize = length.map_or(0, |(_, value)| String::from_utf8_lossy(value).parse().unwrap());
        while received.len() < end + 4 + length {
            self.more(&mut received)?;
        }
        let body = received[end + 4..].to_vec();
        assert_eq!(body.len(), length, "nothing behind the body");
        Some(Answer { status: text[9..12].parse().unwrap(), head, headers, body })
    }

    fn exchange(&mut self, octets: &[u8]) -> Option<Answer> {
        self.write(octets).ok()?;
        self.read()
    }

    fn more(&mut self, received: &mut Vec<u8>) -> Option<()> {
        let mut buffer = [0; 4096];
        let count = self.stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        received.extend_from_slice(&buffer[..count]);
        Some(())
    }
}

fn open(address: SocketAddr, tls: &Arc<ClientConfig>) -> StreamOwned<ClientConnection, TcpStream> {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
    let name = ServerName::try_from(DOMAIN).unwrap();
    StreamOwned::new(ClientConnection::new(Arc::clone(tls), name).unwrap(), stream)
}
