//! The server: accepts within limits, reads heads of bounded size in bounded time, drains when told.

use crate::{AcceptLoop, ConnectionLimits, Incoming, Running, certificates::dns_names};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{self, Body},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use std::{convert::Infallible, future::Future, net::SocketAddr, pin::pin, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

/// What most handlers answer: a whole body. Any other body may be answered too, for example a streamed one.
pub type Reply = Response<Full<Bytes>>;

/// Limits of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// Connections at once.
    pub connections: ConnectionLimits,
    /// Octets of a request head, at least 8192; beyond it 431.
    pub head_octets: usize,
    /// Header lines of a request; beyond it 431.
    pub headers: usize,
    /// For the TLS handshake, for a request head, and idle between requests.
    pub head_time: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections: ConnectionLimits::default(),
            head_octets: 16 * 1024,
            headers: 64,
            head_time: Duration::from_secs(10),
        }
    }
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The address of the other end of the TCP connection.
    pub address: SocketAddr,
    /// Whether the request came in TLS.
    pub tls: bool,
    /// dNSNames of the certificate that it has shown, if the listener asks for one and it was verified.
    pub names: Option<Arc<[String]>>,
}

/// Serves `handler` on `listener` until the group of `running` is told to finish; then requests under way are
/// answered and idle connections closed.
pub async fn serve<H, F, B>(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    limits: HttpLimits,
    running: Running,
    handler: H,
) where
    H: Fn(Request<body::Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let accepting = AcceptLoop::new(listener, limits.connections, running.clone());
    let acceptor = tls.map(TlsAcceptor::from);
    accepting
        .run(move |incoming| {
            let (acceptor, handler, group) = (acceptor.clone(), handler.clone(), running.clone());
            async move { converse(incoming, acceptor, limits, &group, handler).await }
        })
        .await;
}

async fn converse<H, F, B>(
    incoming: Incoming,
    acceptor: Option<TlsAcceptor>,
    limits: HttpLimits,
    running: &Running,
    handler: H,
) where
    H: Fn(Request<body::Incoming>, Peer) -> F,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let Incoming { stream, peer: address, permit: _permit } = incoming;
    let _ = stream.set_nodelay(true);
    let mut peer = Peer { address, tls: acceptor.is_some(), names: None };
    let Some(acceptor) = acceptor else {
        return answer(stream, peer, limits, running, handler).await;
    };
    match tokio::time::timeout(limits.head_time, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => {
            let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            peer.names = certificate.map(|certificate| dns_names(certificate).into());
            answer(stream, peer, limits, running, handler).await;
        }
        Ok(Err(error)) => tracing::debug!(%address, %error, "TLS handshake failed"),
        Err(_) => tracing::debug!(%address, "TLS handshake too slow"),
    }
}

async fn answer<S, H, F, B>(stream: S, peer: Peer, limits: HttpLimits, running: &Running, handler: H)
where
    S: AsyncRead + AsyncWrite + Unpin,
    H: Fn(Request<body::Incoming>, Peer) -> F,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let service = service_fn(|request| {
        let reply = handler(request, peer.clone());
        async move { Ok::<_, Infallible>(reply.await) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_time)
            .max_headers(limits.headers)
            .max_buf_size(limits.head_octets.max(8192))
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = running.stopping() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(address = %peer.address, %error, "HTTP connection ended");
    }
}
