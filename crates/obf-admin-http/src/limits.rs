//! How many requests an administrator, and a stranger, may make.

use obf_net::{Rate, RateLimiter};
use std::{
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// Administrators, or sources, whose requests are counted at once.
const KEYS: usize = 10_000;

/// A bucket for each administrator or source.
#[derive(Debug)]
pub struct Limiter {
    buckets: Mutex<RateLimiter>,
    begun: Instant,
}

impl Limiter {
    /// `per_second` requests, and `seconds` times as many at once.
    pub fn new(per_second: u32, seconds: u32) -> Self {
        let rate = Rate { burst: per_second.saturating_mul(seconds), ticks: seconds.saturating_mul(1000) };
        Self { buckets: Mutex::new(RateLimiter::new(KEYS, rate)), begun: Instant::now() }
    }

    /// Takes one.
    ///
    /// # Errors
    /// None is left: the seconds until there is one, at least 1.
    pub fn take(&self, key: &(impl Hash + ?Sized), now: Instant) -> Result<(), u64> {
        let taken = self.with(|buckets| buckets.take(key, self.ticks(now)));
        taken.map_err(|milliseconds| milliseconds.div_ceil(1000))
    }

    /// Gives back one that was taken.
    pub fn give_back(&self, key: &(impl Hash + ?Sized), now: Instant) {
        self.with(|buckets| buckets.give_back(key, self.ticks(now)));
    }

    /// Milliseconds since the limiter was made: a clock that is set changes no limit.
    fn ticks(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.begun).as_millis().try_into().unwrap_or(u64::MAX)
    }

    fn with<T>(&self, act: impl FnOnce(&mut RateLimiter) -> T) -> T {
        // Buckets are whole between the calls of their methods, so a poisoned lock is used all the same.
        act(&mut self.buckets.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let limiter = Limiter::new(2, 2);
        let start = limiter.begun;
        for _ in 0..4 {
            assert_eq!(limiter.take("a", start), Ok(()));
        }
        assert_eq!(limiter.take("a", start), Err(1));
        assert_eq!(limiter.take("b", start), Ok(()), "another has its own");
        assert_eq!(limiter.take("a", start + Duration::from_millis(600)), Ok(()));
        assert_eq!(limiter.take("a", start + Duration::from_millis(700)), Err(1));
        for _ in 0..4 {
            assert_eq!(limiter.take("a", start + Duration::from_secs(60)), Ok(()));
        }
        assert_eq!(limiter.take("a", start + Duration::from_secs(60)), Err(1));
        limiter.give_back("a", start + Duration::from_secs(60));
        assert_eq!(limiter.take("a", start + Duration::from_secs(60)), Ok(()));
    }

    #[test]
    fn seconds_until_the_next_are_rounded_up() {
        let limiter = Limiter::new(1, 1);
        let start = limiter.begun;
        assert_eq!(limiter.take("a", start), Ok(()));
        assert_eq!(limiter.take("a", start + Duration::from_millis(1)), Err(1));
        assert_eq!(limiter.take("a", start + Duration::from_millis(999)), Err(1));
        assert_eq!(limiter.take("a", start + Duration::from_millis(1000)), Ok(()));
    }
}
