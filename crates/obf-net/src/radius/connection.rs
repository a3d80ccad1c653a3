//! One RADIUS/TLS connection: requests in both directions at once, identifiers counted per direction.

use super::{AskError, Handler, Origin};
use obf_radius::{Code, Framing, HEADER, MAX_PACKET, Packet, Pending, Reply, Request};
use std::{
    collections::HashMap,
    fmt,
    future::Future,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Waker},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot, watch},
};

/// Octets waiting to be written beyond which nothing more is read from the peer.
const MAX_OUTBOX: usize = 1 << 20;
/// Requests of the peer handled at once on a connection; radius/1.0 cannot have more in flight.
const MAX_HANDLED: usize = 256;
/// Requests of ours in flight on a radius/1.1 connection.
const MAX_WINDOW: usize = 1024;

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionEnded {
    /// The peer closed it, or the network failed.
    Lost(String),
    /// The peer sent what is no authentic packet (RFC 6613 2.6.4).
    Malformed(String),
    /// We closed it.
    Closed,
}

/// A live RADIUS/TLS connection. Cheap to clone; the connection lives until either end closes it.
#[derive(Clone)]
pub struct Connection(Arc<Shared>);

struct Shared {
    id: u64,
    address: SocketAddr,
    names: Arc<[String]>,
    framing: Framing,
    outbox: Mutex<Vec<u8>>,
    written: Notify,
    to_write: Notify,
    waiting: Mutex<HashMap<u32, Waiting>>,
    next_id: AtomicU32,
    window: Arc<Semaphore>,
    ended: watch::Sender<Option<ConnectionEnded>>,
}

/// A request of ours in flight. An abandoned one keeps its identifier until its answer comes or the connection ends.
struct Waiting {
    pending: Pending,
    answer: oneshot::Sender<Reply>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    /// Runs a connection over `stream` until it ends: `running` has to be polled (spawned) for anything to happen.
    pub fn new<S, H>(
        stream: S,
        address: SocketAddr,
        names: Arc<[String]>,
        framing: Framing,
        handler: Arc<H>,
    ) -> (Self, impl Future<Output = ConnectionEnded> + Send)
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
        H: Handler,
    {
        static NEXT_CONNECTION: AtomicU64 = AtomicU64::new(1);
        let connection = Self(Arc::new(Shared {
            id: NEXT_CONNECTION.fetch_add(1, Ordering::Relaxed),
            address,
            names,
            outbox: Mutex::default(),
            written: Notify::new(),
            to_write: Notify::new(),
            waiting: Mutex::default(),
            next_id: AtomicU32::new(0),
            window: Arc::new(Semaphore::new(framing.window().min(MAX_WINDOW))),
            ended: watch::Sender::new(None),
            framing,
        }));
        let running = connection.clone().run(stream, handler);
        (connection, running)
    }

    /// A number that no other connection of this process has.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// The other end's address.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// The dNSNames of the peer's certificate.
    pub fn names(&self) -> &Arc<[String]> {
        &self.0.names
    }

    /// Asks the peer. `attributes` as written with [`obf_radius::AttributeWriter::for_request`]. Waits for its turn
    /// where the window is full.
    ///
    /// # Errors
    /// [`AskError::Ended`], [`AskError::NoAnswer`] after `time`, [`AskError::NoRandomness`].
    pub async fn ask(&self, code: Code, attributes: &[u8], time: Duration) -> Result<Reply, AskError> {
        tokio::time::timeout(time, self.exchange(code, attributes)).await.unwrap_or(Err(AskError::NoAnswer))
    }

    /// Ends the connection; requests in flight fail.
    pub fn close(&self) {
        self.end(ConnectionEnded::Closed);
    }

