//! The keys and sessions of one application under one Authentication Server.

use crate::{
    keys::{CachedKey, Found, Keys},
    link::{AsLink, FetchError},
    sessions::{Place, Sessions},
};
use obf_net::{Cutter, Running, radius::Connection};
use obf_rpa::{LocalPolicy, NeedKey};
use obf_rpo::KeyRequest;
use obf_token::TokenId;
use obf_types::{AppId, Refusal, UnixTime};
use std::{
    fmt,
    sync::{Arc, OnceLock, Weak},
};
use tokio::{sync::watch, task::AbortHandle, time::Instant};

/// What an application has from one Authentication Server.
pub(crate) struct AppKeys {
    pub(crate) app: AppId,
    pub(crate) link: Arc<AsLink>,
    pub(crate) keys: Keys,
    sessions: Sessions,
    attempt: watch::Sender<Attempt>,
    /// Says on each new connection that the application is there; ends with it.
    resuming: OnceLock<AbortHandle>,
}

/// How it was welcomed on the connection of that number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) connection: u64,
    pub(crate) accepted: bool,
}

/// Why there is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoKey {
    /// The token's domain is of no Authentication Server that is configured: nothing was resolved or asked.
    #[error("the token is of no Authentication Server that is known here")]
    UnknownServer,
    /// The Authentication Server refused; a refusal is remembered for a moment, then without its reason.
    #[error("refused by the Authentication Server")]
    Refused(Option<Refusal>),
    /// It ended while it was asked for, or is over already.
    #[error("the token has ended")]
    Ended,
    /// The Authentication Server cannot be reached, or does not answer in time.
    #[error("the Authentication Server does not answer")]
    Away,
    /// Too many keys are asked for at once.
    #[error("too many keys are asked for at once")]
    Busy,
}

impl AppKeys {
    /// Joins the applications at an Authentication Server.
    pub(crate) fn join(app: AppId, link: &Arc<AsLink>, max_age: Option<u32>, max_keys: usize) -> Arc<Self> {
        let policy = LocalPolicy { max_age, stale_grace: link.stale_grace };
        let keys = Arc::new(Self {
            link: Arc::clone(link),
            keys: Keys::new(policy, max_keys, link.clock.now()),
            sessions: Sessions::default(),
            attempt: watch::Sender::default(),
            resuming: OnceLock::new(),
            app,
        });
        link.join(&keys);
        keys
    }

    /// Says on each new connection that the application is there, until it is gone or the group is told to finish.
    pub(crate) fn stay_resumed(self: &Arc<Self>, running: &Running) {
        let (keys, link) = (Arc::downgrade(self), Arc::clone(&self.link));
        let task = running.spawn(stay_resumed(keys, link, running.clone()));
        // It is set once.
        let _ = self.resuming.set(task.abort_handle());
    }

    pub(crate) fn attempts(&self) -> watch::Receiver<Attempt> {
        self.attempt.subscribe()
    }

    /// The key, if it is known and good.
    pub(crate) fn known(&self, need: &NeedKey) -> Option<CachedKey> {
        match self.keys.find(need, self.link.clock.now()) {
            Found::Cached(cached) => Some(cached),
            Found::Refused | Found::Unknown(_) | Found::Wait => None,
        }
    }

    /// The key, from memory or from the Authentication Server.
    pub(crate) async fn key(&self, need: NeedKey) -> Result<CachedKey, NoKey> {
        let deadline = Instant::now() + self.link.time;
        // Subscribed before the look: a phase that begins in between is not missed.
        let mut phases = self.keys.phases();
        loop {
            match self.keys.find(&need, self.link.clock.now()) {
                Found::Cached(cached) => return Ok(cached),
                Found::Refused => return Err(NoKey::Refused(None)),
                Found::Unknown(seen) => return self.fetch(need, seen).await,
                Found::Wait => {
                    let another = tokio::time::timeout_at(deadline, phases.changed()).await;
                    // The phases end with self, which is here.
                    if another.is_err() {
                        return Err(NoKey::Away);
                    }
                }
            }
        }
    }

    async fn fetch(&self, need: NeedKey, seen: u64) -> Result<CachedKey, NoKey> {
        let NeedKey { token, ua } = need.clone();
        let fetched = self.link.fetch(KeyRequest { token, app: self.app.clone(), ua }).await;
        let now = self.link.clock.now();
        match fetched {
            Ok(grant) => self.keys.fetched(need, grant, seen, now).ok_or(NoKey::Ended),
            Err(FetchError::Refused(refusal)) => {
                if !is_passing(refusal) {
                    self.keys.refused(need, now);
                }
                Err(NoKey::Refused(Some(refusal)))
            }
            Err(FetchError::Away) => Err(NoKey::Away),
            Err(FetchError::Busy) => Err(NoKey::Busy),
        }
    }

