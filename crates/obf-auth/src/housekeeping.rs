//! What the clock does to tokens, and to what the store keeps: beside the change feed, which must not wait for it.

use crate::{node::Node, sealing};
use obf_store::auth::TokenStore;
use std::time::Duration;
use tokio::time::Instant;

/// How often expired tokens are erased from memory.
const ERASE: Duration = Duration::from_secs(1);
/// How often the store is swept.
const SWEEP: Duration = Duration::from_secs(5);
/// How long a sweep that left something over pauses for others.
const PAUSE: Duration = Duration::from_millis(100);
/// How often what is seldom forgotten is.
const SELDOM: Duration = Duration::from_secs(3600);

/// Keeps house until it is dropped.
pub(crate) async fn run(node: &Node) {
    tokio::join!(erase(node), rotate(node), sweep(node), sweep_hourly(node));
}

async fn erase(node: &Node) {
    loop {
        tokio::time::sleep(ERASE).await;
        node.table.erase_expired(node.now());
    }
}

async fn rotate(node: &Node) {
    loop {
        tokio::time::sleep(Duration::from_secs(sealing::LOOK)).await;
        if let Err(error) = node.sealing.refresh(node.now()).await {
            tracing::error!(%error, "sealing keys cannot be rotated");
        }
    }
}

async fn sweep(node: &Node) {
    let mut due = Instant::now() + SWEEP;
    loop {
        tokio::time::sleep_until(due).await;
        due = Instant::now() + SWEEP;
        match node.store.sweep(node.now()).await {
            Ok(true) => due = Instant::now() + PAUSE,
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "the store cannot be swept"),
        }
    }
}

async fn sweep_hourly(node: &Node) {
    loop {
        tokio::time::sleep(SELDOM).await;
        if let Err(error) = node.store.sweep_hourly(node.now()).await {
            tracing::error!(%error, "the store cannot be swept");
        }
    }
}
