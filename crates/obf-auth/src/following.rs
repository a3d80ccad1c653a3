//! What happens to tokens, applied to this node's memory in the order of the store: what this node did, what other nodes
//! did, what the clock did.

use crate::{node::Node, sealing};
use obf_store::{
    StoreError,
    auth::{AuthStore, Change, TOKENS_OF_A_DEVICE},
};
use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

/// How often the store is looked at: what other nodes ended is ended here within 250 ms.
const POLL: Duration = Duration::from_millis(100);
/// How often expired tokens are erased from memory.
const ERASE: Duration = Duration::from_secs(1);
/// How often the store is swept.
const SWEEP: Duration = Duration::from_secs(5);
/// How long a change of our own may take to be applied before its maker stops waiting.
const SETTLE: Duration = Duration::from_secs(5);

/// How far this node has followed.
#[derive(Debug)]
pub(crate) struct Following {
    /// The last change whose application has begun.
    begun: AtomicI64,
    /// The last change that has been applied.
    applied: watch::Sender<i64>,
    /// The last notice there is for any application.
    notices: watch::Sender<i64>,
    kick: Notify,
}

impl Following {
    /// Nothing is in memory yet, so only what changes from now on matters.
    pub(crate) async fn from_now(store: &AuthStore) -> Result<Self, StoreError> {
        let last = store.last_change().await?;
        let notice = store.last_notice().await?;
        Ok(Self {
            begun: AtomicI64::new(last),
            applied: watch::Sender::new(last),
            notices: watch::Sender::new(notice),
            kick: Notify::new(),
        })
    }

    /// The last change whose application has begun.
    pub(crate) fn begun(&self) -> i64 {
        self.begun.load(Ordering::SeqCst)
    }

    /// Whether a change behind number `change` has been applied, or is being.
    pub(crate) fn began_after(&self, change: i64) -> bool {
        self.begun() > change
    }

    /// The number of the last notice, as it rises.
    pub(crate) fn notices(&self) -> watch::Receiver<i64> {
        self.notices.subscribe()
    }

    /// Waits until every change made so far has been applied to this node's memory.
    pub(crate) async fn settle(&self, store: &AuthStore) -> Result<(), StoreError> {
        let last = store.last_change().await?;
        self.kick.notify_one();
        let mut applied = self.applied.subscribe();
        let settled = applied.wait_for(|applied| *applied >= last);
        match tokio::time::timeout(SETTLE, settled).await {
            Ok(_) => Ok(()),
            Err(_) => Err(StoreError::Overloaded),
        }
    }

    /// Follows until it is dropped.
    pub(crate) async fn run(&self, node: &Node) {
        let (mut erased, mut swept, mut rotated) = (Instant::now(), Instant::now(), Instant::now());
        let mut swept_hourly = Instant::now();
        loop {
            if let Err(error) = self.catch_up(node).await {
                tracing::error!(%error, "changes cannot be read from the store");
            }
            let now = node.now();
            if erased.elapsed() >= ERASE {
                erased = Instant::now();
                node.table.erase_expired(now);
            }
            if rotated.elapsed() >= Duration::from_secs(sealing::LOOK) {
                rotated = Instant::now();
                if let Err(error) = node.sealing.refresh(now).await {
                    tracing::error!(%error, "sealing keys cannot be rotated");
                }
            }
            if swept.elapsed() >= SWEEP {
                swept = Instant::now();
                match node.store.sweep(now).await {
                    // There is more: go on with it at the next turn.
                    Ok(true) => swept -= SWEEP.min(swept.elapsed() + SWEEP),
                    Ok(false) => {}
                    Err(error) => tracing::error!(%error, "the store cannot be swept"),
                }
            }
            if swept_hourly.elapsed() >= Duration::from_secs(3600) {
                swept_hourly = Instant::now();
                if let Err(error) = node.store.sweep_hourly(now).await {
                    tracing::error!(%error, "the store cannot be swept");
                }
            }
            let _ = tokio::time::timeout(POLL, self.kick.notified()).await;
        }
    }

    async fn catch_up(&self, node: &Node) -> Result<(), StoreError> {
        loop {
            let after = self.begun();
            let changes = node.store.changes(after).await?;
            let Some((last, _)) = changes.last() else { break };
            let last = *last;
            self.begun.store(last, Ordering::SeqCst);
            for (_, change) in &changes {
                apply(node, change);
            }
            self.applied.send_replace(last);
        }
        let notice = node.store.last_notice().await?;
        self.notices.send_if_modified(|known| {
            let newer = notice > *known;
            *known = notice.max(*known);
            newer
        });
        Ok(())
    }
}

fn apply(node: &Node, change: &Change) {
    match change {
        Change::DeviceEnded { device, epoch } => {
            node.table.end_device(device, *epoch);
        }
        Change::TokenEnded { id } => {
            node.table.end(id);
        }
        Change::Superseded { device, by, until } => {
            // The store ends the oldest of too many; so does memory.
            if node.table.supersede(device, by, *until) > TOKENS_OF_A_DEVICE {
                node.table.keep_last(device, TOKENS_OF_A_DEVICE);
            }
        }
        Change::RightsChanged { device } => {
            // They are read again with their new rights when they are asked for.
            for id in node.table.of_device(device, node.now()) {
                node.table.end(&id);
            }
        }
    }
}
