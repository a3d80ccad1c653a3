//! The life of tokens: committed by a bootstrap, found by a fetch, ended by whoever may. The store has them durably and for
//! all nodes; memory has those of late, Ks wrapped; the change feed keeps memory to what the store says.

use crate::{
    change_feed::ChangeFeed,
    random::draw,
    table::{Found, InsertError, LiveToken, NewToken, TokenTable},
    vault::Vault,
    watches::Watch,
};
use obf_rpb::server::{self, CommitAnswer, SpendAnswer};
use obf_store::{
    StoreError,
    audit::Act,
    auth::{
        AuthStore, Bootstrap, Committed, Lookup, Notice, NoticeCursor, RightsSet, Spent, StoredToken,
        TokenFilter, TokenStore,
    },
};
use obf_token::{Ks, TokenFacts, TokenId};
use obf_types::{AppId, Domain, Epoch, GlobalIdentity, Refusal, Secret, UnixTime};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// How often a token is read again that others are ending meanwhile.
const READS: usize = 4;

/// The tokens of this node's deployment.
#[derive(Debug)]
pub(crate) struct Tokens {
    store: AuthStore,
    table: TokenTable,
    vault: Arc<Vault>,
    feed: ChangeFeed,
    /// The Authentication Server's domain.
    domain: Domain,
    /// Seconds that a new bootstrap leaves the former token.
    former_token: u64,
}

/// The rights of a token, and when the Resource Server said so.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct GivenRights {
    pub(crate) said_at: UnixTime,
    pub(crate) rights: RightsSet,
}

impl Tokens {
    /// The tokens in that store; nothing is issued when it was not heard for `stale_after`.
    pub(crate) async fn open(
        store: AuthStore,
        vault: Arc<Vault>,
        domain: Domain,
        stale_after: Duration,
        former_token: u64,
    ) -> Result<Self, StoreError> {
        let feed = ChangeFeed::from_now(&store, stale_after).await?;
        let table = TokenTable::new(Vec::new(), &Secret::new(draw()));
        Ok(Self { store, table, vault, feed, domain, former_token })
    }

    /// Tokens of these domains are served from now on, beside those served before.
    pub(crate) fn serve(&self, domain: &Domain) {
        self.table.serve(domain);
    }

    /// Whether the store was heard lately. If not, what memory says is worth nothing: another node may have ended it.
    pub(crate) fn is_fresh(&self) -> bool {
        self.feed.is_fresh()
    }

