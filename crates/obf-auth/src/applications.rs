//! Registrations of applications, fetched over RPR and kept for a minute at most (SPEC C4, R5).

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

/// A registration counts so long without being asked for again; a notice ends it sooner.
const KEPT: Duration = Duration::from_secs(60);
/// That there is none counts so long.
const ABSENCE_KEPT: Duration = Duration::from_secs(5);
/// More are not kept: certificates of ours may ask for any name.
const MOST: usize = 10_000;

/// What is known of applications.
#[derive(Debug, Default)]
pub(crate) struct Registrations {
    known: RwLock<HashMap<AppId, Known>>,
    /// How often something was forgotten: an answer asked for before that may be older than what changed.
    forgotten: AtomicU64,
}

#[derive(Clone, Debug)]
struct Known {
    registration: Result<Arc<ApplicationAnswer>, Refusal>,
    until: Instant,
}

impl Registrations {
    /// An application's registration, if a peer with these certificate names may ask for its keys. That there is no such
    /// application, and that it is not this peer's, is one answer.
    pub(crate) async fn of_peer(
        &self,
        server: &ResourceServer,
        app: &AppId,
        names: &[String],
    ) -> Result<Arc<ApplicationAnswer>, Refusal> {
        let registration = self.of(server, app).await.map_err(|refusal| match refusal {
            Refusal::UnknownIdentity | Refusal::NotPermitted => Refusal::ApplicationNotRegistered,
            other => other,
        })?;
        let registered = |name: &String| registration.cert_names.iter().any(|known| known == name);
        if names.iter().any(registered) { Ok(registration) } else { Err(Refusal::ApplicationNotRegistered) }
    }

    /// Forgets an application, because its registration changed.
    pub(crate) fn forget(&self, app: &AppId) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        known.remove(app);
    }

    async fn of(&self, server: &ResourceServer, app: &AppId) -> Result<Arc<ApplicationAnswer>, Refusal> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).get(app).cloned();
        if let Some(known) = known
            && Instant::now() < known.until
        {
            return known.registration;
        }
        let (asked, forgotten) = (Instant::now(), self.forgotten.load(Ordering::SeqCst));
        let registration = match server.application(app).await {
            Ok(registration) => Ok(Arc::new(registration)),
            Err(RprError::Refused(refusal)) => Err(refusal),
            Err(RprError::Unreachable) => return Err(Refusal::ResourceServerUnreachable),
        };
        let until = asked + if registration.is_ok() { KEPT } else { ABSENCE_KEPT };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
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
