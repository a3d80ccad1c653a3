//! Who administers, as a Resource Server says (WIRES: operation *Administrator*), believed for a minute at most.

use crate::resource_server::{ResourceServer, RprError};
use obf_admin::{
    Role,
    pattern::{self, SLUG},
};
use obf_admin_http::Credential;
use obf_rpr::{AdministratorCredential, AdministratorRequest};
use obf_types::Refusal;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::time::timeout;

/// An administrator is one for so long without being asked for again.
const KEPT: Duration = Duration::from_secs(60);
/// That a credential is no administrator's is believed for so long.
const ABSENCE_KEPT: Duration = Duration::from_secs(5);
/// More are not kept, of either.
const MOST: usize = 1000;
/// An answer is waited for so long.
const PATIENCE: Duration = Duration::from_secs(5);

/// An administrator of a Resource Server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Administrator {
    /// Its name there.
    pub(crate) name: Arc<str>,
    pub(crate) role: Role,
}

/// The administrators of one Resource Server. What they show is kept as a digest only.
#[derive(Debug)]
pub(crate) struct Administrators {
    server: Arc<ResourceServer>,
    known: Mutex<HashMap<[u8; 32], (Administrator, Instant)>>,
    /// Apart, so that strangers push nobody out.
    absent: Mutex<HashMap<[u8; 32], Instant>>,
}

impl Administrators {
    /// Nobody is known yet.
    pub(crate) fn of_server(server: Arc<ResourceServer>) -> Self {
        Self { server, known: Mutex::default(), absent: Mutex::default() }
    }

    /// The administrator with that credential, in use; `None`: there is none.
    ///
    /// # Errors
    /// The server does not answer, or with something that is no answer to that.
    pub(crate) async fn find(&self, credential: &Credential) -> Result<Option<Administrator>, RprError> {
        // Counted from before it is asked: who ceases to be one meanwhile is out in time.
        let (digest, asked) = (credential.digest(), Instant::now());
        if let Some((administrator, until)) = locked(&self.known).get(&digest)
            && asked < *until
        {
            return Ok(Some(administrator.clone()));
        }
        if locked(&self.absent).get(&digest).is_some_and(|until| asked < *until) {
            return Ok(None);
        }
        let found = self.ask(credential).await?;
        match &found {
            Some(administrator) => keep(&self.known, digest, (administrator.clone(), asked + KEPT)),
            None => {
                locked(&self.known).remove(&digest);
                keep(&self.absent, digest, asked + ABSENCE_KEPT);
            }
        }
        Ok(found)
    }

    async fn ask(&self, credential: &Credential) -> Result<Option<Administrator>, RprError> {
        // Away for long: whoever keeps listening for it will hear when it is back, and nobody else has to wait.
        if self.server.silent_for().is_some() && !self.server.is_fresh() {
            return Err(RprError::Unreachable);
        }
        let credential = match credential {
            Credential::Token(sha256) => AdministratorCredential::TokenSha256(*sha256),
            Credential::Certificate(names) => AdministratorCredential::Certificate(names.to_vec()),
        };
        let answer = self.server.administrator(AdministratorRequest { credential });
        match timeout(PATIENCE, answer).await.unwrap_or(Err(RprError::Unreachable)) {
            Ok(answer) => match (Role::from_name(&answer.role), pattern::mismatch(SLUG, &answer.name)) {
                (Some(role), None) => Ok(Some(Administrator { name: answer.name.into(), role })),
                // The name goes into the audit, where nothing may pass for something else.
                _ => {
                    tracing::warn!(server = self.server.name(), ?answer, "no administrator as they are here");
                    Err(RprError::Unreadable)
                }
            },
            Err(RprError::Refused(Refusal::UnknownIdentity)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Once there are too many, all are asked for again.
fn keep<T>(map: &Mutex<HashMap<[u8; 32], T>>, digest: [u8; 32], value: T) {
    let mut map = locked(map);
    if map.len() >= MOST {
        map.clear();
    }
    map.insert(digest, value);
}

fn locked<T>(map: &Mutex<T>) -> MutexGuard<'_, T> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}
