//! Who administers: the Resource Server says, and what it says is believed for a minute at most.

use crate::{locator::Locator, resource_server::RprError};
use obf_admin::Role;
use obf_admin_http::{Caller, Credential, Problem};
use obf_rpr::{AdministratorRequest, Shown};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long an administrator is one without the Resource Server being asked again.
const KEPT: Duration = Duration::from_secs(60);
/// More are not kept.
const MOST: usize = 1000;

/// The administrators of the first Resource Server there is: that of the operator, where others are behind it too.
#[derive(Debug)]
pub(crate) struct Administrators {
    locator: Arc<Locator>,
    /// By a digest of what they showed; a credential itself is not kept.
    known: Mutex<HashMap<[u8; 32], (Caller, Instant)>>,
}

impl Administrators {
    pub(crate) fn new(locator: Arc<Locator>) -> Self {
        Self { locator, known: Mutex::default() }
    }

    /// The administrator who shows that.
    ///
    /// # Errors
    /// A 401 problem where the Resource Server knows none, or none that is in use; 503 where it is away.
    pub(crate) async fn find(&self, credential: Credential) -> Result<Caller, Problem> {
        let (digest, asked) = (digest(&credential), Instant::now());
        if let Some((caller, until)) = self.known().get(&digest)
            && asked < *until
        {
            return Ok(caller.clone());
        }
        let shown = match credential {
            Credential::Token(sha256) => Shown::TokenSha256(sha256),
            Credential::Certificate(names) => Shown::Certificate(names.to_vec()),
        };
        let table = self.locator.table();
        let served = table.servers().first().ok_or_else(Problem::nobody_to_ask)?;
        match served.server.administrator(AdministratorRequest { shown }).await {
            Ok(answer) => {
                let role = Role::from_name(&answer.role).ok_or_else(Problem::unauthenticated)?;
                let caller = Caller { name: answer.name.as_str().into(), role, provider: None };
                let mut known = self.known();
                if known.len() >= MOST {
                    known.clear();
                }
                // Counted from before it was asked: whoever ceased to be one meanwhile is out in time.
                known.insert(digest, (caller.clone(), asked + KEPT));
                Ok(caller)
            }
            Err(RprError::Refused(refusal)) if refusal.code() < 300 => {
                self.known().remove(&digest);
                Err(Problem::unauthenticated())
            }
            Err(_) => Err(Problem::nobody_to_ask()),
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<[u8; 32], (Caller, Instant)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// 32 octets that no other credential has.
fn digest(credential: &Credential) -> [u8; 32] {
    let mut digest = Sha256::new();
    match credential {
        Credential::Token(sha256) => {
            digest.update(b"token\n");
            digest.update(sha256);
        }
        Credential::Certificate(names) => {
            digest.update(b"certificate\n");
            names.iter().for_each(|name| digest.update(format!("{name}\n")));
        }
    }
    digest.finalize().into()
}
