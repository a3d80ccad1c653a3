//! What the two SQL engines share: every operation that is not on the way of each bootstrap is written once, over the
//! tables and views that both have. An engine brings what it says or keeps differently: [`Tables`].

use super::{
    Bootstrap, Committed, Cursor, Followed, Lookup, Notice, NoticeCursor, RightsSet, Spent, StoredToken,
    TokenFilter, TokenStore, WrappedSealingKey, keys, list, notices, revoke, sweep,
};
use crate::{
    Engine, Statistics, StoreError,
    audit::{self, Act, AuditFilter, AuditRow, Chain, Verified},
    sql::Session,
};
use obf_token::TokenId;
use obf_types::{AppId, Epoch, GlobalIdentity, UnixTime};
use std::{fmt, future::Future, sync::Arc};

/// An engine's own tables. All have, by these names and with these columns, `devices (device, epoch, counter, minimum)`,
/// `tokens (seq, rand, domain, device, expires, ks, revoked)`, `fetched`, `changes`, `notices`, `cursors`,
/// `sealing_keys`, `audit`, `audit_seals`, and the views `stored_tokens` (a token with its id and rights in octets) and
/// `token_apps (token, app)`.
pub trait Tables: Clone + fmt::Debug + Send + Sync + 'static {
    /// Says of a row of `stored_tokens` whether it has a right for application `?4`.
    const HAS_APP: &'static str;
    /// Raises the epoch of device `?1` to `?2`, making its row if there is none; changes no row whose epoch is not lower.
    const RAISE_EPOCH: &'static str;
    /// What is erased, each statement given a time and how many rows at most.
    const SWEEPS: &'static [sweep::Sweep];
    /// What is erased once an hour.
    const HOURLY: &'static [&'static str];

    /// Where the tables are.
    fn engine(&self) -> &Engine;

    /// [`TokenStore::commit`].
    fn commit_bootstrap(
        &self,
        new: Arc<Bootstrap>,
    ) -> impl Future<Output = Result<Committed, StoreError>> + Send;

    /// [`TokenStore::spend`].
    fn spend_challenge(
        &self,
        id: TokenId,
        device: Option<(GlobalIdentity, Epoch)>,
        until: UnixTime,
    ) -> impl Future<Output = Result<Spent, StoreError>> + Send;

    /// [`TokenStore::fetched`].
    fn record_fetch(&self, id: TokenId, app: AppId) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// [`TokenStore::tip`].
    fn feed_tip(&self) -> impl Future<Output = Result<Cursor, StoreError>> + Send;

    /// [`TokenStore::follow`].
    fn feed_behind(&self, after: Cursor) -> impl Future<Output = Result<Followed, StoreError>> + Send;

    /// [`TokenStore::told`].
    fn feed_told(&self) -> impl Future<Output = ()> + Send;

    /// The device's live tokens of an epoch before `epoch`, oldest first.
    fn live_tokens(
        s: &mut dyn Session,
        device: &[u8],
        epoch: u64,
        now: UnixTime,
    ) -> Result<Vec<i64>, StoreError>;

    /// Gives these tokens those rights.
    fn give_rights(s: &mut dyn Session, tokens: &[i64], rights: &RightsSet) -> Result<(), StoreError>;
}

impl<T: Tables> TokenStore for T {
    async fn commit(&self, new: Arc<Bootstrap>) -> Result<Committed, StoreError> {
        self.commit_bootstrap(new).await
    }

    async fn spend(
        &self,
        id: TokenId,
        device: Option<(GlobalIdentity, Epoch)>,
        until: UnixTime,
    ) -> Result<Spent, StoreError> {
        self.spend_challenge(id, device, until).await
    }

    async fn token(&self, id: TokenId, now: UnixTime) -> Result<Lookup, StoreError> {
        self.engine().read_alone(move |s| list::find(s, &id, now)).await
    }

