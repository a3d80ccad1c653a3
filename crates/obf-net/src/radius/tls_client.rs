//! RADIUS/TLS, the connecting end: keeps one connection up to the first server that can be had, tries the others
//! when it is lost, answers what the server asks in reverse. Nothing is retransmitted (RFC 6613 2.6.1): a request
//! whose connection ends is asked again on the next one, within its time.

use super::{
    AskError, Connection, ConnectionEnded, Handler,
    overflow::{Opener, Overflow, Room},
    tls_server,
};
use crate::{Running, certificates};
use obf_radius::{Code, Reply, exchange::stream::Watchdog};
use rustls::{ClientConfig, pki_types::ServerName};
use std::{
    fmt,
    future::Future,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{net::TcpStream, sync::watch};
use tokio_rustls::TlsConnector;

/// A server that may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsServerAddress {
    /// `host:port`; a name is looked up at each attempt to connect.
    pub address: String,
    /// The dNSName that its certificate must have.
    pub name: String,
}

impl TlsServerAddress {
    /// The server at `address` (a socket address or `host:port`), known by `name`.
    pub fn new(address: impl fmt::Display, name: impl Into<String>) -> Self {
        Self { address: address.to_string(), name: name.into() }
    }
}

/// How to reach the servers.
#[derive(Clone, Debug)]
pub struct TlsClientSettings {
    /// In order of preference.
    pub servers: Vec<TlsServerAddress>,
    /// Own certificate and trusted CA ([`certificates::mutual_client`]).
    pub tls: Arc<ClientConfig>,
    /// For connecting, TLS included, to one server.
    pub connect_time: Duration,
    /// The longest pause between attempts; the first is 50 ms, doubling.
    pub backoff: Duration,
    /// An idle connection is asked for a sign of life (Status-Server) so often, and given up without one.
    pub heartbeat: Duration,
    /// Whether radius/1.1 (RFC 9765) is offered beside 1.0.
    pub radius_1_1: bool,
}

impl TlsClientSettings {
    /// 5 s to connect, at most 2 s between attempts, a sign of life every 5 s.
    pub fn new(servers: Vec<TlsServerAddress>, tls: Arc<ClientConfig>) -> Self {
        Self {
            servers,
            tls,
            connect_time: Duration::from_secs(5),
            backoff: Duration::from_secs(2),
            heartbeat: Duration::from_secs(5),
            radius_1_1: true,
        }
    }
}

/// Told about the link, and answers what the server asks in reverse.
pub trait LinkEvents: Handler {
    /// A connection is there, but not yet used by [`RadiusTlsClient::ask`]: whatever has to come first on it is
    /// asked here. An error gives the connection up.
    fn connected(&self, connection: &Connection) -> impl Future<Output = Result<(), AskError>> + Send {
        let _ = connection;
        async { Ok(()) }
    }

    /// The connection is lost.
    fn disconnected(&self, reason: &ConnectionEnded) {
        let _ = reason;
    }
}

impl LinkEvents for super::NoRequests {}

/// A client of one logical server. Cheap to clone.
#[derive(Clone)]
pub struct RadiusTlsClient {
    current: watch::Receiver<Option<Connection>>,
    overflow: Arc<Overflow>,
}

impl RadiusTlsClient {
    /// Connects in the background and stays connected until the group of `running` is told to finish.
    pub fn start<H: LinkEvents>(settings: TlsClientSettings, running: &Running, events: Arc<H>) -> Self {
        let (sender, current) = watch::channel(None);
        let keeper = Arc::new(Keeper::new(settings, events));
        let overflow = Overflow::new(further(&keeper));
        let (group, rest) = (running.clone(), Arc::clone(&overflow));
        running.spawn(async move {
            // Dropped amid connecting, nothing is left; amid a connection, `CloseOnDrop` ends it. Then whoever waits for a
            // connection hears that there will be none, as `sender` goes with this task.
            tokio::select! {
                () = keeper.stay_connected(&sender, &rest) => {}
                () = group.stopping() => {}
            }
            if let Some(connection) = sender.send_replace(None) {
                connection.close();
            }
            rest.close();
        });
        Self { current, overflow }
    }

    /// Asks, on the connection there is or the next one, within `time` in all.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn ask(&self, code: Code, attributes: &[u8], time: Duration) -> Result<Reply, AskError> {
        let deadline = tokio::time::Instant::now() + time;
        loop {
            let connection = self.place(deadline).await?;
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            match connection.ask(code, attributes, left).await {
                Err(AskError::Ended) => self.gone(&connection, deadline).await?,
                outcome => return outcome,
            }
        }
    }

    /// The connection there is now.
    pub fn connection(&self) -> Option<Connection> {
        self.current.borrow().clone()
    }

    /// Resolves when there is a connection.
    pub async fn connected(&self) -> Option<Connection> {
        self.current.clone().wait_for(Option::is_some).await.ok()?.clone()
    }

    /// The connection for one more request.
    async fn place(&self, deadline: tokio::time::Instant) -> Result<Connection, AskError> {
        loop {
            let first = self.connection_until(deadline).await?;
            if first.has_room() {
                return Ok(first);
            }
            match self.overflow.room(&first) {
                Room::On(further) => return Ok(further),
                Room::Wait => return Ok(first),
                Room::Soon => {
                    let changed = tokio::time::timeout_at(deadline, self.overflow.changed());
                    changed.await.map_err(|_| AskError::NoAnswer)?;
                }
            }
        }
    }

    async fn connection_until(&self, deadline: tokio::time::Instant) -> Result<Connection, AskError> {
        match tokio::time::timeout_at(deadline, self.connected()).await {
            Ok(Some(connection)) => Ok(connection),
            Ok(None) | Err(_) => Err(AskError::Unreachable),
        }
    }

    /// Waits until the ended `connection` is no longer the current one: who asked on it learns of its end before the keeper
    /// has taken it away, and would get it again and again.
    async fn gone(&self, connection: &Connection, deadline: tokio::time::Instant) -> Result<(), AskError> {
        let mut current = self.current.clone();
        let other = current.wait_for(|now| now.as_ref().is_none_or(|now| now.id() != connection.id()));
        match tokio::time::timeout_at(deadline, other).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(AskError::Unreachable),
        }
    }
}

