//! What applications are told unasked on their own RPO connections: a token is over (RFC 5176 in reverse). Stored until
//! each instance of the application has acknowledged it; sent again when it resumes.
//!
//! An application may be registered at several Resource Servers, and with other certificates at each. It resumes if one
//! of them knows it; of the tokens of another it is told unless that one is known to know it under other certificates.
//! A server that is away thus keeps nobody from hearing what ended: that would leave access open.

use crate::{
    applications::{Registration, is_of_peer},
    locator::{Locator, Served},
    tokens::Tokens,
};
use obf_net::{
    Clock, Running,
    radius::{AskError, Connection, Origin},
};
use obf_radius::{AttributeWriter, Code, Vendor};
use obf_rpo::TokenNotice;
use obf_store::{
    StoreError,
    auth::{Notice, NoticeCursor},
};
use obf_types::{AppId, Refusal};
use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::Instant,
};

/// Notices in flight on one connection.
const WINDOW: u32 = 64;
/// An application that does not acknowledge within this time is disconnected: on coming back it is told again.
const TIME: Duration = Duration::from_secs(10);
/// Applications that one connection may speak for at once.
const MOST: usize = 4096;
/// When one Resource Server has said that the application is registered, the others' answers are waited for so long.
const OTHERS: Duration = Duration::from_millis(250);

/// Sends applications their notices.
pub(crate) struct NoticesOut {
    shared: Arc<Shared>,
    running: Running,
    senders: Arc<Mutex<HashSet<Listener>>>,
}

/// What every sender takes.
struct Shared {
    clock: Arc<dyn Clock>,
    vendor: Vendor,
    locator: Arc<Locator>,
    tokens: Arc<Tokens>,
}

/// Who is being told, and on which connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Listener {
    connection: u64,
    app: AppId,
    instance: String,
}

/// Registrations by the Resource Server's name.
type Registrations = HashMap<Box<str>, Registration>;

/// Why a listener could not be told.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Connection(#[from] AskError),
    #[error("not acknowledged: {0:?}")]
    Refused(Code),
}

impl NoticesOut {
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        vendor: Vendor,
        locator: Arc<Locator>,
        tokens: Arc<Tokens>,
        running: Running,
    ) -> Self {
        let shared = Arc::new(Shared { clock, vendor, locator, tokens });
        Self { shared, running, senders: Arc::default() }
    }

    /// Sends every notice the instance has not acknowledged, returns when all are acknowledged, and from then on sends
    /// each new one as soon as it is stored, for as long as the connection lasts.
    pub(crate) async fn resume(&self, app: AppId, instance: String, origin: &Origin) -> Result<(), Refusal> {
        let registered = registered(&self.shared.locator, &app, &origin.names).await?;
        let connection = origin.connection.clone().ok_or(Refusal::UnsupportedOperation)?;
        // What one peer acknowledges, another that gives itself the same name has not heard.
        let peer = format!("{instance}\n{}", origin.names.iter().min().map_or("", String::as_str));
        // Before the notices are read, so that none that comes meanwhile is missed: it makes for one look more.
        let mut news = self.shared.tokens.follow();
        news.mark_unchanged();
        let after = self.shared.tokens.acknowledged(&app, &peer).await.map_err(|error| {
            tracing::error!(%error, "notices cannot be read");
            Refusal::StorageFailed
        })?;
        let listener = Listener { connection: connection.id(), app, instance };
        let shared = Arc::clone(&self.shared);
        let names = Arc::clone(&origin.names);
        let app = listener.app.clone();
        let mut sender = NoticeSender { shared, connection, names, registered, app, peer, after };
        sender.send().await.map_err(|error| {
            tracing::warn!(%error, app = %sender.app, "an application did not take its notices");
            Refusal::Overloaded
        })?;
        let Some(place) = self.place(&listener) else { return Ok(()) };
        self.running.spawn(async move {
            let _place = place;
            let connection = sender.connection.clone();
            // Dropped amid sending: what was not acknowledged in the store comes again on the next connection.
            tokio::select! {
                _ = connection.ended() => {}
                error = sender.keep_sending(news) => {
                    tracing::warn!(%error, app = %sender.app, "an application did not take a notice");
                    connection.close();
                }
            }
        });
        Ok(())
    }

    /// `None` if the listener is being told already, or the connection speaks for too many.
    fn place(&self, listener: &Listener) -> Option<Place> {
        // Counted and inserted under one lock: two resumptions at once cannot both take the last place, nor both send.
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        let of_connection = senders.iter().filter(|one| one.connection == listener.connection).count();
        (of_connection < MOST && senders.insert(listener.clone()))
            .then(|| Place { listener: listener.clone(), senders: Arc::clone(&self.senders) })
    }
}

impl fmt::Debug for NoticesOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NoticesOut")
    }
}

