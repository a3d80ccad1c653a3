//! The applications of this process at one Authentication Server. They share its connection: each says on every new one
//! that it is there (Resume), and each is told its own notices.

use crate::{app_keys::AppKeys, directory::AsDomains, pace::Pace};
use obf_net::{
    Clock,
    radius::{AskError, Connection, ConnectionEnded, Handler, LinkEvents, Origin},
};
use obf_radius::{Request, Vendor, dictionary::ErrorCause, notice};
use obf_rpo::TokenNotice;
use obf_types::AppId;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{sync::watch, task::JoinSet};

/// Who is there, and what the Authentication Server tells them.
pub(crate) struct Members {
    /// The Authentication Server's number among `domains`.
    number: usize,
    domains: Arc<AsDomains>,
    vendor: Vendor,
    clock: Arc<dyn Clock>,
    /// Weak: an application lives as long as its handles, listeners and sessions. The same id may be there several
    /// times; each is told.
    by_app: Mutex<HashMap<AppId, Vec<Weak<AppKeys>>>>,
    connection: watch::Sender<Option<Connection>>,
    pace: Pace,
    /// Notices that were none of this Authentication Server's business.
    refused: AtomicU64,
}

impl Members {
    pub(crate) fn new(number: usize, domains: Arc<AsDomains>, vendor: Vendor, clock: Arc<dyn Clock>) -> Self {
        Self {
            number,
            domains,
            vendor,
            clock,
            by_app: Mutex::default(),
            connection: watch::Sender::new(None),
            pace: Pace::notices(),
            refused: AtomicU64::new(0),
        }
    }

    /// The connection that notices come on.
    pub(crate) fn connections(&self) -> watch::Receiver<Option<Connection>> {
        self.connection.subscribe()
    }

    /// Adds an application, which holds no key yet.
    pub(crate) fn add(&self, app: &AppId, keys: &Arc<AppKeys>) {
        let mut by_app = self.lock();
        let of_app = by_app.entry(app.clone()).or_default();
        of_app.retain(|one| one.strong_count() > 0);
        of_app.push(Arc::downgrade(keys));
    }

    /// Forgets those of an application that are gone.
    pub(crate) fn prune(&self, app: &AppId) {
        let mut by_app = self.lock();
        if let Some(of_app) = by_app.get_mut(app) {
            of_app.retain(|one| one.strong_count() > 0);
            if of_app.is_empty() {
                by_app.remove(app);
            }
        }
    }

    /// Everybody who is there. Never called with the lock held: the last handle may be dropped by whoever got it here.
    pub(crate) fn all(&self) -> Vec<Arc<AppKeys>> {
        self.lock().values().flatten().filter_map(Weak::upgrade).collect()
    }

    fn of(&self, app: &AppId) -> Vec<Arc<AppKeys>> {
        self.lock().get(app).into_iter().flatten().filter_map(Weak::upgrade).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AppId, Vec<Weak<AppKeys>>>> {
        self.by_app.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Acts on a notice; false if it is about a token of another Authentication Server.
    ///
    /// When this returns, each application concerned has acted. One that is not here, or comes only now, has nothing
    /// to act on: it joins without keys, and what it fetches from here on is answered by a server that has ended the
    /// token before it sent the notice.
    fn act(&self, notice: &TokenNotice) -> bool {
        if self.domains.of(&notice.token) != Some(self.number) {
            return false;
        }
        let now = self.clock.now();
        let ended: usize = self.of(&notice.app).iter().map(|keys| keys.end(&notice.token, now)).sum();
        if ended > 0 {
            tracing::info!(token = %notice.token, app = %notice.app, sessions = ended, "token ended");
        } else {
            tracing::debug!(token = %notice.token, app = %notice.app, "token ended");
        }
        true
    }

    /// Says that a notice was refused: the first, the second, the fourth …, so that a flood does not fill the log.
    fn say_refused(&self, reason: &dyn std::fmt::Display) {
        let count = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        if count.is_power_of_two() {
            tracing::warn!(%reason, count, "notice refused");
        }
    }
}

impl std::fmt::Debug for Members {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Members({} applications)", self.lock().len())
    }
}

impl Handler for Members {
    async fn handle(&self, request: Request, _: Origin) -> Option<Vec<u8>> {
        // Whoever sends faster waits, and then its connection is not read from.
        self.pace.turn().await;
        let mut out = Vec::new();
        match TokenNotice::decode(&request, self.vendor, self.clock.now()) {
            Ok(notice) if self.act(&notice) => notice::acknowledge(&request, &mut out),
            Ok(notice) => {
                self.say_refused(&format_args!("{} is not this Authentication Server's", notice.token));
                notice::refuse(&request, ErrorCause::InvalidRequest, &mut out);
            }
            Err(error) => {
                self.say_refused(&error);
                notice::refuse(&request, error.cause(), &mut out);
            }
        }
        Some(out)
    }
}

impl LinkEvents for Members {
    /// Keeps the connection if one application is welcome on it, or there is none yet. The others go on asking by
    /// themselves; where none is welcome, the next address may know them.
    async fn connected(&self, connection: &Connection) -> Result<(), AskError> {
        let id = connection.id();
        // They wait for the outcome from before the applications hear of the connection. Returning drops the waits that are
        // left, not the attempts, which are the applications' own.
        let mut attempts = JoinSet::new();
        for keys in self.all() {
            let mut attempt = keys.attempts();
            attempts.spawn(async move {
                // An application that goes away meanwhile is no reason to stay.
                attempt.wait_for(|last| last.connection == id).await.is_ok_and(|last| last.accepted)
            });
        }
        self.connection.send_replace(Some(connection.clone()));
        if attempts.is_empty() {
            return Ok(());
        }
        while let Some(accepted) = attempts.join_next().await {
            if accepted.unwrap_or(false) {
                return Ok(());
            }
        }
        self.connection.send_replace(None);
        Err(AskError::Unreachable)
    }

    fn disconnected(&self, reason: &ConnectionEnded) {
        tracing::warn!(?reason, "Authentication Server lost");
        self.connection.send_replace(None);
    }
}
