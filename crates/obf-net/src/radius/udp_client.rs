//! RADIUS/UDP, the asking end: retransmits, fails over, and has more requests in flight than one source port can
//! tell apart (RFC 2865 2.5: 256) by using more ports.

use super::AskError;
use obf_radius::{Code, Framing, Pending, Reply};
use obf_types::SecretBytes;
use std::{
    collections::HashMap,
    fmt, io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::UdpSocket,
    sync::{Semaphore, oneshot},
    task::AbortHandle,
    time::Instant,
};

/// Requests in flight that one port can tell apart.
const WINDOW: usize = 256;

/// A server that may be asked.
#[derive(Clone, Debug)]
pub struct UdpServerAddress {
    /// Its address.
    pub address: SocketAddr,
    /// The secret shared with it.
    pub secret: SecretBytes,
}

/// How to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpClientSettings {
    /// Until the first retransmission; each next pause is twice as long.
    pub retransmit: Duration,
    /// Transmissions to one server before the next one is asked.
    pub transmissions: u32,
    /// How long a server that did not answer is asked last.
    pub set_aside: Duration,
    /// Source ports a server; each has 256 requests in flight.
    pub ports: usize,
}

impl Default for UdpClientSettings {
    fn default() -> Self {
        Self {
            retransmit: Duration::from_millis(300),
            transmissions: 3,
            set_aside: Duration::from_secs(10),
            ports: 4,
        }
    }
}

/// A client of one logical server with several addresses. Cheap to clone.
#[derive(Clone)]
pub struct RadiusUdpClient(Arc<Shared>);

struct Shared {
    servers: Vec<Server>,
    settings: UdpClientSettings,
}

struct Server {
    ports: Vec<(Arc<Port>, Receiver)>,
    next_port: AtomicUsize,
    silent_since: Mutex<Option<Instant>>,
}

/// A source port connected to one server.
struct Port {
    socket: UdpSocket,
    framing: Framing,
    waiting: Mutex<HashMap<u32, Waiting>>,
    next_id: AtomicU8,
    window: Semaphore,
}

struct Waiting {
    pending: Pending,
    answer: oneshot::Sender<Reply>,
}

impl RadiusUdpClient {
    /// Opens the ports.
    ///
    /// # Errors
    /// The system's, where no socket can be had.
    pub async fn open(servers: Vec<UdpServerAddress>, settings: UdpClientSettings) -> io::Result<Self> {
        let mut opened = Vec::with_capacity(servers.len());
        for server in servers {
            let framing = Framing::with_secret(server.secret);
            let mut ports = Vec::with_capacity(settings.ports.max(1));
            for _ in 0..settings.ports.max(1) {
                let port = Arc::new(Port::open(server.address, framing.clone()).await?);
                let receiving = Arc::clone(&port);
                let receiver = tokio::spawn(async move { receiving.receive().await }).abort_handle();
                ports.push((port, Receiver(receiver)));
            }
            opened.push(Server { ports, next_port: AtomicUsize::new(0), silent_since: Mutex::default() });
        }
        Ok(Self(Arc::new(Shared { servers: opened, settings })))
    }

    /// Asks one server after the other until one answers. `attributes` as written with
    /// [`obf_radius::AttributeWriter::for_request`].
    ///
    /// # Errors
    /// [`AskError::NoAnswer`] if none did, [`AskError::Unreachable`] if there is none, [`AskError::NoRandomness`].
    pub async fn ask(&self, code: Code, attributes: &[u8]) -> Result<Reply, AskError> {
        let mut outcome = Err(AskError::Unreachable);
        for server in self.in_order() {
            outcome = server.ask(code, attributes, &self.0.settings).await;
            if !matches!(outcome, Err(AskError::NoAnswer)) {
                return outcome;
            }
        }
        outcome
    }

    /// Those that answer first; those that lately did not, last.
    fn in_order(&self) -> Vec<&Server> {
        let mut servers: Vec<&Server> = self.0.servers.iter().collect();
        servers.sort_by_key(|server| {
            lock(&server.silent_since).is_some_and(|since| since.elapsed() < self.0.settings.set_aside)
        });
        servers
    }
}