    /// Resolves when the connection has ended.
    pub async fn ended(&self) -> ConnectionEnded {
        let mut ended = self.0.ended.subscribe();
        match ended.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or(ConnectionEnded::Closed),
            Err(_) => ConnectionEnded::Closed,
        }
    }

    /// Whether it has ended.
    pub fn is_ended(&self) -> bool {
        self.0.ended.borrow().is_some()
    }

    async fn exchange(&self, code: Code, attributes: &[u8]) -> Result<Reply, AskError> {
        let place = Arc::clone(&self.0.window).acquire_owned().await.map_err(|_| AskError::Ended)?;
        let mut random = [0; 16];
        if !code.has_hashed_authenticator() {
            getrandom::fill(&mut random).map_err(|_| AskError::NoRandomness)?;
        }
        let (sender, answer) = oneshot::channel();
        let mut packet = Vec::with_capacity(HEADER + 18 + attributes.len());
        {
            let mut waiting = lock(&self.0.waiting);
            let id = self.free_id(&waiting);
            let pending = Pending::begin(&self.0.framing, code, id, random, attributes, &mut packet);
            waiting.insert(pending.id(), Waiting { pending, answer: sender, _place: place });
        }
        if self.is_ended() {
            lock(&self.0.waiting).clear();
            return Err(AskError::Ended);
        }
        self.send(&packet);
        answer.await.map_err(|_| AskError::Ended)
    }

    /// The window is smaller than the space of identifiers or equal to it, so one is free.
    fn free_id(&self, waiting: &HashMap<u32, Waiting>) -> u32 {
        loop {
            let next = self.0.next_id.fetch_add(1, Ordering::Relaxed);
            let id = if matches!(self.0.framing, Framing::V10 { .. }) { next & 0xFF } else { next };
            if !waiting.contains_key(&id) {
                return id;
            }
        }
    }

    fn send(&self, packet: &[u8]) {
        lock(&self.0.outbox).extend_from_slice(packet);
        self.0.to_write.notify_one();
    }

    fn end(&self, reason: ConnectionEnded) {
        self.0.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            if first {
                *ended = Some(reason);
            }
            first
        });
        self.0.window.close();
        // Whoever waits for an answer learns that none will come.
        lock(&self.0.waiting).clear();
    }

    async fn run<S, H>(self, stream: S, handler: Arc<H>) -> ConnectionEnded
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
        H: Handler,
    {
        let (reader, writer) = tokio::io::split(stream);
        let reason = tokio::select! {
            reason = self.read(reader, handler) => reason,
            reason = self.write(writer) => reason,
            reason = self.ended() => reason,
        };
        self.end(reason.clone());
        reason
    }

    async fn write<W: AsyncWrite + Unpin>(&self, mut writer: W) -> ConnectionEnded {
        let mut batch = Vec::new();
        loop {
            self.0.to_write.notified().await;
            loop {
                batch.clear();
                std::mem::swap(&mut batch, &mut *lock(&self.0.outbox));
                if batch.is_empty() {
                    break;
                }
                self.0.written.notify_waiters();
                let sent = match writer.write_all(&batch).await {
                    Ok(()) => writer.flush().await,
                    Err(error) => Err(error),
                };
                if let Err(error) = sent {
                    return ConnectionEnded::Lost(error.to_string());
                }
            }
        }
    }

    async fn read<R, H>(&self, mut reader: R, handler: Arc<H>) -> ConnectionEnded
    where
        R: AsyncRead + Unpin,
        H: Handler,
    {
        let handled = Arc::new(Semaphore::new(MAX_HANDLED));
        let mut received = Vec::with_capacity(4 * MAX_PACKET);
        loop {
            match reader.read_buf(&mut received).await {
                Ok(0) => return ConnectionEnded::Lost("closed by the peer".into()),
                Ok(_) => {}
                Err(error) => return ConnectionEnded::Lost(error.to_string()),
            }
            let mut rest = received.as_slice();
            while let Some(split) = next_packet(rest) {
                let Ok((packet, behind)) = split else {
                    return ConnectionEnded::Malformed("length of a packet".into());
                };
                rest = behind;
                if let Err(reason) = self.received(packet, &handler, &handled).await {
                    return ConnectionEnded::Malformed(reason);
                }
            }
            let used = received.len() - rest.len();
            received.drain(..used);
            received.reserve(MAX_PACKET);
            self.wait_for_room().await;
        }
    }

    /// A peer that does not read its answers is not read from either.
    async fn wait_for_room(&self) {
        loop {
            let written = self.0.written.notified();
            if lock(&self.0.outbox).len() < MAX_OUTBOX {
                return;
            }
            written.await;
        }
    }

    async fn received<H: Handler>(
        &self,
        octets: &[u8],
        handler: &Arc<H>,
        handled: &Arc<Semaphore>,
    ) -> Result<(), String> {
        let packet = Packet::parse(octets).map_err(|error| error.to_string())?;
        if !packet.code().is_request() {
            return self.answered(&packet, octets);
        }
        let request = Request::authenticate(&self.0.framing, octets).map_err(|error| error.to_string())?;
        if request.code() == Code::StatusServer {
            let mut out = Vec::with_capacity(HEADER + 18);
            request.reply(Code::AccessAccept, &mut out).finish();
            self.send(&out);
            return Ok(());
        }
        let Ok(place) = Arc::clone(handled).acquire_owned().await else { return Ok(()) };
        let origin = Origin {
            address: self.0.address,
            names: Arc::clone(&self.0.names),
            connection: Some(self.clone()),
        };
        let (connection, handler) = (self.clone(), Arc::clone(handler));
        let mut handling = Box::pin(async move {
            if let Some(reply) = handler.handle(request, origin).await {
                connection.send(&reply);
            }
            drop(place);
        });
        // Most requests are answered from memory: those need no task of their own.
        if handling.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            let connection = self.clone();
            tokio::spawn(async move {
                let ended = pin!(connection.ended());
                tokio::select! {
                    () = handling => {}
                    _ = ended => {}
                }
            });
        }
        Ok(())
    }

    fn answered(&self, packet: &Packet<'_>, octets: &[u8]) -> Result<(), String> {
        let id = match self.0.framing {
            Framing::V10 { .. } => u32::from(packet.identifier()),
            Framing::V11 => packet.token(),
        };
        let mut waiting = lock(&self.0.waiting);
        let Some(found) = waiting.get(&id) else { return Err("an answer to nothing".into()) };
        let reply = found.pending.accept(&self.0.framing, octets).map_err(|error| error.to_string())?;
        if let Some(done) = waiting.remove(&id) {
            // Whoever asked may have stopped waiting.
            let _ = done.answer.send(reply);
        }
        Ok(())
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({} {} {:?})", self.0.id, self.0.address, self.0.names)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The first whole packet and what stands behind it; `None` where more octets are needed.
fn next_packet(octets: &[u8]) -> Option<Result<(&[u8], &[u8]), ()>> {
    let [_, _, high, low] = *octets.first_chunk()?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if !(HEADER..=MAX_PACKET).contains(&length) {
        return Some(Err(()));
    }
    octets.split_at_checked(length).map(Ok)
}
