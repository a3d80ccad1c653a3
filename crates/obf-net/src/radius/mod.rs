//! RADIUS transports: packets in, packets out; who may ask, and what it means, is for the handlers.
//!
//! [`Connection`] is a RADIUS/TLS connection with requests in both directions (RFC 6614; RFC 5176 in reverse),
//! [`tls_server`] accepts such connections, [`tls_client`] keeps one up and fails over; [`udp_server`] and
//! [`udp_client`] are RADIUS over UDP with its retransmissions and duplicates.

mod connection;
mod overflow;
mod reverse;
pub mod tls_client;
pub mod tls_server;
pub mod udp_client;
pub mod udp_server;

pub use connection::{Connection, ConnectionEnded};
pub use obf_radius::exchange::RetransmitPolicy;
pub use reverse::{Forward, Forwarder, ReverseRequest, ReverseRequests, reverse_requests};
pub use tls_client::{LinkEvents, RadiusTlsClient, TlsClientSettings, TlsServerAddress};
pub use tls_server::{TlsServerSettings, serve_tls};
pub use udp_client::{RadiusUdpClient, UdpServerAddress};
pub use udp_server::{UdpPeer, UdpPeers, UdpServerSettings, serve_udp, serve_udp_peers};

use obf_radius::Request;
use std::{future::Future, net::SocketAddr, sync::Arc};

/// Where an authentic request came from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The other end's address.
    pub address: SocketAddr,
    /// The dNSNames of the peer's certificate, lower-case, no wildcards; on UDP what the configuration says.
    pub names: Arc<[String]>,
    /// The connection, for requests in reverse; `None` on UDP.
    pub connection: Option<Connection>,
}

/// Answers requests. `Status-Server` is answered by the transport itself.
pub trait Handler: Send + Sync + 'static {
    /// The reply packet, made with [`Request::reply`]; `None` to stay silent. Requests are handled concurrently; on
    /// UDP a repeated request is not handled again.
    fn handle(&self, request: Request, origin: Origin) -> impl Future<Output = Option<Vec<u8>>> + Send;

    /// A peer with a valid certificate has connected to [`serve_tls`]: whether it may stay. Here a server learns of
    /// the connections on which it can ask in reverse, before the first request.
    fn accepts(&self, connection: &Connection) -> bool {
        let _ = connection;
        true
    }
}

/// Refuses every request with silence: for a client whose server has nothing to ask.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRequests;

impl Handler for NoRequests {
    async fn handle(&self, _: Request, _: Origin) -> Option<Vec<u8>> {
        None
    }
}

/// Why a request was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// No server of those configured can be reached now.
    #[error("no server can be reached")]
    Unreachable,
    /// The connection ended before the answer.
    #[error("the connection ended before the answer")]
    Ended,
    /// No answer in time, from any server.
    #[error("no answer in time")]
    NoAnswer,
    /// The system has no randomness for a Request Authenticator.
    #[error("no randomness")]
    NoRandomness,
}