    async fn list(
        &self,
        filter: TokenFilter,
        after: Option<TokenId>,
        limit: u32,
        now: UnixTime,
    ) -> Result<Vec<StoredToken>, StoreError> {
        self.engine().read(move |s| list::list::<T>(s, &filter, after.as_ref(), limit, now)).await
    }

    async fn fetched(&self, id: TokenId, app: AppId) -> Result<bool, StoreError> {
        self.record_fetch(id, app).await
    }

    async fn end_devices(
        &self,
        devices: Vec<(GlobalIdentity, Epoch)>,
        now: UnixTime,
    ) -> Result<usize, StoreError> {
        self.engine().write(move |s| revoke::end_devices::<T>(s, &devices, now)).await
    }

    async fn end_token(&self, id: TokenId, now: UnixTime) -> Result<bool, StoreError> {
        self.engine().write(move |s| revoke::end_token(s, &id, now)).await
    }

    async fn set_rights(
        &self,
        devices: Vec<(GlobalIdentity, Vec<AppId>)>,
        rights: Arc<RightsSet>,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        self.engine().write(move |s| revoke::set_rights::<T>(s, &devices, &rights, now)).await
    }

    async fn apps_of_devices(
        &self,
        devices: Vec<GlobalIdentity>,
        now: UnixTime,
    ) -> Result<Vec<(GlobalIdentity, Vec<AppId>)>, StoreError> {
        self.engine().read(move |s| revoke::apps_of_devices::<T>(s, devices, now)).await
    }

    async fn tip(&self) -> Result<Cursor, StoreError> {
        self.feed_tip().await
    }

    async fn follow(&self, after: Cursor) -> Result<Followed, StoreError> {
        self.feed_behind(after).await
    }

    async fn told(&self) {
        self.feed_told().await;
    }

    async fn notices(
        &self,
        app: AppId,
        after: NoticeCursor,
        limit: u32,
        now: UnixTime,
    ) -> Result<Vec<Notice>, StoreError> {
        self.engine().read_alone(move |s| notices::behind(s, &app, after, limit, now)).await
    }

    async fn acknowledged(&self, app: AppId, instance: String) -> Result<NoticeCursor, StoreError> {
        self.engine().read_alone(move |s| notices::acknowledged(s, &app, &instance)).await
    }

    async fn acknowledge(
        &self,
        app: AppId,
        instance: String,
        place: NoticeCursor,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        self.engine().write_alone(move |s| notices::acknowledge(s, &app, &instance, place, now)).await
    }

    async fn revoke_token(&self, id: TokenId, act: Act, now: UnixTime) -> Result<bool, StoreError> {
        self.engine()
            .write(move |s| {
                audit::append_act(s, now, &act)?;
                revoke::end_token(s, &id, now)
            })
            .await
    }

    async fn audit_rows(
        &self,
        filter: AuditFilter,
        after: i64,
        limit: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        Chain(self.engine()).audit_rows(filter, after, limit).await
    }

    async fn seal_audit(&self, now: UnixTime) -> Result<u64, StoreError> {
        Chain(self.engine()).seal_audit(now).await
    }

    async fn verify_audit(&self, noted: Option<[u8; 32]>) -> Result<Verified, StoreError> {
        Chain(self.engine()).verify_audit(noted).await
    }

    async fn rotate_sealing_keys(
        &self,
        fresh: WrappedSealingKey,
        rotate: u64,
        life: u64,
    ) -> Result<Vec<WrappedSealingKey>, StoreError> {
        self.engine().write(move |s| keys::rotate(s, &fresh, rotate, life)).await
    }

    async fn sweep(&self, now: UnixTime) -> Result<bool, StoreError> {
        self.engine().write(move |s| sweep::sweep(s, T::SWEEPS, now)).await
    }

    async fn sweep_hourly(&self, now: UnixTime) -> Result<(), StoreError> {
        self.engine().write(move |s| sweep::hourly(s, T::HOURLY, now)).await
    }

    fn statistics(&self) -> Statistics {
        self.engine().statistics()
    }
}
