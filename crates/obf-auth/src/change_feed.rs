//! What happens to tokens, applied to this node's memory in the order of the store: what this node did, what other nodes
//! did, what the clock did.

use crate::{
    table::TokenTable,
    watches::{Watch, Watches},
};
use obf_store::{
    StoreError,
    auth::{AuthStore, Change, Cursor, TOKENS_OF_A_DEVICE, TokenStore},
};
use obf_types::UnixTime;
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

/// How often the store is looked at, whether somebody told of a change or not: what other nodes ended is ended here within
/// 250 ms.
const POLL: Duration = Duration::from_millis(100);
/// How long a change of our own may take to be applied before its maker stops waiting.
const SETTLE: Duration = Duration::from_secs(5);

/// The store's changes as this node hears them, and how far it has applied them. Its locks, those of its watches and those of
/// the table's shards are each taken alone, so they have no order.
#[derive(Debug)]
pub(crate) struct ChangeFeed {
    /// Behind what has been applied. Only [`ChangeFeed::run`] moves it.
    cursor: Mutex<Cursor>,
    watches: Watches,
    /// The number of the last look at the store that has begun …
    begun: AtomicU64,
    /// … and of the last whose changes are applied.
    done: watch::Sender<u64>,
    /// Rises when notices for applications may have been stored.
    notices: watch::Sender<u64>,
    kick: Notify,
    /// When the last look that succeeded began.
    heard: Mutex<Instant>,
    stale_after: Duration,
}

impl ChangeFeed {
    /// Nothing is in memory yet, so only what changes from now on matters. A store that was not heard for `stale_after`
    /// may have ended anything meanwhile.
    pub(crate) async fn from_now(store: &AuthStore, stale_after: Duration) -> Result<Self, StoreError> {
        let heard = Instant::now();
        Ok(Self {
            cursor: Mutex::new(store.tip().await?),
            watches: Watches::default(),
            begun: AtomicU64::new(0),
            done: watch::Sender::new(0),
            notices: watch::Sender::new(0),
            kick: Notify::new(),
            heard: Mutex::new(heard),
            stale_after,
        })
    }

    /// Watches what is begun while a token is carried from the store to memory; to be asked for before the store is.
    pub(crate) fn watch(&self) -> Watch<'_> {
        self.watches.watch()
    }

    /// Rises when notices for applications may have been stored.
    pub(crate) fn notices(&self) -> watch::Receiver<u64> {
        self.notices.subscribe()
    }

    /// Whether the store was heard lately. If not, what memory says is worth nothing: another node may have ended it.
    pub(crate) fn is_fresh(&self) -> bool {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).elapsed() < self.stale_after
    }

    /// Waits until every change made so far has been applied to this node's memory.
    pub(crate) async fn settle(&self) -> Result<(), StoreError> {
        // The look that is under way may have begun before the change was made; the next one sees it. A kick while a look
        // is under way is kept by `Notify`, so the next one begins at once.
        let next = self.begun.load(Ordering::SeqCst) + 1;
        self.kick.notify_one();
        let mut done = self.done.subscribe();
        match tokio::time::timeout(SETTLE, done.wait_for(|done| *done >= next)).await {
            Ok(_) => Ok(()),
            Err(_) => Err(StoreError::Overloaded),
        }
    }

    /// Follows until it is dropped: applies to memory what the store says. Only one may at a time. Cut off anywhere, what was
    /// not applied comes again.
    pub(crate) async fn run(&self, store: &AuthStore, table: &TokenTable, now: impl Fn() -> UnixTime) {
        let mut deaf = false;
        loop {
            match self.catch_up(store, table, &now).await {
                Ok(()) if deaf => {
                    deaf = false;
                    tracing::info!("the store is heard again");
                }
                Ok(()) => {}
                Err(error) if !deaf => {
                    deaf = true;
                    let seconds = self.stale_after.as_secs();
                    tracing::error!(%error, "the store cannot be heard: look whether it runs and can be reached (auth.database); nothing is issued from {seconds} s on until it is");
                }
                // Said once.
                Err(_) => {}
            }
            tokio::select! {
                () = self.kick.notified() => {}
                () = store.told() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    async fn catch_up(
        &self,
        store: &AuthStore,
        table: &TokenTable,
        now: &impl Fn() -> UnixTime,
    ) -> Result<(), StoreError> {
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        loop {
            let (began, after) = (Instant::now(), self.cursor().clone());
            let followed = store.follow(after).await?;
            // When the look began, not when it ended: what was ended meanwhile may be missing from it.
            *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = began;
            let changes: Arc<[Change]> = followed.changes.into();
            // Noted first, applied then, behind the cursor last: a token that comes to memory in between is forgotten by
            // whoever carries it, and should this be cut off, the changes come again.
            self.watches.note(&changes);
            changes.iter().for_each(|change| apply(table, change, now()));
            *self.cursor() = followed.cursor;
            if changes.iter().any(Change::leaves_notices) {
                self.notices.send_modify(|count| *count += 1);
            }
            if !followed.more {
                break;
            }
        }
        self.done.send_replace(number);
        Ok(())
    }

    fn cursor(&self) -> std::sync::MutexGuard<'_, Cursor> {
        self.cursor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn apply(table: &TokenTable, change: &Change, now: UnixTime) {
    match change {
        Change::DeviceEnded { device, epoch } => {
            table.end_device(device, *epoch);
        }
        Change::TokenEnded { id, .. } => {
            table.end(id);
        }
        Change::Superseded { device, counter, until, .. } => {
            // The store ends the oldest of too many; so does memory.
            if table.supersede(device, *counter, *until) > TOKENS_OF_A_DEVICE {
                table.keep_last(device, TOKENS_OF_A_DEVICE);
            }
        }
        Change::RightsChanged { device } => {
            // They are read again with their new rights when they are asked for.
            for id in table.of_device(device, now) {
                table.end(&id);
            }
        }
    }
}
