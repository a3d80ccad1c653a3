//! What an Authentication Server asks of its store, and the engines that answer.

use super::{
    Bootstrap, Committed, Cursor, Followed, Lookup, Notice, NoticeCursor, PostgresTokens, RightsSet, Spent,
    SqliteTokens, StoredToken, TokenFilter, WrappedSealingKey,
};
use crate::{
    OpenError, Options, PostgresOptions, Statistics, StoreError,
    audit::{Act, AuditFilter, AuditRow, Verified},
};
use obf_token::TokenId;
use obf_types::{AppId, Epoch, GlobalIdentity, UnixTime};
use std::{fmt, future::Future, sync::Arc};

/// The operations of a store that the nodes of one Authentication Server share. Each happens as a whole or not at all,
/// and what it acknowledged outlives a crash of the node and of the store's own server. Of one device they happen one
/// after the other, whichever nodes ask; operations on different devices need not wait for each other.
///
/// Not an object: a boxed future for every bootstrap and every look would cost an allocation each. [`AuthStore`] tells
/// the engines apart instead.
pub trait TokenStore: Clone + fmt::Debug + Send + Sync + 'static {
    /// Commits a bootstrap: the challenge's RAND is spent and the token kept, or neither. Tokens that the device had live
    /// until [`Bootstrap::former_until`] at most from then on, and of more than [`super::TOKENS_OF_A_DEVICE`] the oldest end.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is kept then, or, if the connection to the store's server was lost, perhaps a token whose
    /// key nobody has.
    fn commit(&self, new: Arc<Bootstrap>) -> impl Future<Output = Result<Committed, StoreError>> + Send;

    /// Spends a challenge for a resynchronisation. `device` is whose challenge it is, and the epoch it was made under;
    /// `until` is when it is over.
    ///
    /// # Errors
    /// [`StoreError`]; it must not be used then.
    fn spend(
        &self,
        id: TokenId,
        device: Option<(GlobalIdentity, Epoch)>,
        until: UnixTime,
    ) -> impl Future<Output = Result<Spent, StoreError>> + Send;

    /// What is known of a token.
    ///
    /// # Errors
    /// [`StoreError`].
    fn token(&self, id: TokenId, now: UnixTime) -> impl Future<Output = Result<Lookup, StoreError>> + Send;

    /// Live tokens in the order of their ids, from behind `after`, at most `limit`; of one device all that it has.
    ///
    /// # Errors
    /// [`StoreError`].
    fn list(
        &self,
        filter: TokenFilter,
        after: Option<TokenId>,
        limit: u32,
        now: UnixTime,
    ) -> impl Future<Output = Result<Vec<StoredToken>, StoreError>> + Send;

    /// Remembers that an application outside the token's own rights fetches a key of it, so that it is told when the
    /// token ends. Those within are told anyway. False if the token has ended: then nobody would be told.
    ///
    /// # Errors
    /// [`StoreError`]; the key must not be given out then.
    fn fetched(&self, id: TokenId, app: AppId) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Ends every token of the devices bootstrapped under an epoch before the one stated with each, for good: a challenge
    /// sealed under an older one is not valid any more either. Leaves a notice for every application concerned.
    /// Idempotent. Returns how many tokens it ended.
    ///
    /// # Errors
    /// [`StoreError`]; nothing has ended then.
    fn end_devices(
        &self,
        devices: Vec<(GlobalIdentity, Epoch)>,
        now: UnixTime,
    ) -> impl Future<Output = Result<usize, StoreError>> + Send;

    /// Ends one token and leaves a notice for every application concerned; `false` if no such token lives.
    ///
    /// # Errors
    /// [`StoreError`]; it has not ended then.
    fn end_token(&self, id: TokenId, now: UnixTime) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Gives the devices' live tokens other rights, and leaves a notice for every application that stands with a device:
    /// it lost its right.
    ///
    /// # Errors
    /// [`StoreError`]; nothing has changed then.
    fn set_rights(
        &self,
        devices: Vec<(GlobalIdentity, Vec<AppId>)>,
        rights: Arc<RightsSet>,
        now: UnixTime,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Of these devices those whose live tokens may have given keys out, each with the applications that may have them:
    /// those with a right, and those that fetched one beyond. Each device once.
    ///
    /// # Errors
    /// [`StoreError`].
    fn apps_of_devices(
        &self,
        devices: Vec<GlobalIdentity>,
        now: UnixTime,
    ) -> impl Future<Output = Result<Vec<(GlobalIdentity, Vec<AppId>)>, StoreError>> + Send;

    /// The place behind everything that has happened.
    ///
    /// # Errors
    /// [`StoreError`].
    fn tip(&self) -> impl Future<Output = Result<Cursor, StoreError>> + Send;

    /// What happened behind `after`, at most 1,000 changes. Whatever was acknowledged before the call is among it, or
    /// among what [`Followed::more`] promises. None is left out, however late it was committed.
    ///
    /// # Errors
    /// [`StoreError`].
    fn follow(&self, after: Cursor) -> impl Future<Output = Result<Followed, StoreError>> + Send;

    /// Waits until another node says that it ended something; with an engine that cannot say so, for ever. What is said
    /// may be missed: [`TokenStore::follow`] is to be called now and then anyway.
    fn told(&self) -> impl Future<Output = ()> + Send;

    /// Notices for one application behind `after` whose tokens would still live, oldest first, at most `limit`. A notice
    /// never comes to stand before one that was read already.
    ///
    /// # Errors
    /// [`StoreError`].
    fn notices(
        &self,
        app: AppId,
        after: NoticeCursor,
        limit: u32,
        now: UnixTime,
    ) -> impl Future<Output = Result<Vec<Notice>, StoreError>> + Send;

    /// The last notice that this instance of the application has acknowledged, all before it included.
    ///
    /// # Errors
    /// [`StoreError`].
    fn acknowledged(
        &self,
        app: AppId,
        instance: String,
    ) -> impl Future<Output = Result<NoticeCursor, StoreError>> + Send;

    /// This instance of the application has acknowledged every notice up to `place`.
    ///
    /// # Errors
    /// [`StoreError`]; it will be sent them again.
    fn acknowledge(
        &self,
        app: AppId,
        instance: String,
        place: NoticeCursor,
        now: UnixTime,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// As [`TokenStore::end_token`], in one transaction with the row of the audit that says who did it and why. There is a
    /// row also where no such token lived: somebody did it all the same.
    ///
    /// # Errors
    /// [`StoreError`]; nothing has changed then.
    fn revoke_token(
        &self,
        id: TokenId,
        act: Act,
        now: UnixTime,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Up to `limit` rows of the audit behind the row of that number, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    fn audit_rows(
        &self,
        filter: AuditFilter,
        after: i64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<AuditRow>, StoreError>> + Send;

    /// Seals the rows of the audit that wait for it; says how many those were.
    ///
    /// # Errors
    /// [`StoreError`].
    fn seal_audit(&self, now: UnixTime) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Verifies the whole chain of the audit, and that the `noted` hash is in it.
    ///
    /// # Errors
    /// [`StoreError`].
    fn verify_audit(
        &self,
        noted: Option<[u8; 32]>,
    ) -> impl Future<Output = Result<Verified, StoreError>> + Send;

    /// The sealing keys that are valid at `now`, newest first. Those made `life` seconds ago or earlier are destroyed; if
    /// the newest is `rotate` seconds old, or there is none, `fresh` becomes the newest. Whichever node comes first
    /// rotates for all.
    ///
    /// # Errors
    /// [`StoreError`]; nothing has changed then.
    fn rotate_sealing_keys(
        &self,
        fresh: WrappedSealingKey,
        rotate: u64,
        life: u64,
    ) -> impl Future<Output = Result<Vec<WrappedSealingKey>, StoreError>> + Send;

    /// Erases, a portion of each kind: the keys of expired tokens; the ids of tokens expired [`super::REMEMBERED`] seconds
    /// ago; spent challenges, changes and notices that no longer matter. Returns whether anything was left over.
    ///
    /// # Errors
    /// [`StoreError`]; it is to be called again later.
    fn sweep(&self, now: UnixTime) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Forgets instances of applications not heard for 30 days, and what no token refers to. Once an hour.
    ///
    /// # Errors
    /// [`StoreError`]; it is to be called again later.
    fn sweep_hourly(&self, now: UnixTime) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// What this process asked of the engine so far.
    fn statistics(&self) -> Statistics;
}

/// The store of an Authentication Server, on whichever engine; clones are the same store.
#[derive(Clone, Debug)]
pub enum AuthStore {
    /// A file that the nodes of one host share.
    Sqlite(SqliteTokens),
    /// A server that nodes on any hosts share.
    Postgres(PostgresTokens),
}

impl AuthStore {
    /// Opens the SQLite file, creating or migrating it.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(options: &Options) -> Result<Self, OpenError> {
        Ok(Self::Sqlite(SqliteTokens::open(options)?))
    }

    /// Connects to a PostgreSQL database, creating or migrating the tables. Blocks: not for an async task.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn connect(options: &PostgresOptions) -> Result<Self, OpenError> {
        Ok(Self::Postgres(PostgresTokens::connect(options)?))
    }
}

/// Hands every operation to the engine that there is.
macro_rules! on_either_engine {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)*) => {
        impl TokenStore for AuthStore {
            $(async fn $name(&self, $($argument: $kind),*) -> $answer {
                match self {
                    Self::Sqlite(tokens) => tokens.$name($($argument),*).await,
                    Self::Postgres(tokens) => tokens.$name($($argument),*).await,
                }
            })*

            fn statistics(&self) -> Statistics {
                match self {
                    Self::Sqlite(tokens) => tokens.statistics(),
                    Self::Postgres(tokens) => tokens.statistics(),
                }
            }
        }
    };
}

