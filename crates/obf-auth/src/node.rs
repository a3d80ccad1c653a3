//! What the listeners of one node share.

use crate::{
    admission::Admission,
    applications::Applications,
    change_feed::ChangeFeed,
    config::{Checked, Config, read_key},
    error::StartError,
    random::draw,
    resource_server::ResourceServer,
    sealing::Sealing,
    store,
    tokens::{Found, LiveToken, NewToken, TokenTable},
    vault::Vault,
};
use obf_net::Clock;
use obf_rpb::{Authenticator, server::Settings};
use obf_rpr::Vendor;
use obf_store::auth::{AuthStore, Lookup, StoredToken, TokenStore};
use obf_token::TokenId;
use obf_types::{Domain, Refusal, Secret, UnixTime};
use std::{sync::Arc, time::Duration};

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
    pub(crate) vault: Arc<Vault>,
    pub(crate) sealing: Sealing,
    pub(crate) admission: Admission,
    pub(crate) applications: Applications,
    pub(crate) feed: ChangeFeed,
    pub(crate) resource_server: Arc<ResourceServer>,
    /// Seconds that a new bootstrap leaves the former token.
    pub(crate) former_token: u64,
}

impl Node {
    pub(crate) async fn open(
        config: &Config,
        checked: &Checked,
        clock: Arc<dyn Clock>,
        resource_server: ResourceServer,
    ) -> Result<Self, StartError> {
        let vault = Arc::new(Vault::new(&read_key("kek_file", &config.kek_file)?));
        let store = store::open(config).await?;
        let sealing = Sealing::open(store.clone(), Arc::clone(&vault), clock.now()).await?;
        let limits = &config.limits;
        let stale_after = Duration::from_secs(limits.stale_after.max(1).into());
        let feed = ChangeFeed::from_now(&store, stale_after).await?;
        let settings = Settings {
            challenge_life: limits.challenge_life,
            max_lifetime: checked.max_lifetime,
            offer_akav1: config.rpb.offer_akav1,
            ..Settings::new(checked.domain.clone())
        };
        let resource_server = Arc::new(resource_server);
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
            admission: Admission::new(limits),
            applications: Applications::of_server(Arc::clone(&resource_server)),
            feed,
            resource_server,
            former_token: limits.former_token.into(),
        })
    }

    pub(crate) fn now(&self) -> UnixTime {
        self.clock.now()
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
            let watch = self.feed.watch();
            let stored = match self.store.token(id.clone(), now).await {
                Ok(Lookup::Live(stored)) => stored,
                Ok(Lookup::Expired) => return Err(Refusal::TokenExpired),
                Ok(Lookup::Revoked) => return Err(Refusal::TokenRevoked),
                Ok(Lookup::Unknown) => return Err(Refusal::UnknownToken),
                Err(error) => {
                    tracing::error!(%error, "the store cannot be read");
                    return Err(Refusal::StorageFailed);
                }
            };
            self.take_in(&stored)?;
            if watch.saw(&stored.device, id) {
                // It may have been ended before it was here to be ended.
                self.table.end(id);
            }
        }
        Err(Refusal::Overloaded)
    }

    fn take_in(&self, stored: &StoredToken) -> Result<(), Refusal> {
        let Some(ks) = self.vault.unwrap_ks(&stored.id, &stored.wrapped_ks) else {
            tracing::error!(token = %stored.id, "a stored token does not open: altered, or of another KEK");
            return Err(Refusal::StorageFailed);
        };
        let taken = self.table.insert(&NewToken {
            id: &stored.id,
            identity: &stored.device,
            user_name: &stored.user_name,
            ks: &ks,
            facts: &stored.facts,
            rights: self.table.intern(stored.rights.clone()),
        });
        if let Err(error) = taken {
            // That another fetch took it in at the same moment is no error.
            tracing::debug!(token = %stored.id, %error, "token not taken in");
        }
        Ok(())
    }
}
