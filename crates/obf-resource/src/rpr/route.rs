//! The ways to one Authentication Server, and what it made of a packet.

use obf_net::{
    Clock,
    radius::{Connection, RadiusUdpClient},
};
use obf_radius::{
    Code, Reply, Vendor,
    dictionary::{ERROR_CAUSE, ErrorCause},
};
use obf_store::resource::{Lane, ResourceDb};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;

const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What the deliveries to all servers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) store: ResourceDb,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) vendor: Vendor,
}

/// The ways to one server.
#[derive(Debug, Default)]
pub(super) struct Route {
    udp: Option<RadiusUdpClient>,
    connections: Mutex<Vec<Connection>>,
    /// One for each [`Lane`]. What rings it while nobody waits is kept for the next who does: no notice is slept through.
    wake: [Notify; 2],
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
    /// By way of `udp`, and of the connections that come.
    pub(super) fn new(udp: Option<RadiusUdpClient>) -> Self {
        Self { udp, ..Self::default() }
    }

    /// A connection of the server, which takes notices in reverse.
    pub(super) fn add(&self, connection: &Connection) {
        let mut connections = self.connections();
        if connections.iter().any(|known| known.id() == connection.id()) {
            return;
        }
        connections.retain(|known| !known.is_ended());
        connections.push(connection.clone());
        // The lock is given back before anybody is woken: whoever wakes takes it at once.
        drop(connections);
        self.wake();
    }

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

    /// Something may be new for either lane.
    pub(super) fn wake(&self) {
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