on_either_engine! {
    commit(new: Arc<Bootstrap>) -> Result<Committed, StoreError>;
    spend(id: TokenId, device: Option<(GlobalIdentity, Epoch)>, until: UnixTime) -> Result<Spent, StoreError>;
    token(id: TokenId, now: UnixTime) -> Result<Lookup, StoreError>;
    list(filter: TokenFilter, after: Option<TokenId>, limit: u32, now: UnixTime) -> Result<Vec<StoredToken>, StoreError>;
    fetched(id: TokenId, app: AppId) -> Result<bool, StoreError>;
    end_devices(devices: Vec<(GlobalIdentity, Epoch)>, now: UnixTime) -> Result<usize, StoreError>;
    end_token(id: TokenId, now: UnixTime) -> Result<bool, StoreError>;
    set_rights(devices: Vec<(GlobalIdentity, Vec<AppId>)>, rights: Arc<RightsSet>, now: UnixTime) -> Result<(), StoreError>;
    apps_of_devices(devices: Vec<GlobalIdentity>, now: UnixTime) -> Result<Vec<(GlobalIdentity, Vec<AppId>)>, StoreError>;
    tip() -> Result<Cursor, StoreError>;
    follow(after: Cursor) -> Result<Followed, StoreError>;
    told() -> ();
    notices(app: AppId, after: NoticeCursor, limit: u32, now: UnixTime) -> Result<Vec<Notice>, StoreError>;
    acknowledged(app: AppId, instance: String) -> Result<NoticeCursor, StoreError>;
    acknowledge(app: AppId, instance: String, place: NoticeCursor, now: UnixTime) -> Result<(), StoreError>;
    revoke_token(id: TokenId, act: Act, now: UnixTime) -> Result<bool, StoreError>;
    audit_rows(filter: AuditFilter, after: i64, limit: u32) -> Result<Vec<AuditRow>, StoreError>;
    seal_audit(now: UnixTime) -> Result<u64, StoreError>;
    verify_audit(noted: Option<[u8; 32]>) -> Result<Verified, StoreError>;
    rotate_sealing_keys(fresh: WrappedSealingKey, rotate: u64, life: u64) -> Result<Vec<WrappedSealingKey>, StoreError>;
    sweep(now: UnixTime) -> Result<bool, StoreError>;
    sweep_hourly(now: UnixTime) -> Result<(), StoreError>;
}
