//! Who administers: a bearer token (RFC 6750), of which only the SHA-256 is kept, or a client certificate.

use super::Problem;
use hyper::{HeaderMap, header::AUTHORIZATION};
use obf_admin::Role;
use obf_net::http::Peer;
use obf_store::resource::{AdministratorAccounts, Entries, EntryKind, ResourceDb, State};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// The name of the administrator of the configuration; no other has it.
pub const CONFIGURED: &str = "admin";

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
}

/// The administrators of the configuration.
#[derive(Clone, Debug)]
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
            Ok((Caller { name: admin.name.as_str().into(), role: admin.role, provider: None }, hash))
        });
        Ok(Self(all.collect::<Result<_, _>>()?))
    }

    /// The administrator whose token the request has or, if it has none, whose certificate its connection showed.
    ///
    /// # Errors
    /// A 401 problem; it does not say whether there was a token. 403 for one that is known but not active.
    pub async fn authenticate(
        &self,
        headers: &HeaderMap,
        peer: &Peer,
        store: &ResourceDb,
    ) -> Result<Caller, Problem> {
        if let Ok(caller) = self.configured(headers) {
            return Ok(caller);
        }
        let account = match (token_hash(headers), &peer.names) {
            (Some(hash), _) => {
                let found = store.administrator_of_token(hash).await?;
                found.filter(|account| bool::from(account.token_sha256.ct_eq(&hash)))
            }
            (None, Some(names)) if !headers.contains_key(AUTHORIZATION) => {
                store.administrator_of_certificate(names.to_vec()).await?
            }
            _ => None,
        };
        let account = account.ok_or_else(Problem::unauthenticated)?;
        if account.state != State::Active {
            return Err(Problem::not_active(account.state));
        }
        if let Some(provider) = &account.application_provider {
            let entry = store.entry(EntryKind::ApplicationProvider, provider).await?;
            let state = entry.map_or(State::Retired, |entry| entry.state);
            if state != State::Active {
                return Err(Problem::not_active(state));
            }
        }
        Ok(Caller {
            name: account.id.as_str().into(),
            role: Role::from_name(&account.role).ok_or_else(Problem::unauthenticated)?,
            provider: account.application_provider,
        })
    }

    fn configured(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let token = token_hash(headers);
        let hash = token.unwrap_or_default();
        // All are compared, each in constant time.
        let found =
            self.0.iter().fold(
                None,
                |found, (caller, known)| {
                    if bool::from(known.ct_eq(&hash)) { Some(caller) } else { found }
                },
            );
        found.filter(|_| token.is_some()).cloned().ok_or_else(Problem::unauthenticated)
    }
}

/// SHA-256 of the request's token.
pub fn token_hash(headers: &HeaderMap) -> Option<[u8; 32]> {
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
    fn only_the_token_of_an_administrator_counts() {
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