/// A listener's place among those that are being told; given up when dropped.
struct Place {
    listener: Listener,
    senders: Arc<Mutex<HashSet<Listener>>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.senders.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.listener);
    }
}

/// The registrations of an application with a peer's certificate names: one at least, else why there is none.
async fn registered(locator: &Locator, app: &AppId, names: &Arc<[String]>) -> Result<Registrations, Refusal> {
    let table = locator.table();
    let (sender, mut answers) = mpsc::channel(table.servers().len().max(1));
    for served in table.servers() {
        let (served, app, names, sender) =
            (Arc::clone(served), app.clone(), Arc::clone(names), sender.clone());
        // Not dropped with the answers that are waited for: those that come late are known from then on.
        tokio::spawn(async move {
            let answer = served.applications.of_peer(&app, &names).await;
            drop(sender.send((Box::from(served.server.name()), answer)).await);
        });
    }
    drop(sender);
    let (mut registrations, mut refusal) = (Registrations::new(), Refusal::ApplicationNotRegistered);
    let mut until = None;
    loop {
        let answer = match until {
            None => answers.recv().await,
            Some(until) => tokio::time::timeout_at(until, answers.recv()).await.unwrap_or(None),
        };
        match answer {
            None if registrations.is_empty() => return Err(refusal),
            None => return Ok(registrations),
            Some((server, Ok(registration))) => {
                registrations.insert(server, registration);
                until = until.or(Some(Instant::now() + OTHERS));
            }
            Some((_, Err(Refusal::ApplicationNotRegistered))) => {}
            Some((_, Err(other))) => refusal = other,
        }
    }
}

/// Sends the notices of one instance of an application on one connection.
struct NoticeSender {
    shared: Arc<Shared>,
    connection: Connection,
    /// Of the peer's certificate.
    names: Arc<[String]>,
    /// Where it was registered when it resumed: it may hold keys from there, whatever is registered now.
    registered: Registrations,
    app: AppId,
    /// The name under which its acknowledgements are stored.
    peer: String,
    /// Acknowledged up to here.
    after: NoticeCursor,
}

impl NoticeSender {
    /// Sends what is not acknowledged yet until nothing is left.
    async fn send(&mut self) -> Result<(), SendError> {
        loop {
            let now = self.shared.clock.now();
            let notices = self.shared.tokens.notices(&self.app, self.after, WINDOW, now).await?;
            let Some(last) = notices.last().map(|notice| notice.place) else { return Ok(()) };
            let mut in_flight = JoinSet::new();
            for attributes in notices.into_iter().filter_map(|notice| self.attributes(notice)) {
                let connection = self.connection.clone();
                in_flight.spawn(async move { connection.ask(TokenNotice::CODE, &attributes, TIME).await });
            }
            // All of a window are acknowledged before one is stored as such: the place in the store is a single number. An
            // error drops `in_flight`, and with it the requests; whatever of them was heard is sent again.
            while let Some(answered) = in_flight.join_next().await {
                let reply = answered.unwrap_or(Err(AskError::Ended))?;
                if reply.code() != Code::DisconnectAck {
                    return Err(SendError::Refused(reply.code()));
                }
            }
            self.after = last;
            self.shared.tokens.acknowledge(&self.app, &self.peer, last, now).await?;
        }
    }

    async fn keep_sending(&mut self, mut news: watch::Receiver<u64>) -> SendError {
        loop {
            if let Err(error) = self.send().await {
                return error;
            }
            if news.changed().await.is_err() {
                return SendError::Connection(AskError::Ended);
            }
        }
    }

    /// A notice's attributes; `None` if this peer may not hear of it.
    fn attributes(&self, notice: Notice) -> Option<Vec<u8>> {
        let table = self.shared.locator.table();
        let discloses_identity = self.may_hear(table.of_domain(notice.token.domain()))?;
        let device = discloses_identity.then_some(notice.device);
        let notice = TokenNotice { token: notice.token, app: notice.app, device, epoch: notice.epoch };
        let mut attributes = Vec::new();
        // The longest notice is far below a packet's 4096 octets.
        let _ = notice.encode(
            self.shared.vendor,
            self.shared.clock.now(),
            &mut AttributeWriter::for_request(&mut attributes),
        );
        Some(attributes)
    }

    /// Whether the peer may hear of a token of that server, and then whether of its device, too. Nobody is asked for it
    /// now: a server that is away would keep the notices of all others waiting.
    fn may_hear(&self, served: Option<&Arc<Served>>) -> Option<bool> {
        // A server that is gone from the table: its tokens were told of like any other's.
        let Some(served) = served else { return Some(false) };
        let known = served.applications.last_known(&self.app);
        let own = known.as_ref().filter(|known| is_of_peer(known, &self.names));
        match own.or_else(|| self.registered.get(served.server.name())) {
            Some(registration) => Some(registration.discloses_identity),
            None if known.is_some() => None,
            None => Some(false),
        }
    }
}