impl fmt::Debug for RadiusTlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RadiusTlsClient({:?})", self.current.borrow())
    }
}

/// Opens connections, and keeps one up.
struct Keeper<H> {
    settings: TlsClientSettings,
    connector: TlsConnector,
    events: Arc<H>,
    /// Where further connections go: the server of the first one, by the address that answered.
    in_use: Mutex<Option<TlsServerAddress>>,
}

impl<H: LinkEvents> Keeper<H> {
    fn new(settings: TlsClientSettings, events: Arc<H>) -> Self {
        let mut tls = (*settings.tls).clone();
        tls.alpn_protocols = tls_server::protocols(settings.radius_1_1);
        Self { settings, connector: TlsConnector::from(Arc::new(tls)), events, in_use: Mutex::default() }
    }

    async fn stay_connected(&self, current: &watch::Sender<Option<Connection>>, overflow: &Overflow) {
        const FIRST_PAUSE: Duration = Duration::from_millis(50);
        let mut pause = FIRST_PAUSE;
        loop {
            for server in &self.settings.servers {
                if self.converse(server, current, overflow).await {
                    pause = FIRST_PAUSE;
                    break;
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(self.settings.backoff);
        }
    }

    /// One connection from its beginning to its end; whether it was ever in use.
    async fn converse(
        &self,
        server: &TlsServerAddress,
        current: &watch::Sender<Option<Connection>>,
        overflow: &Overflow,
    ) -> bool {
        let Some(connection) = self.open(server).await else { return false };
        let _close_with_us = CloseOnDrop(connection.clone());
        if let Err(error) = self.events.connected(&connection).await {
            tracing::debug!(address = %server.address, %error, "connection given up");
            return false;
        }
        *self.in_use() = Some(TlsServerAddress::new(connection.address(), &server.name));
        current.send_replace(Some(connection.clone()));
        let reason = connection.ended().await;
        current.send_replace(None);
        overflow.close();
        tracing::debug!(address = %server.address, ?reason, "RADIUS/TLS connection ended");
        self.events.disconnected(&reason);
        true
    }

    /// A connection that runs in a task of its own until it ends.
    async fn open(&self, server: &TlsServerAddress) -> Option<Connection> {
        let time = self.settings.connect_time;
        let opened = tokio::time::timeout(time, open(&self.connector, server, time)).await;
        let (stream, peer, names, framing) = match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err(error)) => {
                tracing::debug!(address = %server.address, %error, "cannot connect");
                return None;
            }
            Err(_) => {
                tracing::debug!(address = %server.address, "connecting took too long");
                return None;
            }
        };
        let heartbeat = self.settings.heartbeat;
        let watchdog = Watchdog { interval: heartbeat, patience: heartbeat };
        let events = Arc::clone(&self.events);
        let (connection, run) = Connection::new(stream, peer, names, framing, watchdog, events);
        tokio::spawn(run);
        Some(connection)
    }

    fn in_use(&self) -> MutexGuard<'_, Option<TlsServerAddress>> {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Further connections go to the server of the first one.
fn further<H: LinkEvents>(keeper: &Arc<Keeper<H>>) -> Opener {
    let keeper = Arc::clone(keeper);
    Box::new(move |first: &Connection| {
        let (keeper, address) = (Arc::clone(&keeper), first.address().to_string());
        Box::pin(async move {
            let server = keeper.in_use().clone().filter(|server| server.address == address)?;
            keeper.open(&server).await
        })
    })
}

/// Ends the connection where its keeper is dropped at a shutdown.
struct CloseOnDrop(Connection);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

type Opened = (tokio_rustls::client::TlsStream<TcpStream>, SocketAddr, Arc<[String]>, obf_radius::Framing);

async fn open(connector: &TlsConnector, server: &TlsServerAddress, time: Duration) -> io::Result<Opened> {
    let name = ServerName::try_from(server.name.clone()).map_err(io::Error::other)?;
    let stream = crate::connect(&server.address, time).await?;
    let peer = stream.peer_addr()?;
    let stream = connector.connect(name, stream).await?;
    let (_, tls) = stream.get_ref();
    let leaf = tls.peer_certificates().and_then(|chain| chain.first());
    let names = leaf.map(|leaf| certificates::dns_names(leaf)).unwrap_or_default().into();
    let framing = tls_server::framing(tls).ok_or_else(|| io::Error::other("radius/1.1 below TLS 1.3"))?;
    Ok((stream, peer, names, framing))
}
