//! Applications as the Resource Server has them registered, fetched over RPR and kept for a minute at most (SPEC C4, R5).

use crate::resource_server::{ResourceServer, RprError};
use obf_rpr::ApplicationAnswer;
use obf_types::{AppId, Refusal};
use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// How long a registration is used before it is asked for again; a notice ends it sooner.
const KEPT: Duration = Duration::from_secs(60);
/// The same where the answer was that there is no such application.
const ABSENCE_KEPT: Duration = Duration::from_secs(5);
/// The most registrations kept: a peer with a valid certificate may ask for any name.
const MOST: usize = 10_000;

/// An application's registration, shared by all who look at it.
pub(crate) type Registration = Arc<ApplicationAnswer>;

/// The applications of one Resource Server.
#[derive(Debug)]
pub(crate) struct Applications {
    server: Arc<ResourceServer>,
    cached: RwLock<HashMap<AppId, CachedRegistration>>,
    /// How often something was forgotten: an answer that was asked for before may be older than the change.
    forgotten: AtomicU64,
}

#[derive(Clone, Debug)]
struct CachedRegistration {
    registration: Result<Registration, Refusal>,
    until: Instant,
}

impl Applications {
    /// Nothing is known yet.
    pub(crate) fn of_server(server: Arc<ResourceServer>) -> Self {
        Self { server, cached: RwLock::default(), forgotten: AtomicU64::new(0) }
    }

    /// An application's registration, if a peer with these certificate names may ask for its keys. That there is no such
    /// application, and that it is not this peer's, is one answer.
    pub(crate) async fn of_peer(&self, app: &AppId, names: &[String]) -> Result<Registration, Refusal> {
        let registration = self.registration(app).await.map_err(|refusal| match refusal {
            Refusal::UnknownIdentity | Refusal::NotPermitted => Refusal::ApplicationNotRegistered,
            other => other,
        })?;
        if is_of_peer(&registration, names) {
            Ok(registration)
        } else {
            Err(Refusal::ApplicationNotRegistered)
        }
    }

    /// What was last known of an application, however long ago; nobody is asked.
    pub(crate) fn last_known(&self, app: &AppId) -> Option<Registration> {
        let cached = self.cached.read().unwrap_or_else(PoisonError::into_inner);
        cached.get(app)?.registration.clone().ok()
    }

    /// What is known of applications at present, in no order.
    pub(crate) fn seen(&self) -> Vec<(AppId, Result<Registration, Refusal>)> {
        let now = Instant::now();
        let cached = self.cached.read().unwrap_or_else(PoisonError::into_inner);
        let current = cached.iter().filter(|(_, one)| now < one.until);
        current.map(|(app, one)| (app.clone(), one.registration.clone())).collect()
    }

    /// Forgets an application, because its registration changed.
    pub(crate) fn forget(&self, app: &AppId) {
        let mut cached = self.cached.write().unwrap_or_else(PoisonError::into_inner);
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        cached.remove(app);
    }

    async fn registration(&self, app: &AppId) -> Result<Registration, Refusal> {
        let cached = self.cached.read().unwrap_or_else(PoisonError::into_inner).get(app).cloned();
        if let Some(known) = cached
            && Instant::now() < known.until
        {
            return known.registration;
        }
        let (asked, forgotten) = (Instant::now(), self.forgotten.load(Ordering::SeqCst));
        let registration = match self.server.application(app).await {
            Ok(registration) => Ok(Arc::new(registration)),
            Err(RprError::Refused(refusal)) => Err(refusal),
            Err(RprError::Unreachable | RprError::Unreadable) => {
                return Err(Refusal::ResourceServerUnreachable);
            }
        };
        let until = asked + if registration.is_ok() { KEPT } else { ABSENCE_KEPT };
        let mut cached = self.cached.write().unwrap_or_else(PoisonError::into_inner);
        // Forgotten while the answer was on its way: it may be the one from before the change, and must not be kept.
        // The count is read under the lock that `forget` holds while it rises, so nothing slips in between.
        if self.forgotten.load(Ordering::SeqCst) != forgotten {
            return registration;
        }
        if cached.len() >= MOST {
            cached.clear();
        }
        cached.insert(app.clone(), CachedRegistration { registration: registration.clone(), until });
        registration
    }
}

/// Whether an application is registered with one of these certificate names.
pub(crate) fn is_of_peer(registration: &ApplicationAnswer, names: &[String]) -> bool {
    names.iter().any(|name| registration.cert_names.iter().any(|own| own == name))
}
