//! What the clock does to tokens, to what the store keeps and to sealing keys: beside the change feed, which must not wait
//! for it.

use crate::{
    sealing::{self, Sealing},
    tokens::Tokens,
};
use obf_net::Clock;
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
pub(crate) async fn run(tokens: &Tokens, sealing: &Sealing, clock: &dyn Clock) {
    tokio::join!(
        erase(tokens, clock),
        rotate(sealing, clock),
        sweep(tokens, clock),
        sweep_hourly(tokens, clock)
    );
}

async fn erase(tokens: &Tokens, clock: &dyn Clock) {
    loop {
        tokio::time::sleep(ERASE).await;
        tokens.erase_expired(clock.now());
    }
}

async fn rotate(sealing: &Sealing, clock: &dyn Clock) {
    loop {
        tokio::time::sleep(Duration::from_secs(sealing::LOOK)).await;
        if let Err(error) = sealing.refresh(clock.now()).await {
            tracing::error!(%error, "sealing keys cannot be rotated");
        }
    }
}

async fn sweep(tokens: &Tokens, clock: &dyn Clock) {
    let mut due = Instant::now() + SWEEP;
    loop {
        tokio::time::sleep_until(due).await;
        due = Instant::now() + SWEEP;
        match tokens.sweep(clock.now()).await {
            Ok(true) => due = Instant::now() + PAUSE,
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "the store cannot be swept"),
        }
    }
}

async fn sweep_hourly(tokens: &Tokens, clock: &dyn Clock) {
    loop {
        tokio::time::sleep(SELDOM).await;
        if let Err(error) = tokens.sweep_hourly(clock.now()).await {
            tracing::error!(%error, "the store cannot be swept");
        }
    }
}
