//! Who administers: a bearer token (RFC 6750), of which only the SHA-256 is kept.

use super::Problem;
use hyper::{HeaderMap, header::AUTHORIZATION};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// An administrator, as configured.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Administrator {
    /// Its name, for the log.
    pub name: String,
    /// SHA-256 of its token, 64 hex digits. A token has at least 128 random bits, so that a plain hash does.
    pub token_sha256: String,
}

/// A configured hash is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("token_sha256 of administrator {0:?}: 64 hex digits are needed")]
pub struct AdministratorError(String);

/// All administrators of a node.
#[derive(Clone, Debug)]
pub struct Administrators(Arc<[(String, [u8; 32])]>);

impl Administrators {
    /// Those of a configuration.
    ///
    /// # Errors
    /// [`AdministratorError`] names the one whose hash is malformed.
    pub fn new(configured: &[Administrator]) -> Result<Self, AdministratorError> {
        let all = configured.iter().map(|admin| {
            let hash = crate::kms::octets_32_from_hex(&admin.token_sha256);
            let hash = hash.ok_or_else(|| AdministratorError(admin.name.clone()))?;
            Ok((admin.name.clone(), hash))
        });
        Ok(Self(all.collect::<Result<_, _>>()?))
    }

    /// The name of the administrator whose token the request has.
    ///
    /// # Errors
    /// A 401 problem; it does not say whether there was a token.
    pub fn authenticate(&self, headers: &HeaderMap) -> Result<&str, Problem> {
        let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
        });
        let hash = <[u8; 32]>::from(Sha256::digest(token.unwrap_or_default().as_bytes()));
        // All are compared, each in constant time.
        let found = self.0.iter().fold(None, |found, (name, known)| {
            if bool::from(known.ct_eq(&hash)) { Some(name.as_str()) } else { found }
        });
        found.filter(|_| token.is_some()).ok_or_else(Problem::unauthenticated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(token: &str) -> String {
        Sha256::digest(token.as_bytes()).iter().map(|octet| format!("{octet:02x}")).collect()
    }

    #[test]
    fn only_the_token_of_an_administrator_counts() {
        let configured = [("a", "secret-a"), ("b", "secret-b")]
            .map(|(name, token)| Administrator { name: name.into(), token_sha256: hex(token) });
        let administrators = Administrators::new(&configured).unwrap();
        let ask = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            administrators
                .authenticate(&headers)
                .map(str::to_owned)
                .map_err(|problem| problem.status.as_u16())
        };
        assert_eq!(ask("Bearer secret-b"), Ok("b".into()));
        assert_eq!(ask("bearer secret-a"), Ok("a".into()));
        for wrong in ["Bearer secret", "Basic secret-a", "secret-a", "Bearer "] {
            assert_eq!(ask(wrong), Err(401), "{wrong}");
        }
        assert!(administrators.authenticate(&HeaderMap::new()).is_err());
        let short = Administrator { name: "a".into(), token_sha256: "00".into() };
        assert!(Administrators::new(&[short]).is_err());
        // An administrator with the hash of the empty text gets nobody in.
        let empty = [Administrator { name: "a".into(), token_sha256: hex("") }];
        assert!(Administrators::new(&empty).unwrap().authenticate(&HeaderMap::new()).is_err());
    }
}
