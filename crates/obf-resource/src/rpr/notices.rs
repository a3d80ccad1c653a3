//! What the Authentication Servers are told unasked (RFC 5176): stored with the change itself, sent again until
//! acknowledged, over the server's own RADIUS/TLS connection in reverse or over UDP. [`super::delivery`] sends.

use super::{AuthServer, AuthServers, delivery};
use obf_net::{
    Clock, Running,
    radius::{Connection, RadiusUdpClient, UdpServerAddress},
};
use obf_radius::{
    Code, Reply, Vendor,
    dictionary::{ERROR_CAUSE, ErrorCause},
    exchange::RetransmitPolicy,
};
use obf_store::resource::{Lane, Outbox, ResourceDb};
use obf_types::UnixTime;
use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;

const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How often notices for servers that are no longer configured are looked for.
const PURGE: Duration = Duration::from_secs(3600);
/// Older than the longest life of a token, seconds: a notice that old can end nothing any more.
const KEPT_FOR_STRANGERS: u64 = 24 * 3600;

/// Delivers the outbox.
#[derive(Clone, Debug)]
pub struct Notices(Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) store: ResourceDb,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) vendor: Vendor,
    routes: HashMap<String, Arc<Route>>,
}

/// The ways to one server.
#[derive(Debug, Default)]
pub(super) struct Route {
    udp: Option<RadiusUdpClient>,
    connections: Mutex<Vec<Connection>>,
    wake: [Notify; 2],
}

impl Notices {
    /// Opens the UDP clients; nothing is sent before [`Notices::start`].
    ///
    /// # Errors
    /// The system's, where no socket can be had.
    pub async fn open(
        store: ResourceDb,
        clock: Arc<dyn Clock>,
        vendor: Vendor,
        servers: &AuthServers,
    ) -> io::Result<Self> {
        let mut routes = HashMap::new();
        for server in servers.iter() {
            let udp = match &server.das {
                Some((address, secret)) => {
                    let address = UdpServerAddress { address: *address, secret: secret.clone() };
                    let policy = RetransmitPolicy { ports: 1, ..RetransmitPolicy::default() };
                    Some(RadiusUdpClient::open(vec![address], policy).await?)
                }
                None => None,
            };
            routes.insert(server.name.to_string(), Arc::new(Route { udp, ..Route::default() }));
        }
        Ok(Self(Arc::new(Shared { store, clock, vendor, routes })))
    }

    /// Delivers until the group of `running` is told to finish.
    pub fn start(&self, running: &Running) {
        for (name, route) in &self.0.routes {
            for lane in [Lane::Single, Lane::Bulk] {
                let (shared, name, route) = (self.0.clone(), name.clone(), route.clone());
                let group = running.clone();
                running.spawn(async move {
                    tokio::select! {
                        () = delivery::deliver(&shared, &name, &route, lane) => {}
                        () = group.stopping() => {}
                    }
                });
            }
        }
        let (shared, group) = (self.0.clone(), running.clone());
        running.spawn(async move {
            tokio::select! {
                () = shared.hear_commits() => {}
                () = group.stopping() => {}
            }
        });
        let (shared, group) = (self.0.clone(), running.clone());
        running.spawn(async move {
            tokio::select! {
                () = shared.purge() => {}
                () = group.stopping() => {}
            }
        });
    }

    /// A connection of that server, which takes notices in reverse.
    pub fn connected(&self, server: &AuthServer, connection: &Connection) {
        let Some(route) = self.0.routes.get(&*server.name) else { return };
        let mut connections = route.connections();
        if connections.iter().any(|known| known.id() == connection.id()) {
            return;
        }
        connections.retain(|known| !known.is_ended());
        connections.push(connection.clone());
        route.wake();
    }
}

impl Shared {
    /// What this process committed is sent now rather than at the next look.
    async fn hear_commits(&self) {
        loop {
            self.store.notices_committed().await;
            self.routes.values().for_each(|route| route.wake());
        }
    }

    /// Forgets what waits for servers that nobody knows any more, once nothing it says can matter to them.
    async fn purge(&self) {
        let mut hourly = tokio::time::interval(PURGE);
        loop {
            hourly.tick().await;
            let known = self.routes.keys().cloned().collect();
            let before = UnixTime(self.clock.now().0.saturating_sub(KEPT_FOR_STRANGERS));
            match self.store.purge_notices(known, before).await {
                Ok(purged) => {
                    for (server, notices) in purged {
                        tracing::warn!(
                            server,
                            notices,
                            "no longer in the configuration: notices for it that are older than a day are dropped"
                        );
                    }
                }
                Err(error) => tracing::error!(%error, "old notices cannot be dropped"),
            }
        }
    }
}

/// What a server made of a packet.
#[derive(Debug)]
pub(super) enum Answer {
    /// It has done what the packet says, for good.
    Acknowledged,
    /// It cannot now: its store, its Resource Server or its clock is at fault, not the packet.
    NotNow(String),
    /// It does not take the packet.
    Refused(String),
    /// Nothing came back in time.
    Silence(String),
    /// There is no way to it.
    Unreachable(String),
}

impl Route {
    /// Whether a packet may have all of the 4096 octets of RADIUS: over TLS it is not cut into pieces on the way.
    pub(super) fn is_stream(&self) -> bool {
        self.connection().is_some()
    }

    /// Until something is new for that lane.
    pub(super) async fn woken(&self, lane: Lane) {
        self.bell(lane).notified().await;
    }

    pub(super) async fn send(&self, code: Code, attributes: &[u8]) -> Answer {
        let mut answer = Answer::Unreachable("the server is not connected".to_owned());
        if let Some(connection) = self.connection() {
            match connection.ask(code, attributes, ANSWER_WITHIN).await {
                Ok(reply) => return Answer::of(&reply),
                Err(error) => answer = Answer::Silence(error.to_string()),
            }
        }
        if let Some(udp) = &self.udp {
            match udp.ask(code, attributes).await {
                Ok(reply) => return Answer::of(&reply),
                Err(error) => answer = Answer::Silence(error.to_string()),
            }
        }
        answer
    }

    fn wake(&self) {
        self.wake.iter().for_each(Notify::notify_one);
    }

    fn bell(&self, lane: Lane) -> &Notify {
        let [single, bulk] = &self.wake;
        match lane {
            Lane::Single => single,
            Lane::Bulk => bulk,
        }
    }

    /// The newest connection that lives.
    fn connection(&self) -> Option<Connection> {
        let mut connections = self.connections();
        connections.retain(|connection| !connection.is_ended());
        connections.last().cloned()
    }

    fn connections(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answer {
    fn of(reply: &Reply) -> Self {
        match (reply.code(), reply.packet().integer(ERROR_CAUSE)) {
            (Code::DisconnectAck | Code::CoaAck, _) => Self::Acknowledged,
            (_, Some(cause)) if cause == ErrorCause::InvalidRequest as u32 => {
                Self::NotNow("it takes them for old: compare this server's clock with its own".to_owned())
            }
            (_, Some(cause)) if cause == ErrorCause::ResourcesUnavailable as u32 => {
                Self::NotNow("it cannot act on them now".to_owned())
            }
            (code, cause) => Self::Refused(format!("answered with {code:?}, Error-Cause {cause:?}")),
        }
    }
}
