//! RADIUS/UDP, the answering end: known sources only, authentic packets only, and a repeated request is answered
//! with the same reply without being handled again (RFC 5080 2.2.2).

use super::{Handler, Origin};
use crate::Running;
use obf_radius::{
    Code, Framing, Rejected, Request,
    exchange::{DuplicateCache, Seen},
};
use obf_types::SecretBytes;
use std::{
    collections::HashMap,
    future::Future,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    task::{Context, Waker},
    time::Instant,
};
use tokio::{net::UdpSocket, sync::Semaphore};

/// Longer than any packet, so that a longer datagram shows.
const DATAGRAM: usize = obf_radius::MAX_PACKET + 1;

/// A source that may ask.
#[derive(Clone, Debug)]
pub struct UdpPeer {
    /// Its address; any port.
    pub source: IpAddr,
    /// The secret shared with it.
    pub secret: SecretBytes,
    /// The names it goes by for the handler ([`Origin::names`]).
    pub names: Vec<String>,
}

/// The sources that may ask; they can be replaced while they are served.
#[derive(Debug, Default)]
pub struct UdpPeers(RwLock<Arc<Sources>>);

/// Several peers may be at one address, as long as their secrets differ.
type Sources = HashMap<IpAddr, Vec<(Framing, Arc<[String]>)>>;

impl UdpPeers {
    /// These.
    pub fn new(peers: Vec<UdpPeer>) -> Self {
        Self(RwLock::new(Arc::new(sources(peers))))
    }

    /// These from now on.
    pub fn replace(&self, peers: Vec<UdpPeer>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(sources(peers));
    }

    /// The request in a datagram and the names of the peer that it is authentically from, or why not;
    /// `None`: nobody is known there.
    fn authenticate(
        &self,
        source: IpAddr,
        octets: &[u8],
    ) -> Result<(Request, Arc<[String]>), Option<Rejected>> {
        let sources = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        let mut reason = None;
        for (framing, names) in sources.get(&source.to_canonical()).into_iter().flatten() {
            match Request::authenticate(framing, octets) {
                Ok(request) => return Ok((request, Arc::clone(names))),
                Err(rejected) => reason = Some(rejected),
            }
        }
        Err(reason)
    }
}

fn sources(peers: Vec<UdpPeer>) -> Sources {
    let mut sources = Sources::new();
    for peer in peers {
        let at = sources.entry(peer.source.to_canonical()).or_default();
        at.push((Framing::with_secret(peer.secret), peer.names.into()));
    }
    sources
}

/// Limits of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpServerSettings {
    /// Replies kept for repetitions; the oldest goes first.
    pub max_replies: usize,
    /// Requests handled at once; more are dropped and will be repeated.
    pub max_handled: usize,
}

impl Default for UdpServerSettings {
    fn default() -> Self {
        Self { max_replies: 65_536, max_handled: 4_096 }
    }
}

/// Serves `handler` on `socket`, for peers that stay the same, until the group of `running` is told to finish.
pub async fn serve_udp<H: Handler>(
    socket: UdpSocket,
    peers: Vec<UdpPeer>,
    settings: UdpServerSettings,
    running: Running,
    handler: Arc<H>,
) {
    serve_udp_peers(socket, Arc::new(UdpPeers::new(peers)), settings, running, handler).await;
}

/// Serves `handler` on `socket`, for peers that may be replaced, until the group of `running` is told to finish.
pub async fn serve_udp_peers<H: Handler>(
    socket: UdpSocket,
    peers: Arc<UdpPeers>,
    settings: UdpServerSettings,
    running: Running,
    handler: Arc<H>,
) {
    let server = Arc::new(Server {
        socket,
        replies: Mutex::new(DuplicateCache::new(settings.max_replies)),
        begun: Instant::now(),
    });
    let places = Arc::new(Semaphore::new(settings.max_handled));
    let mut datagram = vec![0; DATAGRAM];
    loop {
        let (length, address) = tokio::select! {
            received = server.socket.recv_from(&mut datagram) => match received {
                Ok(received) => received,
                Err(error) => {
                    // An ICMP error of an earlier reply: it says nothing about this socket.
                    tracing::debug!(%error, "receive failed");
                    continue;
                }
            },
            () = running.stopping() => return,
        };
        let octets = datagram.get(..length).unwrap_or_default();
        let (request, names) = match peers.authenticate(address.ip(), octets) {
            Ok(authentic) => authentic,
            Err(Some(rejected)) => {
                tracing::debug!(%address, error = %rejected, "packet discarded");
                continue;
            }
            Err(None) => {
                tracing::debug!(%address, "packet from an unknown source");
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        if let Some(reply) = server.repetition(address, &request) {
            if let Some(reply) = reply {
                server.send(&reply, address).await;
            }
            continue;
        }
        let origin = Origin { address, names, connection: None };
        let (server, handler) = (Arc::clone(&server), Arc::clone(&handler));
        let mut handling = Box::pin(async move {
            match answer(&request, origin, &*handler).await {
                Some(reply) => {
                    server.replies().answered(&address, &request, &reply);
                    server.send(&reply, address).await;
                }
                None => server.replies().abandoned(&address, &request),
            }
            drop(place);
        });
        // Most requests are answered from memory: those need no task of their own.
        if handling.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            running.spawn(handling);
        }
    }
}

async fn answer<H: Handler>(request: &Request, origin: Origin, handler: &H) -> Option<Vec<u8>> {
    if request.code() != Code::StatusServer {
        return handler.handle(request.clone(), origin).await;
    }
    let mut out = Vec::new();
    request.reply(Code::AccessAccept, &mut out).finish();
    Some(out)
}

struct Server {
    socket: UdpSocket,
    begun: Instant,
    replies: Mutex<DuplicateCache<SocketAddr>>,
}

impl Server {
    fn replies(&self) -> MutexGuard<'_, DuplicateCache<SocketAddr>> {
        self.replies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` for a new request; the reply, as far as there is one, for a repeated one.
    fn repetition(&self, source: SocketAddr, request: &Request) -> Option<Option<Vec<u8>>> {
        match self.replies().observe(self.begun.elapsed(), &source, request) {
            Seen::New => None,
            Seen::InProgress => Some(None),
            Seen::Answered(reply) => Some(Some(reply.to_vec())),
        }
    }

    async fn send(&self, reply: &[u8], address: SocketAddr) {
        if let Err(error) = self.socket.send_to(reply, address).await {
            tracing::debug!(%address, %error, "reply not sent");
        }
    }
}
