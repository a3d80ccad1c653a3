//! What applications are told unasked on their own RPO connections: a token is over (RFC 5176 in reverse). Stored until
//! each instance of the application has acknowledged it; sent again when it resumes.

use crate::{applications::Registration, node::Node};
use obf_net::{
    Running,
    radius::{AskError, Connection, Origin},
};
use obf_radius::{AttributeWriter, Code};
use obf_rpo::TokenNotice;
use obf_store::{
    StoreError,
    auth::{Notice, NoticeCursor, TokenStore},
};
use obf_types::{AppId, Refusal};
use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::task::JoinSet;

/// Notices in flight on one connection.
const WINDOW: u32 = 64;
/// An application that does not acknowledge within this time is disconnected: on coming back it is told again.
const TIME: Duration = Duration::from_secs(10);
/// Applications that one connection may speak for at once.
const MOST: usize = 4096;

/// Tells applications.
pub(crate) struct NoticesOut {
    node: Arc<Node>,
    running: Running,
    told: Arc<Mutex<HashSet<Listener>>>,
}

/// Who is being told, and on which connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Listener {
    connection: u64,
    app: AppId,
    instance: String,
}

/// Why a listener could not be told.
#[derive(Debug, thiserror::Error)]
enum TellError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Connection(#[from] AskError),
    #[error("not acknowledged: {0:?}")]
    Refused(Code),
}

impl NoticesOut {
    pub(crate) fn new(node: Arc<Node>, running: Running) -> Self {
        Self { node, running, told: Arc::default() }
    }

    /// Sends every notice the instance has not acknowledged, returns when all are acknowledged, and from then on sends
    /// each new one as it comes to be, for as long as the connection lasts.
    pub(crate) async fn resume(&self, app: AppId, instance: String, origin: &Origin) -> Result<(), Refusal> {
        let node = &self.node;
        let registration = node.applications.of_peer(&app, &origin.names).await?;
        let connection = origin.connection.clone().ok_or(Refusal::UnsupportedOperation)?;
        let listener = Listener { connection: connection.id(), app, instance };
        let storage_failed = |error: StoreError| {
            tracing::error!(%error, "notices cannot be read");
            Refusal::StorageFailed
        };
        // What this node has not followed yet is not to be missed: look once more, then from here on.
        let mut news = node.feed.notices();
        news.mark_unchanged();
        let after = node
            .store
            .acknowledged(listener.app.clone(), listener.instance.clone())
            .await
            .map_err(storage_failed)?;
        let mut teller = Teller { node: Arc::clone(node), connection, registration, listener, after };
        teller.tell().await.map_err(|error| {
            tracing::warn!(%error, app = %teller.listener.app, "an application did not take its notices");
            Refusal::Overloaded
        })?;
        let Some(place) = self.place(&teller.listener) else { return Ok(()) };
        self.running.spawn(async move {
            let _place = place;
            let connection = teller.connection.clone();
            tokio::select! {
                _ = connection.ended() => {}
                error = teller.keep_telling(news) => {
                    tracing::warn!(%error, app = %teller.listener.app, "an application did not take a notice");
                    connection.close();
                }
            }
        });
        Ok(())
    }

    /// `None` if the listener is being told already, or the connection speaks for too many.
    fn place(&self, listener: &Listener) -> Option<Place> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let of_connection = told.iter().filter(|one| one.connection == listener.connection).count();
        (of_connection < MOST && told.insert(listener.clone()))
            .then(|| Place { listener: listener.clone(), told: Arc::clone(&self.told) })
    }
}

impl fmt::Debug for NoticesOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NoticesOut")
    }
}

/// Given up when dropped.
struct Place {
    listener: Listener,
    told: Arc<Mutex<HashSet<Listener>>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.listener);
    }
}

struct Teller {
    node: Arc<Node>,
    connection: Connection,
    registration: Registration,
    listener: Listener,
    /// Acknowledged up to here.
    after: NoticeCursor,
}

impl Teller {
    /// Sends what is not acknowledged yet until nothing is left.
    async fn tell(&mut self) -> Result<(), TellError> {
        let Listener { app, instance, .. } = self.listener.clone();
        loop {
            let now = self.node.now();
            let notices = self.node.store.notices(app.clone(), self.after, WINDOW, now).await?;
            let Some(last) = notices.last().map(|notice| notice.place) else { return Ok(()) };
            let mut in_flight = JoinSet::new();
            for notice in notices {
                let (connection, attributes) = (self.connection.clone(), self.attributes(notice));
                in_flight.spawn(async move { connection.ask(TokenNotice::CODE, &attributes, TIME).await });
            }
            while let Some(answered) = in_flight.join_next().await {
                let reply = answered.unwrap_or(Err(AskError::Ended))?;
                if reply.code() != Code::DisconnectAck {
                    return Err(TellError::Refused(reply.code()));
                }
            }
            self.after = last;
            self.node.store.acknowledge(app.clone(), instance.clone(), last, now).await?;
        }
    }

    async fn keep_telling(&mut self, mut news: tokio::sync::watch::Receiver<u64>) -> TellError {
        loop {
            if let Err(error) = self.tell().await {
                return error;
            }
            if news.changed().await.is_err() {
                return TellError::Connection(AskError::Ended);
            }
        }
    }

    fn attributes(&self, notice: Notice) -> Vec<u8> {
        let device = self.registration.discloses_identity.then_some(notice.device);
        let told = TokenNotice { token: notice.token, app: notice.app, device, epoch: notice.epoch };
        let mut attributes = Vec::new();
        // The longest notice is far below a packet's 4096 octets.
        let _ = told.encode(
            self.node.vendor,
            self.node.now(),
            &mut AttributeWriter::for_request(&mut attributes),
        );
        attributes
    }
}
