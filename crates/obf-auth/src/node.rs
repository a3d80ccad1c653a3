//! What the listeners of one node share.

use crate::{
    config::{Checked, Config, ConfigError, read_key},
    following::Following,
    limiter::{Limiter, Rate},
    notices_in,
    random::draw,
    registrations::Registrations,
    resource_server::ResourceServer,
    sealing::Sealing,
    start::StartError,
    tokens::{Found, LiveToken, NewToken, TokenTable},
    vault::Vault,
};
use obf_net::Clock;
use obf_rpb::{Authenticator, server::Settings};
use obf_rpr::Vendor;
use obf_store::{
    Options,
    auth::{AuthStore, Kept, KeptToken},
};
use obf_token::TokenId;
use obf_types::{Domain, IdentityKind, Refusal, Secret, UnixTime};
use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::Semaphore;

/// Identities whose unanswered challenges are counted at once.
const LIMITED_IDENTITIES: usize = 1 << 17;
/// Sources whose requests are counted at once.
const LIMITED_SOURCES: usize = 1 << 16;
/// Connections that read the store beside its writer.
const READERS: usize = 2;

/// One Authentication Server node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) domain: Domain,
    /// The Resource Server's label in token ids.
    pub(crate) rs_label: Box<str>,
    /// `<rs>.<as domain>`.
    pub(crate) token_domain: Domain,
    pub(crate) vendor: Vendor,
    pub(crate) authenticator: Authenticator,
    pub(crate) store: AuthStore,
    pub(crate) table: Arc<TokenTable>,
    pub(crate) vault: Vault,
    pub(crate) sealing: Sealing,
    pub(crate) registrations: Registrations,
    pub(crate) following: Following,
    pub(crate) resource_server: ResourceServer,
    /// Bounds what notices about fleets ask the Resource Server at once.
    pub(crate) notice_lookups: Arc<Semaphore>,
    /// Seconds that a new bootstrap leaves the former token.
    pub(crate) former_token: u64,
    challenges: Mutex<Limiter>,
    sources: Mutex<Limiter>,
}

impl Node {
    pub(crate) async fn open(
        config: &Config,
        checked: &Checked,
        clock: Arc<dyn Clock>,
        resource_server: ResourceServer,
    ) -> Result<Self, StartError> {
        let vault = Vault::new(&read_key("kek_file", &config.kek_file)?);
        let store = AuthStore::open(&Options::new(&config.database).readers(READERS)).map_err(|error| {
            ConfigError::new("database", format_args!("{}: {error}", config.database.display()))
        })?;
        let sealing = Sealing::open(&store, &vault, clock.now()).await?;
        let following = Following::from_now(&store).await?;
        let limits = &config.limits;
        let settings = Settings {
            challenge_life: limits.challenge_life,
            max_lifetime: checked.max_lifetime,
            offer_akav1: config.rpb.offer_akav1,
            ..Settings::new(checked.domain.clone())
        };
        let challenges = Rate { burst: limits.challenges, seconds: limits.challenges_seconds };
        let sources = Rate { burst: limits.requests_per_source, seconds: limits.requests_seconds };
        Ok(Self {
            clock,
            domain: checked.domain.clone(),
            rs_label: config.resource_server.name.as_str().into(),
            token_domain: checked.token_domain.clone(),
            vendor: Vendor(config.vendor),
            authenticator: Authenticator::new(settings),
            store,
            table: Arc::new(TokenTable::new(vec![checked.token_domain.clone()], &Secret::new(draw()))),
            vault,
            sealing,
            registrations: Registrations::default(),
            following,
            resource_server,
            notice_lookups: Arc::new(Semaphore::new(notices_in::LOOKUPS)),
            former_token: limits.former_token.into(),
            challenges: Mutex::new(Limiter::new(LIMITED_IDENTITIES, challenges)),
            sources: Mutex::new(Limiter::new(LIMITED_SOURCES, sources)),
        })
    }

