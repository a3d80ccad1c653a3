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

/// A registration is good for so long without being asked for again; a notice ends it sooner.
const KEPT: Duration = Duration::from_secs(60);
/// That there is none is good for so long.
const ABSENCE_KEPT: Duration = Duration::from_secs(5);
/// More are not kept: certificates of ours may ask for any name.
const MOST: usize = 10_000;

/// An application's registration, shared by all who look at it.
pub(crate) type Registration = Arc<ApplicationAnswer>;

/// The applications of one Resource Server.
#[derive(Debug)]
pub(crate) struct Applications {
    server: Arc<ResourceServer>,
    known: RwLock<HashMap<AppId, Known>>,
    /// How often something was forgotten: an answer asked for before that may be older than what changed.
    forgotten: AtomicU64,
}

#[derive(Clone, Debug)]
struct Known {
    registration: Result<Registration, Refusal>,
    until: Instant,
}

impl Applications {
    /// Nothing is known yet.
    pub(crate) fn of_server(server: Arc<ResourceServer>) -> Self {
        Self { server, known: RwLock::default(), forgotten: AtomicU64::new(0) }
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
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(app)?.registration.clone().ok()
    }

    /// What is known of applications at present, in no order.
    pub(crate) fn seen(&self) -> Vec<(AppId, Result<Registration, Refusal>)> {
        let now = Instant::now();
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let current = known.iter().filter(|(_, known)| now < known.until);
        current.map(|(app, known)| (app.clone(), known.registration.clone())).collect()
    }

    /// Forgets an application, because its registration changed.
    pub(crate) fn forget(&self, app: &AppId) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        known.remove(app);
    }

    async fn registration(&self, app: &AppId) -> Result<Registration, Refusal> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).get(app).cloned();
        if let Some(known) = known
            && Instant::now() < known.until
        {
            return known.registration;
        }
        let (asked, forgotten) = (Instant::now(), self.forgotten.load(Ordering::SeqCst));
        let registration = match self.server.application(app).await {
            Ok(registration) => Ok(Arc::new(registration)),
            Err(RprError::Refused(refusal)) => Err(refusal),
            Err(RprError::Unreachable) => return Err(Refusal::ResourceServerUnreachable),
        };
        let until = asked + if registration.is_ok() { KEPT } else { ABSENCE_KEPT };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        // Forgotten while the answer was on its way: it may be the one from before the change, and must not be kept.
        // The count is read under the lock that `forget` holds while it rises, so nothing slips in between.
        if self.forgotten.load(Ordering::SeqCst) != forgotten {
            return registration;
        }
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(app.clone(), Known { registration: registration.clone(), until });
        registration
    }
}

/// Whether an application is registered with one of these certificate names.
pub(crate) fn is_of_peer(registration: &ApplicationAnswer, names: &[String]) -> bool {
    names.iter().any(|name| registration.cert_names.iter().any(|known| known == name))
}
