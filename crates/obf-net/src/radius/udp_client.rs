//! RADIUS/UDP, the asking end: retransmits, fails over, and has more requests in flight than one source port can
//! tell apart (RFC 2865 2.5: 256) by using more ports. When is decided by [`DatagramClient`]; here are its sockets.

use super::AskError;
use obf_radius::{
    Code, Framing, Reply,
    exchange::{Action, DatagramClient, RetransmitPolicy},
};
use obf_types::SecretBytes;
use std::{
    fmt, io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};
use tokio::{
    net::UdpSocket,
    sync::{Notify, oneshot},
    task::AbortHandle,
};

/// A server that may be asked.
#[derive(Clone, Debug)]
pub struct UdpServerAddress {
    /// Its address.
    pub address: SocketAddr,
    /// The secret shared with it.
    pub secret: SecretBytes,
}

/// A client of one logical server with several addresses, the first that lives being preferred; idle servers are
/// asked for signs of life. Cheap to clone.
#[derive(Clone)]
pub struct RadiusUdpClient {
    shared: Arc<Shared>,
    _tasks: Arc<Tasks>,
}

struct Machine {
    client: DatagramClient<oneshot::Sender<Reply>>,
    /// When [`drive`] looks at it again by itself.
    looked_at: Duration,
}

struct Shared {
    begun: Instant,
    machine: Mutex<Machine>,
    /// By server, then by port.
    sockets: Vec<Vec<UdpSocket>>,
    rescheduled: Notify,
}

impl RadiusUdpClient {
    /// Opens the ports.
    ///
    /// # Errors
    /// The system's, where no socket can be had.
    pub async fn open(servers: Vec<UdpServerAddress>, policy: RetransmitPolicy) -> io::Result<Self> {
        let mut sockets = Vec::with_capacity(servers.len());
        let mut framings = Vec::with_capacity(servers.len());
        for server in servers {
            framings.push(Framing::with_secret(server.secret));
            let mut ports = Vec::with_capacity(policy.ports.into());
            for _ in 0..policy.ports {
                ports.push(connected_socket(server.address).await?);
            }
            sockets.push(ports);
        }
        let client = DatagramClient::new(policy, framings, Duration::ZERO);
        let machine = Mutex::new(Machine { client, looked_at: Duration::ZERO });
        let shared = Arc::new(Shared { begun: Instant::now(), machine, sockets, rescheduled: Notify::new() });
        let mut tasks = vec![tokio::spawn(drive(Arc::downgrade(&shared))).abort_handle()];
        for (server, ports) in shared.sockets.iter().enumerate() {
            for port in 0..ports.len() {
                tasks.push(tokio::spawn(receive(Arc::clone(&shared), server, port)).abort_handle());
            }
        }
        Ok(Self { shared, _tasks: Arc::new(Tasks(tasks)) })
    }

    /// Asks one server after the other until one answers. `attributes` as written with
    /// [`obf_radius::AttributeWriter::for_request`].
    ///
    /// # Errors
    /// [`AskError::NoAnswer`] if none did, [`AskError::Unreachable`] if too much is in flight already.
    pub async fn ask(&self, code: Code, attributes: &[u8]) -> Result<Reply, AskError> {
        let (sender, answer) = oneshot::channel();
        let now = self.shared.now();
        let submitted = self.shared.machine().client.submit(now, sender, code, attributes);
        submitted.map_err(|_| AskError::Unreachable)?;
        // From here on the machine has the request, whoever waits: dropped amid sending, `drive` repeats it, and its answer goes
        // to nobody.
        self.shared.send_due().await;
        self.shared.look_in_time();
        answer.await.map_err(|_| AskError::NoAnswer)
    }

    /// How long ago any of the servers was heard; `None` if none ever was.
    pub fn silence(&self) -> Option<Duration> {
        let client = &self.shared.machine().client;
        let last = (0..self.shared.sockets.len()).filter_map(|server| client.last_heard(server)).max()?;
        Some(self.shared.now().saturating_sub(last))
    }
}

impl fmt::Debug for RadiusUdpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RadiusUdpClient({} servers)", self.shared.sockets.len())
    }
}

impl Shared {
    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes [`drive`] if something is due before it looks. Mostly it is awake before the latest question needs it. Both note
    /// and compare under the machine's lock, so that no deadline falls in between; a notification that comes before `drive`
    /// waits is kept.
    fn look_in_time(&self) {
        let machine = self.machine();
        if machine.client.deadline().is_some_and(|due| due < machine.looked_at) {
            self.rescheduled.notify_one();
        }
    }

    /// Sends whatever is to be sent now.
    async fn send_due(&self) {
        let mut packet = Vec::new();
        while let Some((server, port)) = self.next_to_send(&mut packet) {
            let socket = self.sockets.get(server).and_then(|ports| ports.get(usize::from(port)));
            // An error here is that of an earlier datagram (nobody listens there); repetition takes care of it.
            if let Some(socket) = socket
                && let Err(error) = socket.send(&packet).await
            {
                tracing::debug!(%error, "datagram not sent");
            }
        }
    }

    fn next_to_send(&self, packet: &mut Vec<u8>) -> Option<(usize, u16)> {
        loop {
            let mut lacking = false;
            let mut draw = |octets: &mut [u8]| lacking |= getrandom::fill(octets).is_err();
            match self.machine().client.poll(self.now(), &mut draw, packet)? {
                Action::Send { server, port } if !lacking => return Some((server, port)),
                // Without randomness nothing may leave.
                Action::Send { .. } => tracing::error!("the system has no randomness"),
                Action::Failed(waiting) => drop(waiting),
            }
        }
    }
}

/// Sends repetitions and signs of life when they are due.
async fn drive(shared: Weak<Shared>) {
    loop {
        let Some(shared) = shared.upgrade() else { return };
        shared.send_due().await;
        let due = {
            let mut machine = shared.machine();
            machine.looked_at = machine.client.deadline().unwrap_or(Duration::from_secs(3600));
            machine.looked_at
        };
        tokio::select! {
            () = tokio::time::sleep_until((shared.begun + due).into()) => {}
            () = shared.rescheduled.notified() => {}
        }
    }
}

/// Hands replies to those who wait for them; what answers nothing, or is not authentic, is ignored.
async fn receive(shared: Arc<Shared>, server: usize, port: usize) {
    let Some(socket) = shared.sockets.get(server).and_then(|ports| ports.get(port)) else { return };
    let Ok(number) = u16::try_from(port) else { return };
    let mut datagram = vec![0; obf_radius::MAX_PACKET + 1];
    loop {
        // An ICMP error: nobody listens there, for now.
        let Ok(length) = socket.recv(&mut datagram).await else { continue };
        let octets = datagram.get(..length).unwrap_or_default();
        let received = shared.machine().client.received(shared.now(), server, number, octets);
        if let Some((waiting, reply)) = received {
            // Whoever asked may have stopped waiting.
            let _ = waiting.send(reply);
        }
    }
}

/// They end with the client. Nothing is lost by aborting them anywhere: whoever waits for an answer holds the client.
struct Tasks(Vec<AbortHandle>);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

async fn connected_socket(server: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    Ok(socket)
}
