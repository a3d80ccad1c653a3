//! How fast somebody may go on: so many at once, then so many a second, each waiting for its turn.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// A pace (the generic cell rate algorithm).
#[derive(Debug)]
pub(crate) struct Pace {
    interval: Duration,
    burst: u32,
    /// When the next would be due at an even pace.
    due: Mutex<Option<Instant>>,
}

impl Pace {
    /// What an Authentication Server may tell: a fleet's worth at once, then 5,000 a second.
    pub(crate) fn notices() -> Self {
        Self { interval: Duration::from_micros(200), burst: 10_000, due: Mutex::default() }
    }

    /// Resolves when it is the caller's turn: at once within the burst.
    pub(crate) async fn turn(&self) {
        if let Some(at) = self.take(Instant::now()) {
            tokio::time::sleep_until(at).await;
        }
    }

    /// When the caller's turn is, unless it is now.
    fn take(&self, now: Instant) -> Option<Instant> {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = due.map_or(now, |due| due.max(now));
        *due = Some(mine + self.interval);
        let early = self.interval * self.burst;
        (mine > now + early).then(|| mine - early)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_at_once_and_the_rest_at_an_even_pace() {
        let pace = Pace { interval: Duration::from_millis(10), burst: 3, due: Mutex::default() };
        let now = Instant::now();
        for _ in 0..4 {
            assert_eq!(pace.take(now), None);
        }
        assert_eq!(pace.take(now), Some(now + Duration::from_millis(10)));
        assert_eq!(pace.take(now), Some(now + Duration::from_millis(20)));
        // Whoever pauses has its burst again.
        let later = now + Duration::from_secs(1);
        for _ in 0..4 {
            assert_eq!(pace.take(later), None);
        }
        assert!(pace.take(later).is_some());
    }
}
