//! Who administers: a bearer token (RFC 6750), of which only the SHA-256 is kept, or a client certificate.

use crate::Problem;
use hyper::{HeaderMap, header::AUTHORIZATION};
use obf_admin::Role;
use obf_net::http::Peer;
use sha2::{Digest, Sha256};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use subtle::ConstantTimeEq;

/// The name of the administrator of the configuration; no other has it.
pub const CONFIGURED: &str = "admin";

/// Credentials that are remembered as good.
const MOST_KNOWN: usize = 256;

/// An administrator that the configuration names.
#[derive(Clone, Debug)]
pub struct Administrator {
    /// Its name, for the audit.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// SHA-256 of its token, 64 hex digits. A token has at least 128 random bits, so that a plain hash does.
    pub token_sha256: String,
}

/// A configured hash is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("token_sha256 of administrator {0:?}: 64 hex digits are needed")]
pub struct AdministratorError(String);

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Its name, for the audit.
    pub name: Arc<str>,
    /// What it may do.
    pub role: Role,
    /// The application provider whose applications it may see, and no others.
    pub provider: Option<String>,
    /// At an Authentication Server, the names of the Resource Servers whose devices it may look at and act on; `None`: all.
    pub servers: Option<Arc<[String]>>,
}

impl Caller {
    /// With no bounds but those of its role.
    pub fn new(name: impl Into<Arc<str>>, role: Role) -> Self {
        Self { name: name.into(), role, provider: None, servers: None }
    }
}

/// The administrators of the configuration.
#[derive(Clone, Debug, Default)]
pub struct Administrators(Arc<[(Caller, [u8; 32])]>);

impl Administrators {
    /// Those of a configuration.
    ///
    /// # Errors
    /// [`AdministratorError`] names the one whose hash is malformed.
    pub fn new(configured: &[Administrator]) -> Result<Self, AdministratorError> {
        let all = configured.iter().map(|admin| {
            let hash = obf_types::hex::array(&admin.token_sha256);
            let hash = hash.ok_or_else(|| AdministratorError(admin.name.clone()))?;
            Ok((Caller::new(admin.name.as_str(), admin.role), hash))
        });
        Ok(Self(all.collect::<Result<_, _>>()?))
    }

    /// The administrator of the configuration whose token the request has; asks no store.
    ///
    /// # Errors
    /// A 401 problem.
    pub fn configured(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let found = token_hash(headers).and_then(|hash| self.of_token(&hash));
        found.cloned().ok_or_else(Problem::unauthenticated)
    }

    /// The one of them whose token has that SHA-256. All are compared, each in constant time.
    pub fn of_token(&self, sha256: &[u8; 32]) -> Option<&Caller> {
        self.0.iter().fold(
            None,
            |found, (caller, known)| {
                if bool::from(known.ct_eq(sha256)) { Some(caller) } else { found }
            },
        )
    }
}

/// What a request shows of who asks.
#[derive(Clone, Debug)]
pub enum Credential {
    /// The SHA-256 of a token.
    Token([u8; 32]),
    /// The names in the certificate of its connection.
    Certificate(Arc<[String]>),
}

impl Credential {
    /// The request's token or, if it has none, the certificate that its connection showed.
    pub fn of(headers: &HeaderMap, peer: &Peer) -> Option<Self> {
        match (token_hash(headers), &peer.names) {
            (Some(hash), _) => Some(Self::Token(hash)),
            (None, Some(names)) if !headers.contains_key(AUTHORIZATION) => {
                Some(Self::Certificate(names.clone()))
            }
            _ => None,
        }
    }

    /// 32 octets that no other credential has.
    pub fn digest(&self) -> [u8; 32] {
        match self {
            Self::Token(hash) => *hash,
            Self::Certificate(names) => {
                let mut digest = Sha256::new();
                // No token's hash is made of this: a token has no line ends.
                digest.update(b"certificate\n");
                names.iter().for_each(|name| digest.update(format!("{name}\n")));
                digest.finalize().into()
            }
        }
    }
}

/// Credentials that were good lately: with one of them nobody is a stranger, whoever else comes from the same address.
#[derive(Debug, Default)]
pub struct RecentCredentials(Mutex<VecDeque<[u8; 32]>>);

impl RecentCredentials {
    /// Whether it was good lately. All are compared, each in constant time.
    pub fn has(&self, credential: &Credential) -> bool {
        let digest = credential.digest();
        let known = self.lock();
        known.iter().fold(false, |found, one| found | bool::from(one.ct_eq(&digest)))
    }

    /// It is good; the one that was good first is forgotten for it, if there are many.
    pub fn add(&self, credential: &Credential) {
        let mut known = self.lock();
        if known.len() >= MOST_KNOWN {
            known.pop_front();
        }
        known.push_back(credential.digest());
    }

    /// It is good no longer.
    pub fn forget(&self, credential: &Credential) {
        let digest = credential.digest();
        self.lock().retain(|one| !bool::from(one.ct_eq(&digest)));
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<[u8; 32]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// SHA-256 of the request's token.
fn token_hash(headers: &HeaderMap) -> Option<[u8; 32]> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| Sha256::digest(token).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(token: &str) -> String {
        Sha256::digest(token.as_bytes()).iter().map(|octet| format!("{octet:02x}")).collect()
    }

    fn administrator(name: &str, token_sha256: String) -> Administrator {
        Administrator { name: name.into(), role: Role::Operator, token_sha256 }
    }

    #[test]
    fn credentials_that_were_good_are_known_until_they_are_not_or_too_many() {
        let known = RecentCredentials::default();
        let token = |number: usize| {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&number.to_be_bytes());
            Credential::Token(hash)
        };
        let certificate = Credential::Certificate(["ops.example".to_owned()].into());
        assert!(!known.has(&token(0)) && !known.has(&certificate));
        known.add(&token(0));
        known.add(&certificate);
        assert!(known.has(&token(0)) && known.has(&certificate) && !known.has(&token(1)));
        known.forget(&token(0));
        assert!(known.has(&certificate) && !known.has(&token(0)));
        (1..=MOST_KNOWN).for_each(|number| known.add(&token(number)));
        assert!(!known.has(&certificate) && known.has(&token(1)) && known.has(&token(MOST_KNOWN)));
    }

    #[test]
    fn only_the_token_of_an_administrator_is_accepted() {
        let configured =
            [("a", "secret-a"), ("b", "secret-b")].map(|(name, token)| administrator(name, hex(token)));
        let administrators = Administrators::new(&configured).unwrap();
        let ask = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            administrators
                .configured(&headers)
                .map(|caller| caller.name.to_string())
                .map_err(|problem| problem.status.as_u16())
        };
        assert_eq!(ask("Bearer secret-b"), Ok("b".into()));
        assert_eq!(ask("bearer secret-a"), Ok("a".into()));
        for wrong in ["Bearer secret", "Basic secret-a", "secret-a", "Bearer "] {
            assert_eq!(ask(wrong), Err(401), "{wrong}");
        }
        assert!(administrators.configured(&HeaderMap::new()).is_err());
        assert!(Administrators::new(&[administrator("a", "00".into())]).is_err());
        // An administrator with the hash of the empty text gets nobody in.
        let empty = [administrator("a", hex("")), administrator("b", "00".repeat(32))];
        assert!(Administrators::new(&empty).unwrap().configured(&HeaderMap::new()).is_err());
    }
}