impl fmt::Debug for RadiusUdpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RadiusUdpClient({} servers)", self.0.servers.len())
    }
}

impl Server {
    async fn ask(
        &self,
        code: Code,
        attributes: &[u8],
        settings: &UdpClientSettings,
    ) -> Result<Reply, AskError> {
        let next = self.next_port.fetch_add(1, Ordering::Relaxed);
        let (port, _) = self.ports.get(next % self.ports.len().max(1)).ok_or(AskError::Unreachable)?;
        let outcome = port.ask(code, attributes, settings).await;
        match outcome {
            Ok(_) => *lock(&self.silent_since) = None,
            Err(AskError::NoAnswer) => *lock(&self.silent_since) = Some(Instant::now()),
            Err(_) => {}
        }
        outcome
    }
}

impl Port {
    async fn open(server: SocketAddr, framing: Framing) -> io::Result<Self> {
        let any: SocketAddr = match server {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(server).await?;
        Ok(Self {
            socket,
            framing,
            waiting: Mutex::default(),
            next_id: AtomicU8::new(0),
            window: Semaphore::new(WINDOW),
        })
    }

    async fn ask(
        &self,
        code: Code,
        attributes: &[u8],
        settings: &UdpClientSettings,
    ) -> Result<Reply, AskError> {
        let _place = self.window.acquire().await.map_err(|_| AskError::Unreachable)?;
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|_| AskError::NoRandomness)?;
        let mut packet = Vec::new();
        let (sender, mut answer) = oneshot::channel();
        let in_flight = {
            let mut waiting = lock(&self.waiting);
            let id = self.free_id(&waiting);
            let pending = Pending::begin(&self.framing, code, id, random, attributes, &mut packet);
            waiting.insert(pending.id(), Waiting { pending, answer: sender });
            InFlight { port: self, id: pending.id() }
        };
        let mut pause = settings.retransmit;
        for _ in 0..settings.transmissions.max(1) {
            // An error here is that of an earlier datagram (nobody listens there): the pause follows all the same.
            let _ = self.socket.send(&packet).await;
            if let Ok(reply) = tokio::time::timeout(pause, &mut answer).await {
                return reply.map_err(|_| AskError::Unreachable);
            }
            pause *= 2;
        }
        drop(in_flight);
        Err(AskError::NoAnswer)
    }

    /// At most 255 others are in flight, so one is free.
    fn free_id(&self, waiting: &HashMap<u32, Waiting>) -> u32 {
        loop {
            let id = u32::from(self.next_id.fetch_add(1, Ordering::Relaxed));
            if !waiting.contains_key(&id) {
                return id;
            }
        }
    }

    /// Hands replies to those who wait for them; what answers nothing, or is not authentic, is ignored.
    async fn receive(&self) {
        let mut datagram = vec![0; obf_radius::MAX_PACKET + 1];
        loop {
            let Ok(length) = self.socket.recv(&mut datagram).await else {
                // An ICMP error: nobody listens there, for now.
                continue;
            };
            let octets = datagram.get(..length).unwrap_or_default();
            let Some(id) = octets.get(1).copied().map(u32::from) else { continue };
            let mut waiting = lock(&self.waiting);
            let Some(found) = waiting.get(&id) else { continue };
            match found.pending.accept(&self.framing, octets) {
                Ok(reply) => {
                    if let Some(done) = waiting.remove(&id) {
                        // Whoever asked may have stopped waiting.
                        let _ = done.answer.send(reply);
                    }
                }
                Err(error) => tracing::debug!(%error, "packet discarded"),
            }
        }
    }
}

/// Gives the identifier back however the asking ends.
struct InFlight<'a> {
    port: &'a Port,
    id: u32,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        lock(&self.port.waiting).remove(&self.id);
    }
}

/// The task that receives on a port ends with it.
struct Receiver(AbortHandle);

impl Drop for Receiver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
