//! One RADIUS/TLS connection: requests in both directions at once, identifiers counted per direction.

use super::{AskError, Handler, Origin};
use obf_radius::{
    Code, Framing, HEADER, MAX_PACKET, Reply, Request,
    exchange::{Inbound, StreamConnection, StreamError, stream::Watchdog},
};
use std::{
    fmt,
    future::Future,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Waker},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{Notify, Semaphore, oneshot, watch},
};

/// Octets waiting to be written beyond which nothing more is read from the peer.
const MAX_OUTBOX: usize = 1 << 20;
/// Requests of the peer handled at once on a connection; radius/1.0 cannot have more in flight.
const MAX_HANDLED: usize = 256;
/// Requests of ours in flight on a radius/1.1 connection.
const MAX_WINDOW: usize = 1024;
/// How often deadlines and the watchdog are looked at.
const TICK: Duration = Duration::from_millis(500);

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
    begun: Instant,
    machine: Mutex<StreamConnection<oneshot::Sender<Reply>>>,
    outbox: Mutex<Vec<u8>>,
    written: Notify,
    to_write: Notify,
    window: Semaphore,
    ended: watch::Sender<Option<ConnectionEnded>>,
}

impl Connection {
    /// Runs a connection over `stream` until it ends: the future has to be polled (spawned) for anything to happen.
    pub fn new<S, H>(
        stream: S,
        address: SocketAddr,
        names: Arc<[String]>,
        framing: Framing,
        watchdog: Watchdog,
        handler: Arc<H>,
    ) -> (Self, impl Future<Output = ConnectionEnded> + Send)
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
        H: Handler,
    {
        static NEXT_CONNECTION: AtomicU64 = AtomicU64::new(1);
        // One identifier is the watchdog's.
        let window = (framing.window() - 1).min(MAX_WINDOW);
        let connection = Self(Arc::new(Shared {
            id: NEXT_CONNECTION.fetch_add(1, Ordering::Relaxed),
            address,
            names,
            begun: Instant::now(),
            machine: Mutex::new(StreamConnection::new(framing, watchdog, Duration::ZERO)),
            outbox: Mutex::default(),
            written: Notify::new(),
            to_write: Notify::new(),
            window: Semaphore::new(window),
            ended: watch::Sender::new(None),
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
        tokio::time::timeout(time, self.exchange(code, attributes, time))
            .await
            .unwrap_or(Err(AskError::NoAnswer))
    }

    /// Ends the connection; requests in flight fail.
    pub fn close(&self) {
        self.end(ConnectionEnded::Closed);
    }

    /// Whether a request would be sent at once: fewer are in flight than can be told apart.
    pub fn has_room(&self) -> bool {
        self.0.window.available_permits() > 0
    }

    /// How long ago the peer was last heard.
    pub fn silence(&self) -> Duration {
        self.now().saturating_sub(lock(&self.0.machine).last_heard())
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

    async fn exchange(&self, code: Code, attributes: &[u8], time: Duration) -> Result<Reply, AskError> {
        let _place = self.0.window.acquire().await.map_err(|_| AskError::Ended)?;
        let random = random()?;
        let (sender, answer) = oneshot::channel();
        let deadline = self.now() + time;
        // Dropped from here on (the caller's time is over, or it went away), the place in the window comes back at once, the
        // identifier when its deadline has passed: a late reply must not be taken for another request's.
        {
            // The machine's lock before the outbox's, here and in `watch`; everywhere else they are taken alone.
            let mut machine = lock(&self.0.machine);
            let mut outbox = lock(&self.0.outbox);
            // Full: requests given up still hold their identifiers; the peer hardly answers.
            machine
                .send(sender, code, attributes, random, deadline, &mut outbox)
                .map_err(|_| AskError::NoAnswer)?;
        }
        self.0.to_write.notify_one();
        tokio::select! {
            // A connection that ends drops its waiting requests too: they have to hear the reason, not the silence.
            biased;
            _ = self.ended() => Err(AskError::Ended),
            reply = answer => reply.map_err(|_| AskError::NoAnswer),
        }
    }

    fn now(&self) -> Duration {
        self.0.begun.elapsed()
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
    }

    async fn run<S, H>(self, stream: S, handler: Arc<H>) -> ConnectionEnded
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
        H: Handler,
    {
        let (reader, writer) = tokio::io::split(stream);
        // Whichever ends first ends the connection, so it does not matter what the others are dropped amid: half a record is
        // never followed by another.
        let reason = tokio::select! {
            reason = self.read(reader, handler) => reason,
            reason = self.write(writer) => reason,
            reason = self.watch() => reason,
            reason = self.ended() => reason,
        };
        self.end(reason.clone());
        reason
    }

    async fn write<W: AsyncWrite + Unpin>(&self, mut writer: W) -> ConnectionEnded {
        let mut batch = Vec::new();
        loop {
            // What is put into the outbox while this writes leaves its notification behind: the inner loop or the next turn
            // of the outer one takes it.
            self.0.to_write.notified().await;
            loop {
                batch.clear();
                std::mem::swap(&mut batch, &mut *lock(&self.0.outbox));
                if batch.is_empty() {
                    break;
                }
                self.0.written.notify_waiters();
                if let Err(error) = write_records(&mut writer, &batch).await {
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
            received.clear();
            match reader.read_buf(&mut received).await {
                Ok(0) => return ConnectionEnded::Lost("closed by the peer".into()),
                Ok(_) => {}
                Err(error) => return ConnectionEnded::Lost(error.to_string()),
            }
            lock(&self.0.machine).received(self.now(), &received);
            loop {
                let inbound = lock(&self.0.machine).next_packet();
                match inbound {
                    Ok(None) => break,
                    Ok(Some(Inbound::Request(request))) => self.asked(request, &handler, &handled).await,
                    // Whoever asked may have stopped waiting.
                    Ok(Some(Inbound::Reply(waiting, reply))) => drop(waiting.send(reply)),
                    Err(error) => return ended_by(&error),
                }
            }
            self.wait_for_room().await;
        }
    }

    /// Gives up what was not answered in time, and the connection where nothing is.
    async fn watch(&self) -> ConnectionEnded {
        let mut ticks = tokio::time::interval(TICK);
        loop {
            ticks.tick().await;
            let Ok(random) = random() else { continue };
            let now = self.now();
            let mut machine = lock(&self.0.machine);
            while machine.expire(now).is_some() {}
            if let Err(error) = machine.watch(now, random, &mut lock(&self.0.outbox)) {
                return ended_by(&error);
            }
            self.0.to_write.notify_one();
        }
    }

    /// A peer that does not read its answers is not read from either.
    async fn wait_for_room(&self) {
        loop {
            // Made before the look: `notify_waiters` wakes whoever has one by then, polled or not, and keeps nothing for later.
            let written = self.0.written.notified();
            if lock(&self.0.outbox).len() < MAX_OUTBOX {
                return;
            }
            written.await;
        }
    }

    async fn asked<H: Handler>(&self, request: Request, handler: &Arc<H>, handled: &Arc<Semaphore>) {
        if request.code() == Code::StatusServer {
            let mut out = Vec::with_capacity(HEADER + 18);
            request.reply(Code::AccessAccept, &mut out).finish();
            return self.send(&out);
        }
        let Ok(place) = Arc::clone(handled).acquire_owned().await else { return };
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
        // Most requests are answered from memory: those need no task of their own. The first poll has no waker; a task polls
        // again and leaves its own.
        if handling.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            let connection = self.clone();
            tokio::spawn(async move {
                // Nobody can be answered any more. A handler is dropped wherever it waits, so it keeps what must not be lost in
                // one step of the store's.
                let ended = pin!(connection.ended());
                tokio::select! {
                    () = handling => {}
                    _ = ended => {}
                }
            });
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({} {} {:?})", self.0.id, self.0.address, self.0.names)
    }
}

/// Writes packets: answers that are ready together in one TLS record, each request in one of its own. FreeRADIUS 3 takes
/// a record with more than one request for a bad packet and closes the connection (`tls_listen.c`).
async fn write_records<W: AsyncWrite + Unpin>(writer: &mut W, mut packets: &[u8]) -> io::Result<()> {
    while !packets.is_empty() {
        let (record, rest) = packets.split_at(record_length(packets).min(packets.len()));
        writer.write_all(record).await?;
        packets = rest;
    }
    writer.flush().await
}

/// Octets of the first record of those packets.
fn record_length(packets: &[u8]) -> usize {
    let mut length = 0;
    while let Some([code, _, high, low, ..]) = packets.get(length..) {
        let request = Code::from_number(*code).is_some_and(Code::is_request);
        if request && length > 0 {
            break;
        }
        length += usize::from(u16::from_be_bytes([*high, *low])).max(HEADER);
        if request {
            break;
        }
    }
    length
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn random() -> Result<[u8; 16], AskError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| AskError::NoRandomness)?;
    Ok(random)
}

fn ended_by(error: &StreamError) -> ConnectionEnded {
    match error {
        StreamError::Dead => ConnectionEnded::Lost("no sign of life".into()),
        error => ConnectionEnded::Malformed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_has_a_record_of_its_own_and_answers_share_one() {
        let packet = |code: Code, length: u8| {
            let mut packet = vec![0; length.into()];
            packet[0] = code as u8;
            packet[3] = length;
            packet
        };
        let packets = [
            packet(Code::AccessAccept, 20),
            packet(Code::AccessReject, 30),
            packet(Code::AccessRequest, 40),
            packet(Code::DisconnectRequest, 50),
            packet(Code::AccessAccept, 60),
        ]
        .concat();
        let mut lengths = Vec::new();
        let mut rest = packets.as_slice();
        while !rest.is_empty() {
            lengths.push(record_length(rest));
            rest = &rest[record_length(rest)..];
        }
        assert_eq!(lengths, [50, 40, 50, 60]);
    }
}