    /// Notes what ends from now on; to be asked for before a token is, by whoever gives something out for it later.
    pub(crate) fn watch(&self) -> Watch<'_> {
        self.feed.watch()
    }

    /// A live token, from memory or else from the store.
    pub(crate) async fn live(&self, id: &TokenId, now: UnixTime) -> Result<LiveToken, Refusal> {
        for _ in 0..READS {
            match self.table.find(id, now) {
                Found::Live(token) => return Ok(token),
                Found::Expired => return Err(Refusal::TokenExpired),
                Found::Absent => {}
            }
            // Before the store is asked: what ends between its answer and memory is noted by the watch.
            let watch = self.feed.watch();
            let stored = match self.store.token(id.clone(), now).await {
                Ok(Lookup::Live(stored)) => stored,
                Ok(Lookup::Expired) => return Err(Refusal::TokenExpired),
                Ok(Lookup::Revoked) => return Err(Refusal::TokenRevoked),
                Ok(Lookup::Unknown) => return Err(Refusal::UnknownToken),
                Err(error) => return Err(failed(&error, "the store cannot be read")),
            };
            let Some(ks) = self.vault.unwrap_ks(&stored.id, &stored.wrapped_ks) else {
                tracing::error!(token = %stored.id, "a stored token does not open: altered, or of another KEK");
                return Err(Refusal::StorageFailed);
            };
            self.take_in(
                &NewToken {
                    id: &stored.id,
                    identity: &stored.device,
                    user_name: &stored.user_name,
                    ks: &ks,
                    facts: &stored.facts,
                    rights: self.table.intern(stored.rights.clone()),
                },
                &watch,
            );
        }
        // Others end it, or shorten it, again and again just now.
        Err(Refusal::Overloaded)
    }

    /// Opens a token's Ks, for one derivation.
    pub(crate) fn ks(&self, token: &LiveToken) -> Option<Ks> {
        self.table.ks(token)
    }

    /// Commits a bootstrap: its challenge is spent and its token there, on every node, or neither.
    ///
    /// If this is dropped halfway (the device hung up), the token may be in the store and not in memory, where a fetch would bring it;
    /// the device, which never saw the `200`, bootstraps again.
    pub(crate) async fn commit(&self, token: &server::NewToken, given: GivenRights) -> CommitAnswer {
        let bootstrap = Arc::new(Bootstrap {
            id: token.id.clone(),
            device: token.identity.clone(),
            user_name: token.username.as_bytes().to_vec(),
            // Its counter is chosen by the store.
            facts: TokenFacts { rights_at: given.said_at, ..token.facts },
            wrapped_ks: self.vault.wrap_ks(&token.id, &token.ks),
            rights: self.table.intern(given.rights),
            former_until: UnixTime(token.facts.bootstrapped_at.0.saturating_add(self.former_token)),
        });
        // Before the commit: what ends the token between that and memory is noted by the watch.
        let watch = self.feed.watch();
        match self.store.commit(Arc::clone(&bootstrap)).await {
            Ok(Committed::Done { counter }) => {
                self.take_in(
                    &NewToken {
                        id: &bootstrap.id,
                        identity: &bootstrap.device,
                        user_name: &bootstrap.user_name,
                        ks: &token.ks,
                        facts: &TokenFacts { counter, ..bootstrap.facts },
                        rights: Arc::clone(&bootstrap.rights),
                    },
                    &watch,
                );
                CommitAnswer::Committed { counter }
            }
            Ok(Committed::AlreadyUsed) => CommitAnswer::Used,
            Ok(Committed::Revoked) => CommitAnswer::Revoked,
            Ok(Committed::BelowMinimum { .. }) => CommitAnswer::BelowMinimum,
            Err(error) => {
                tracing::error!(%error, "a token cannot be kept");
                CommitAnswer::Failed
            }
        }
    }

    /// Spends a challenge for a resynchronisation.
    pub(crate) async fn spend(&self, spend: server::Spend) -> SpendAnswer {
        // A RAND is spent once, whichever Resource Server it came from: the store goes by it alone.
        let id = TokenId::new(spend.rand, self.domain.clone());
        let device = spend.identity.map(|device| (device, spend.epoch));
        match self.store.spend(id, device, spend.until).await {
            Ok(Spent::Fresh) => SpendAnswer::Fresh,
            Ok(Spent::AlreadyUsed) => SpendAnswer::Used,
            Ok(Spent::Revoked) => SpendAnswer::Revoked,
            Err(error) => {
                tracing::error!(%error, "a challenge cannot be spent");
                SpendAnswer::Failed
            }
        }
    }

    /// Remembers that an application outside the token's own rights gets a key of it: it is to be told when that ends.
    pub(crate) async fn note_fetch(&self, id: &TokenId, app: &AppId) -> Result<(), Refusal> {
        match self.store.fetched(id.clone(), app.clone()).await {
            Ok(true) => Ok(()),
            // Another node ended it, and this one has not heard of it yet: nobody would tell this application.
            Ok(false) => Err(Refusal::TokenRevoked),
            Err(error) => Err(failed(&error, "a fetch cannot be recorded")),
        }
    }

    /// Ends one token for an administrator, what was done in the audit with it; `false` if none of that id lived. Gone from
    /// this node's memory when [`Tokens::settle`] returns.
    pub(crate) async fn revoke(&self, id: &TokenId, act: Act, now: UnixTime) -> Result<bool, StoreError> {
        self.store.revoke_token(id.clone(), act, now).await
    }

    /// Ends the tokens of devices from before the epoch with each; returns how many.
    pub(crate) async fn end_devices(
        &self,
        devices: Vec<(GlobalIdentity, Epoch)>,
        now: UnixTime,
    ) -> Result<usize, StoreError> {
        self.store.end_devices(devices, now).await
    }

    /// Ends the tokens of a device that are of one domain; returns how many.
    pub(crate) async fn end_of_domain(
        &self,
        device: &GlobalIdentity,
        domain: &Domain,
        now: UnixTime,
    ) -> Result<usize, StoreError> {
        let of_device = TokenFilter { device: Some(device.clone()), ..TokenFilter::default() };
        let mut ended = 0;
        for token in self.store.list(of_device, None, u32::MAX, now).await? {
            if token.id.domain() == domain && self.store.end_token(token.id, now).await? {
                ended += 1;
            }
        }
        Ok(ended)
    }

    /// Of these devices those whose live tokens may have given keys out, with the applications that may have them.
    pub(crate) async fn holders(
        &self,
        devices: Vec<GlobalIdentity>,
        now: UnixTime,
    ) -> Result<Vec<(GlobalIdentity, Vec<AppId>)>, StoreError> {
        self.store.apps_of_devices(devices, now).await
    }

    /// Gives the devices' live tokens other rights, and leaves a notice for each application that stands with a device.
    pub(crate) async fn set_rights(
        &self,
        devices: Vec<(GlobalIdentity, Vec<AppId>)>,
        rights: RightsSet,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        self.store.set_rights(devices, Arc::new(rights), now).await
    }

    /// Waits until every change made so far has been applied to this node's memory.
    pub(crate) async fn settle(&self) -> Result<(), StoreError> {
        self.feed.settle().await
    }

    /// What the store knows of a token.
    pub(crate) async fn lookup(&self, id: &TokenId, now: UnixTime) -> Result<Lookup, StoreError> {
        self.store.token(id.clone(), now).await
    }

    /// Live tokens in the order of their ids, from behind `after`, at most `limit`.
    pub(crate) async fn list(
        &self,
        filter: TokenFilter,
        after: Option<TokenId>,
        limit: u32,
        now: UnixTime,
    ) -> Result<Vec<StoredToken>, StoreError> {
        self.store.list(filter, after, limit, now).await
    }

    /// Rises when notices for applications may have been stored.
    pub(crate) fn follow(&self) -> watch::Receiver<u64> {
        self.feed.notices()
    }

    /// Notices for an application behind `after` whose tokens would still live, oldest first, at most `limit`.
    pub(crate) async fn notices(
        &self,
        app: &AppId,
        after: NoticeCursor,
        limit: u32,
        now: UnixTime,
    ) -> Result<Vec<Notice>, StoreError> {
        self.store.notices(app.clone(), after, limit, now).await
    }

    /// Up to where an instance of an application has acknowledged its notices.
    pub(crate) async fn acknowledged(&self, app: &AppId, instance: &str) -> Result<NoticeCursor, StoreError> {
        self.store.acknowledged(app.clone(), instance.to_owned()).await
    }

    /// An instance of an application has acknowledged its notices up to `place`.
    pub(crate) async fn acknowledge(
        &self,
        app: &AppId,
        instance: &str,
        place: NoticeCursor,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        self.store.acknowledge(app.clone(), instance.to_owned(), place, now).await
    }

    /// Keeps memory to what the store says, until it is dropped.
    pub(crate) async fn run(&self, now: impl Fn() -> UnixTime) {
        self.feed.run(&self.store, &self.table, now).await;
    }

    /// Erases from memory what has expired.
    pub(crate) fn erase_expired(&self, now: UnixTime) {
        self.table.erase_expired(now);
    }

    /// Sweeps the store of what is over; whether there is more.
    pub(crate) async fn sweep(&self, now: UnixTime) -> Result<bool, StoreError> {
        self.store.sweep(now).await
    }

    /// Sweeps the store of what lives for hours.
    pub(crate) async fn sweep_hourly(&self, now: UnixTime) -> Result<(), StoreError> {
        self.store.sweep_hourly(now).await
    }

    /// Takes a token that is in the store into memory as well. If the feed began something about it since `watch`, it may
    /// have been ended before it was here to be ended, and goes again: who asks for it finds out from the store.
    fn take_in(&self, token: &NewToken<'_>, watch: &Watch<'_>) {
        match self.table.insert(token) {
            // Another fetch took it in at the same moment.
            Ok(()) | Err(InsertError::Duplicate) => {}
            Err(error) => tracing::warn!(token = %token.id, %error, "token not taken into memory"),
        }
        if watch.saw(token.identity, token.id) {
            self.table.end(token.id);
        }
    }
}

fn failed(error: &StoreError, what: &str) -> Refusal {
    tracing::error!(%error, "{what}");
    Refusal::StorageFailed
}
