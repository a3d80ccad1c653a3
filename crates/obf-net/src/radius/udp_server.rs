//! RADIUS/UDP, the answering end: known sources only, authentic packets only, and a repeated request is answered
//! with the same reply without being handled again (RFC 5080 2.2.2).

use super::{Handler, Origin};
use crate::Running;
use obf_radius::{Code, Framing, Request};
use obf_types::SecretBytes;
use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
    time::{Duration, Instant},
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

/// Limits of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpServerSettings {
    /// How long a reply is kept for repetitions.
    pub replies_kept: Duration,
    /// Replies kept at most; the oldest goes first.
    pub max_replies: usize,
    /// Requests handled at once; more are dropped and will be repeated.
    pub max_handled: usize,
}

impl Default for UdpServerSettings {
    fn default() -> Self {
        Self { replies_kept: Duration::from_secs(10), max_replies: 65_536, max_handled: 4_096 }
    }
}

/// Serves `handler` on `socket` until the group of `running` is told to finish.
pub async fn serve_udp<H: Handler>(
    socket: UdpSocket,
    peers: Vec<UdpPeer>,
    settings: UdpServerSettings,
    running: Running,
    handler: Arc<H>,
) {
    let peers: HashMap<IpAddr, (Framing, Arc<[String]>)> = peers
        .into_iter()
        .map(|peer| (peer.source.to_canonical(), (Framing::with_secret(peer.secret), peer.names.into())))
        .collect();
    let server = Arc::new(Server { socket, replies: Mutex::default() });
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
        let Some((framing, names)) = peers.get(&address.ip().to_canonical()) else {
            tracing::debug!(%address, "packet from an unknown source");
            continue;
        };
        let request = match Request::authenticate(framing, octets) {
            Ok(request) => request,
            Err(error) => {
                tracing::debug!(%address, %error, "packet discarded");
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let key = (address, request.packet().identifier(), request.packet().authenticator());
        match server.replies().begin(key, &settings) {
            Repetition::First => {}
            Repetition::BeingHandled => continue,
            Repetition::Answered(reply) => {
                server.send(&reply, address).await;
                continue;
            }
        }
        let origin = Origin { address, names: Arc::clone(names), connection: None };
        let (server, handler) = (Arc::clone(&server), Arc::clone(&handler));
        let mut handling = Box::pin(async move {
            let reply = answer(request, origin, &*handler).await;
            if let Some(reply) = &reply {
                server.send(reply, address).await;
            }
            server.replies().finish(key, reply);
            drop(place);
        });
        // Most requests are answered from memory: those need no task of their own.
        if handling.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            running.spawn(handling);
        }
    }
}

async fn answer<H: Handler>(request: Request, origin: Origin, handler: &H) -> Option<Vec<u8>> {
    if request.code() != Code::StatusServer {
        return handler.handle(request, origin).await;
    }
    let mut out = Vec::new();
    request.reply(Code::AccessAccept, &mut out).finish();
    Some(out)
}

struct Server {
    socket: UdpSocket,
    replies: Mutex<Replies>,
}

impl Server {
    fn replies(&self) -> MutexGuard<'_, Replies> {
        self.replies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, reply: &[u8], address: SocketAddr) {
        if let Err(error) = self.socket.send_to(reply, address).await {
            tracing::debug!(%address, %error, "reply not sent");
        }
    }
}

/// Source address and port, identifier, Request Authenticator.
type Key = (SocketAddr, u8, [u8; 16]);

enum Repetition {
    First,
    BeingHandled,
    Answered(Arc<[u8]>),
}

/// Requests of the last seconds and their replies; `None` while being handled, or where there is none.
#[derive(Default)]
struct Replies {
    by_request: HashMap<Key, Option<Arc<[u8]>>>,
    oldest_first: VecDeque<(Instant, Key)>,
}

impl Replies {
    fn begin(&mut self, key: Key, settings: &UdpServerSettings) -> Repetition {
        let now = Instant::now();
        while let Some((since, oldest)) = self.oldest_first.front()
            && (now.duration_since(*since) >= settings.replies_kept
                || self.oldest_first.len() > settings.max_replies)
        {
            self.by_request.remove(oldest);
            self.oldest_first.pop_front();
        }
        match self.by_request.get(&key) {
            Some(Some(reply)) => Repetition::Answered(Arc::clone(reply)),
            Some(None) => Repetition::BeingHandled,
            None => {
                self.by_request.insert(key, None);
                self.oldest_first.push_back((now, key));
                Repetition::First
            }
        }
    }

    fn finish(&mut self, key: Key, reply: Option<Vec<u8>>) {
        if let Some(place) = self.by_request.get_mut(&key) {
            *place = reply.map(Into::into);
        }
    }
}