    /// Adds a session that `cutter` ends; `None` if its key has ended meanwhile.
    pub(crate) fn begin(
        self: &Arc<Self>,
        token: &TokenId,
        cached: &CachedKey,
        cutter: Cutter,
    ) -> Option<Place> {
        let number = self.sessions.add(token.clone(), cached.expires, cutter);
        let place = Place { number, keys: Arc::clone(self) };
        // Asked after the session can be found by its token: a notice either shows here or cuts it.
        self.keys.still_good(token, cached, self.link.clock.now()).then_some(place)
    }

    /// A session's place is given up.
    pub(crate) fn leave(&self, number: u64) {
        self.sessions.remove(number);
    }

    /// Forgets a token and cuts its sessions; how many there were.
    pub(crate) fn end(&self, token: &TokenId, now: UnixTime) -> usize {
        // First the key: what begins after that is seen by `begin`, what has begun before is cut.
        self.keys.end_token(token, now);
        self.sessions.end_token(token)
    }

    /// Cuts the sessions that are over, forgets the keys that are.
    pub(crate) fn expire(&self, now: UnixTime) {
        let ended = self.sessions.end_expired(self.keys.policy(), self.keys.link(), now);
        if ended > 0 {
            tracing::info!(server = %self.link, app = %self.app, sessions = ended, "sessions expired");
        }
        self.keys.expire(now);
    }

    pub(crate) fn end_all(&self) {
        self.sessions.end_all();
    }

    pub(crate) fn sessions(&self) -> usize {
        self.sessions.len()
    }
}

impl Drop for AppKeys {
    fn drop(&mut self) {
        // The task holds a handle while it asks, so nothing is asked now: this ends its wait for a connection.
        if let Some(task) = self.resuming.get() {
            task.abort();
        }
        self.link.members.prune(&self.app);
    }
}

impl fmt::Debug for AppKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AppKeys({} at {}, {} sessions)", self.app, self.link, self.sessions.len())
    }
}

/// Whether the next handshake may fare better at once.
const fn is_passing(refusal: Refusal) -> bool {
    matches!(
        refusal,
        Refusal::ResourceServerUnreachable | Refusal::Overloaded | Refusal::StorageFailed | Refusal::Limited
    )
}

/// Says on each new connection that the application is there, again and again where it is not welcome. Holds it weakly
/// but while it asks: an application that nobody has any more is to go.
async fn stay_resumed(keys: Weak<AppKeys>, link: Arc<AsLink>, running: Running) {
    let mut connections = link.members.connections();
    loop {
        let connection = tokio::select! {
            connection = connections.wait_for(Option::is_some) => match connection.as_deref() {
                Ok(Some(connection)) => connection.clone(),
                _ => return,
            },
            () = running.stopping() => return,
        };
        let Some(welcome) = resume(&keys, &link, &connection, &running).await else { return };
        tokio::select! {
            _ = connection.ended() => {}
            // Where it is not welcome now it may be later: registered meanwhile, or the Resource Server is back.
            () = tokio::time::sleep(link.pause), if !welcome => continue,
            () = running.stopping() => return,
        }
        let Some(keys) = keys.upgrade() else { return };
        keys.keys.disconnected(link.clock.now());
        drop(keys);
        // The next one, not this one again before its loss is known everywhere.
        let next = connections.wait_for(|now| now.as_ref().is_none_or(|now| now.id() != connection.id()));
        tokio::select! {
            next = next => if next.is_err() { return },
            () = running.stopping() => return,
        }
    }
}

/// Whether the application is welcome on a connection; `None` if it is gone.
async fn resume(
    keys: &Weak<AppKeys>,
    link: &AsLink,
    connection: &Connection,
    running: &Running,
) -> Option<bool> {
    let keys = keys.upgrade()?;
    keys.keys.connected();
    let accepted = tokio::select! {
        outcome = link.resume(&keys.app, connection) => outcome.is_ok(),
        () = running.stopping() => false,
    };
    if accepted {
        keys.keys.resumed();
    } else {
        keys.keys.disconnected(link.clock.now());
    }
    keys.attempt.send_replace(Attempt { connection: connection.id(), accepted });
    Some(accepted)
}
