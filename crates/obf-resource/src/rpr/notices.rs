//! What the Authentication Servers are told unasked (RFC 5176): stored with the change itself, sent again until
//! acknowledged, over the server's own RADIUS/TLS connection in reverse or over UDP.

use super::{AuthServer, AuthServers};
use obf_net::{
    Clock, Running,
    radius::{Connection, RadiusUdpClient, UdpServerAddress},
};
use obf_radius::{
    AttributeWriter, Code, Reply, Vendor,
    dictionary::{ERROR_CAUSE, ErrorCause},
    exchange::RetransmitPolicy,
};
use obf_store::resource::{Notice, NoticeKind, Outbox, ResourceDb};
use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, task::JoinSet};

/// How often the outbox is looked at for what other nodes on the database put there.
const POLL: Duration = Duration::from_millis(200);
/// Notices in flight to one server.
const BATCH: u32 = 64;
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Delivers the outbox.
#[derive(Clone, Debug)]
pub struct Notices(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: ResourceDb,
    clock: Arc<dyn Clock>,
    vendor: Vendor,
    routes: HashMap<String, Route>,
}

/// The ways to one server.
#[derive(Debug, Default)]
struct Route {
    udp: Option<RadiusUdpClient>,
    connections: Mutex<Vec<Connection>>,
    wake: Notify,
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
            let udp = match &server.dae {
                Some((address, secret)) => {
                    let address = UdpServerAddress { address: *address, secret: secret.clone() };
                    let policy = RetransmitPolicy { ports: 1, ..RetransmitPolicy::default() };
                    Some(RadiusUdpClient::open(vec![address], policy).await?)
                }
                None => None,
            };
            routes.insert(server.name.to_string(), Route { udp, ..Route::default() });
        }
        Ok(Self(Arc::new(Shared { store, clock, vendor, routes })))
    }

    /// Delivers until the group of `running` is told to finish.
    pub fn start(&self, running: &Running) {
        for name in self.0.routes.keys() {
            let (shared, name, group) = (self.0.clone(), name.clone(), running.clone());
            running.spawn(async move {
                tokio::select! {
                    () = shared.deliver(&name) => {}
                    () = group.stopping() => {}
                }
            });
        }
    }

    /// There is something new for everybody: sent now rather than at the next look.
    pub fn wake(&self) {
        self.0.routes.values().for_each(|route| route.wake.notify_one());
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
        route.wake.notify_one();
    }
}

impl Shared {
    async fn deliver(&self, name: &str) {
        let Some(route) = self.routes.get(name) else { return };
        let mut wait = FIRST_WAIT;
        loop {
            let pause = match self.deliver_waiting(name, route).await {
                Ok(Delivered::All) => {
                    wait = FIRST_WAIT;
                    POLL
                }
                Ok(Delivered::MoreWait) => continue,
                Err(reason) => {
                    tracing::warn!(server = name, reason, "notices wait");
                    let pause = wait;
                    wait = (2 * wait).min(LONGEST_WAIT);
                    pause
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = route.wake.notified() => {}
            }
        }
    }

    async fn deliver_waiting(&self, name: &str, route: &Route) -> Result<Delivered, String> {
        let waiting = self.store.waiting_notices(name, 0, BATCH).await.map_err(|error| error.to_string())?;
        let full = waiting.len() >= BATCH as usize;
        let mut sending = JoinSet::new();
        for notice in waiting {
            let (code, attributes) = match self.encode(&notice) {
                Ok(encoded) => encoded,
                Err(reason) => {
                    tracing::error!(
                        server = name,
                        notice = notice.id,
                        reason,
                        "a notice cannot be written, and is dropped"
                    );
                    self.store.acknowledge_notice(notice.id).await.map_err(|error| error.to_string())?;
                    continue;
                }
            };
            let (connection, udp) = (route.connection(), route.udp.clone());
            sending.spawn(async move { (notice.id, send(code, attributes, connection, udp).await) });
        }
        let mut failure = None;
        let mut acknowledging = JoinSet::new();
        while let Some(sent) = sending.join_next().await {
            match sent.map_err(|error| error.to_string())? {
                (id, Ok(())) => {
                    let store = self.store.clone();
                    acknowledging.spawn(async move { store.acknowledge_notice(id).await });
                }
                (_, Err(reason)) => failure = Some(reason),
            }
        }
        while let Some(done) = acknowledging.join_next().await {
            done.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        }
        match failure {
            Some(reason) => Err(reason),
            None if full => Ok(Delivered::MoreWait),
            None => Ok(Delivered::All),
        }
    }

    fn encode(&self, notice: &Notice) -> Result<(Code, Vec<u8>), String> {
        let message = match (notice.kind, &notice.device, &notice.app) {
            (NoticeKind::Disconnect, Some((device, epoch)), _) => {
                obf_rpr::Notice::DeviceEnded { device: device.clone(), epoch: *epoch }
            }
            (NoticeKind::Changed, Some((device, epoch)), _) => {
                obf_rpr::Notice::RightsChanged { device: device.clone(), epoch: *epoch }
            }
            (_, None, Some(app)) => obf_rpr::Notice::ApplicationChanged { app: app.clone() },
            (_, None, None) => return Err(format!("notice {} says nothing", notice.id)),
        };
        let mut attributes = Vec::new();
        let mut writer = AttributeWriter::for_request(&mut attributes);
        message.encode(self.vendor, self.clock.now(), &mut writer).map_err(|error| error.to_string())?;
        Ok((message.code(), attributes))
    }
}

enum Delivered {
    All,
    MoreWait,
}

impl Route {
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

async fn send(
    code: Code,
    attributes: Vec<u8>,
    connection: Option<Connection>,
    udp: Option<RadiusUdpClient>,
) -> Result<(), String> {
    let mut reason = "the server is not connected".to_owned();
    if let Some(connection) = connection {
        match connection.ask(code, &attributes, ANSWER_WITHIN).await {
            Ok(reply) => return acknowledged(&reply),
            Err(error) => reason = error.to_string(),
        }
    }
    if let Some(udp) = udp {
        match udp.ask(code, &attributes).await {
            Ok(reply) => return acknowledged(&reply),
            Err(error) => reason = error.to_string(),
        }
    }
    Err(reason)
}

fn acknowledged(reply: &Reply) -> Result<(), String> {
    match reply.code() {
        Code::DisconnectAck | Code::CoaAck => Ok(()),
        _ if reply.packet().integer(ERROR_CAUSE) == Some(ErrorCause::InvalidRequest as u32) => {
            Err("it takes them for old: compare this server's clock with its own".to_owned())
        }
        other => Err(format!("answered with {other:?}")),
    }
}
