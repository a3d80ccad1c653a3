//! RADIUS/TLS, the accepting end (RFC 6614): mutual certificates, requests in both directions.

use super::{Connection, Handler};
use crate::{AcceptLoop, ConnectionLimits, Incoming, Running, certificates};
use obf_radius::{
    Framing,
    exchange::stream::Watchdog,
    framing::{ALPN_V10, ALPN_V11},
};
use rustls::{ProtocolVersion, ServerConfig};
use socket2::{SockRef, TcpKeepalive};
use std::{sync::Arc, time::Duration};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Limits of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsServerSettings {
    /// Connections at once.
    pub connections: ConnectionLimits,
    /// For the TLS handshake.
    pub handshake_time: Duration,
    /// Whether radius/1.1 (RFC 9765) is offered beside 1.0.
    pub radius_1_1: bool,
}

impl Default for TlsServerSettings {
    fn default() -> Self {
        Self {
            connections: ConnectionLimits { total: 4096, per_source: 256 },
            handshake_time: Duration::from_secs(10),
            radius_1_1: true,
        }
    }
}

/// Serves `handler` on `listener` until the group of `running` is told to finish. `tls` must ask for client
/// certificates ([`certificates::mutual_server`]); a peer without one never gets here.
pub async fn serve_tls<H: Handler>(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    settings: TlsServerSettings,
    running: Running,
    handler: Arc<H>,
) {
    let mut tls = (*tls).clone();
    tls.alpn_protocols = protocols(settings.radius_1_1);
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let accepting = AcceptLoop::new(listener, settings.connections, running.clone());
    accepting
        .run(move |incoming| {
            let (acceptor, handler, group) = (acceptor.clone(), Arc::clone(&handler), running.clone());
            async move { converse(incoming, acceptor, settings.handshake_time, &group, handler).await }
        })
        .await;
}

async fn converse<H: Handler>(
    incoming: Incoming,
    acceptor: TlsAcceptor,
    handshake_time: Duration,
    running: &Running,
    handler: Arc<H>,
) {
    let Incoming { stream, peer: address, permit: _permit } = incoming;
    let accepted = tokio::time::timeout(handshake_time, accept(acceptor, stream)).await;
    let Ok(Some((stream, names, framing))) = accepted else {
        tracing::debug!(%address, "no RADIUS/TLS handshake");
        return;
    };
    let (connection, run) =
        Connection::new(stream, address, names, framing, NO_WATCHDOG, Arc::clone(&handler));
    if !handler.accepts(&connection) {
        tracing::info!(%address, names = ?connection.names(), "peer is not registered");
        return;
    }
    tokio::select! {
        ended = run => tracing::debug!(%address, ?ended, "RADIUS/TLS connection ended"),
        () = running.stopping() => connection.close(),
    }
}

/// The accepting end does not ask for signs of life: a peer that is gone shows in TCP's keep-alive.
const NO_WATCHDOG: Watchdog = Watchdog { interval: Duration::MAX, patience: Duration::MAX };

/// Idle time after which TCP asks whether the peer is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// ALPN names in order of preference.
pub(super) fn protocols(radius_1_1: bool) -> Vec<Vec<u8>> {
    let mut names = vec![ALPN_V10.to_vec()];
    if radius_1_1 {
        names.insert(0, ALPN_V11.to_vec());
    }
    names
}

/// The framing agreed on; `None` for radius/1.1 below TLS 1.3, which RFC 9765 3.4 forbids.
pub(super) fn framing(tls: &rustls::CommonState) -> Option<Framing> {
    let framing = Framing::from_alpn(tls.alpn_protocol());
    let allowed =
        matches!(framing, Framing::V10 { .. }) || tls.protocol_version() == Some(ProtocolVersion::TLSv1_3);
    allowed.then_some(framing)
}

async fn accept(
    acceptor: TlsAcceptor,
    stream: TcpStream,
) -> Option<(tokio_rustls::server::TlsStream<TcpStream>, Arc<[String]>, Framing)> {
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEP_ALIVE));
    let stream = acceptor.accept(stream).await.ok()?;
    let (_, tls) = stream.get_ref();
    let names = certificates::dns_names(tls.peer_certificates()?.first()?).into();
    let framing = framing(tls)?;
    Some((stream, names, framing))
}