    pub(crate) fn now(&self) -> UnixTime {
        self.clock.now()
    }

    /// Whether a source address may send one request more. An IPv6 source is its /64.
    pub(crate) fn admits_source(&self, source: IpAddr) -> bool {
        let source = match source.to_canonical() {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits() & (u128::MAX << 64),
        };
        lock(&self.sources).take(&source, self.now())
    }

    /// Whether an identity may have one unanswered challenge more.
    pub(crate) fn admits_challenge(&self, user_name: &str) -> bool {
        lock(&self.challenges).take(limited_by(user_name), self.now())
    }

    /// A challenge of that identity was answered.
    pub(crate) fn challenge_answered(&self, user_name: &str) {
        lock(&self.challenges).give_back(limited_by(user_name), self.now());
    }

    /// A live token, from memory or else from the store.
    pub(crate) async fn token(&self, id: &TokenId, now: UnixTime) -> Result<LiveToken, Refusal> {
        if *id.domain() != self.token_domain {
            return Err(Refusal::UnknownToken);
        }
        // Whoever loads a token while others end some reads it once more.
        for _ in 0..4 {
            match self.table.find(id, now) {
                Found::Live(token) => return Ok(token),
                Found::Expired => return Err(Refusal::TokenExpired),
                Found::Absent => {}
            }
            let (kept, change) = match self.store.token(id.clone(), now).await {
                Ok(Kept::Live(kept, change)) => (kept, change),
                Ok(Kept::Expired) => return Err(Refusal::TokenExpired),
                Ok(Kept::Revoked) => return Err(Refusal::TokenRevoked),
                Ok(Kept::Unknown) => return Err(Refusal::UnknownToken),
                Err(error) => {
                    tracing::error!(%error, "the store cannot be read");
                    return Err(Refusal::StorageFailed);
                }
            };
            self.take_in(&kept)?;
            if self.following.began_after(change) {
                // Something ended meanwhile, perhaps this token, before it was here to be ended.
                self.table.end(id);
            }
        }
        Err(Refusal::Overloaded)
    }

    fn take_in(&self, kept: &KeptToken) -> Result<(), Refusal> {
        let Some(ks) = self.vault.unwrap_ks(&kept.id, &kept.wrapped_ks) else {
            tracing::error!(token = %kept.id, "a stored token does not open: altered, or of another KEK");
            return Err(Refusal::StorageFailed);
        };
        let taken = self.table.insert(&NewToken {
            id: &kept.id,
            identity: &kept.device,
            user_name: &kept.user_name,
            ks: &ks,
            facts: &kept.facts,
            rights: self.table.intern(kept.rights.clone()),
        });
        if let Err(error) = taken {
            // That another fetch took it in at the same moment is no error.
            tracing::debug!(token = %kept.id, %error, "token not taken in");
        }
        Ok(())
    }
}

/// An IMSI, the IMPI derived from it, and both with their kind named are one identity; so are two spellings of a realm.
fn limited_by(user_name: &str) -> &str {
    let value = IdentityKind::split(user_name).map_or(user_name, |(_, value)| value);
    match value.split_once('@') {
        Some((user, _)) if !user.is_empty() && user.bytes().all(|octet| octet.is_ascii_digit()) => user,
        _ => value,
    }
}

fn lock(limiter: &Mutex<Limiter>) -> std::sync::MutexGuard<'_, Limiter> {
    limiter.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_imsi_and_its_impi_share_a_limit() {
        assert_eq!(limited_by("001010000000001@ims.mnc001.mcc001.3gppnetwork.org"), "001010000000001");
        assert_eq!(limited_by("001010000000001"), "001010000000001");
        assert_eq!(limited_by("imsi:001010000000001"), "001010000000001");
        assert_eq!(limited_by("impi:001010000000001@x"), "001010000000001");
        assert_eq!(limited_by("alice@operator.example"), "alice@operator.example");
        assert_eq!(limited_by("x:1"), "x:1");
        assert_eq!(limited_by("@x"), "@x");
    }
}
