//! What an application gets: an ordinary stream of octets.

use obf_net::psk::{Connected, PskStream};
use obf_token::TokenId;
use obf_types::{UaId, UnixTime};
use std::{io, net::SocketAddr};
use tokio::net::TcpStream;

/// A connection to an application, protected by the key that only it and this device have.
#[derive(Debug)]
pub struct AppStream {
    stream: PskStream<TcpStream>,
    ua: UaId,
    token: TokenId,
    expires: UnixTime,
}

impl AppStream {
    pub(crate) fn new(connected: Connected<TcpStream>, token: TokenId, expires: UnixTime) -> Self {
        Self { stream: connected.stream, ua: connected.ua, token, expires }
    }

    /// The security protocol negotiated.
    pub const fn ua(&self) -> UaId {
        self.ua
    }

    /// The token whose key protects the connection.
    pub const fn token(&self) -> &TokenId {
        &self.token
    }

    /// When the token expires. The application may close earlier, by its local policy.
    pub const fn expires(&self) -> UnixTime {
        self.expires
    }

    /// `TLSv1.3` or `TLSv1.2`.
    pub fn version(&self) -> &'static str {
        self.stream.version()
    }

    /// The cipher suite, as OpenSSL names it.
    pub fn suite(&self) -> &'static str {
        self.stream.suite()
    }

    /// The ALPN protocol, if one was agreed on.
    pub fn protocol(&self) -> Option<&[u8]> {
        self.stream.protocol()
    }

    /// The application's address.
    ///
    /// # Errors
    /// The system's, where the connection is gone.
    pub fn peer_address(&self) -> io::Result<SocketAddr> {
        self.stream.transport().peer_addr()
    }
}

obf_net::forward_stream!(AppStream, stream);
