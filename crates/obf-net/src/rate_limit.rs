//! Token buckets in a fixed amount of memory: how many unanswered challenges an identity may have, how many requests a
//! source or an administrator may send (WIRES "SQN authority"). Pure: the time is a parameter, in ticks of whatever
//! length the caller counts in.

use std::hash::{BuildHasher, Hash, RandomState};

/// Cells that one key may stand in.
const WAYS: usize = 8;

/// How much is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// So many at once, at least 1.
    pub burst: u32,
    /// Ticks in which an empty bucket fills up, at least 1.
    pub ticks: u32,
}

/// Buckets for a fixed number of keys. A key that is not remembered has a full bucket. When there are more keys than
/// cells, the fullest bucket among eight is forgotten: those who took most are remembered longest, and which eight
/// meet is decided by a hash that nobody outside can foresee.
#[derive(Debug)]
pub struct RateLimiter {
    cells: Box<[Cell]>,
    rate: Rate,
    seed: RandomState,
}

/// The bucket of the key with that fingerprint; it is `level` at `at`. Levels are in parts of 1/`ticks` of a request, so
/// that refilling is exact: `burst` parts a tick.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    fingerprint: u64,
    level: u64,
    at: u64,
}

impl RateLimiter {
    /// Buckets for up to `keys` keys (rounded up to a multiple of 8, at least 8), 24 octets each, all full.
    pub fn new(keys: usize, rate: Rate) -> Self {
        let rate = Rate { burst: rate.burst.max(1), ticks: rate.ticks.max(1) };
        let cells = keys.max(1).div_ceil(WAYS) * WAYS;
        Self { cells: vec![Cell::default(); cells].into(), rate, seed: RandomState::new() }
    }

    /// Takes one from a key's bucket.
    ///
    /// # Errors
    /// It is empty: the ticks until there is one, at least 1.
    pub fn take<K: Hash + ?Sized>(&mut self, key: &K, now: u64) -> Result<(), u64> {
        let (one, burst) = (u64::from(self.rate.ticks), u64::from(self.rate.burst));
        let cell = self.cell(key, now);
        match cell.level.checked_sub(one) {
            Some(rest) => {
                cell.level = rest;
                Ok(())
            }
            None => Err((one - cell.level).div_ceil(burst)),
        }
    }

    /// Puts one back into a key's bucket.
    pub fn give_back<K: Hash + ?Sized>(&mut self, key: &K, now: u64) {
        let (one, full) = (u64::from(self.rate.ticks), self.full());
        let cell = self.cell(key, now);
        cell.level = (cell.level + one).min(full);
    }

    fn full(&self) -> u64 {
        u64::from(self.rate.burst) * u64::from(self.rate.ticks)
    }

    /// The cell of that key, refilled up to now; the fullest of its eight is given to it if it has none.
    fn cell<K: Hash + ?Sized>(&mut self, key: &K, now: u64) -> &mut Cell {
        let hash = self.seed.hash_one(key);
        let (full, burst) = (self.full(), u64::from(self.rate.burst));
        let sets = self.cells.len() / WAYS;
        let from = (hash >> 32) as usize % sets * WAYS;
        // 0 is what an unused cell has.
        let fingerprint = hash.max(1);
        let refilled = |cell: &Cell| {
            cell.level.saturating_add(now.saturating_sub(cell.at).saturating_mul(burst)).min(full)
        };
        let ways = self.cells.get(from..from + WAYS).unwrap_or_default();
        let held = ways.iter().position(|cell| cell.fingerprint == fingerprint);
        let fullest = || {
            let level = |cell: &Cell| if cell.fingerprint == 0 { u64::MAX } else { refilled(cell) };
            ways.iter().enumerate().max_by_key(|(_, cell)| level(cell)).map_or(0, |(way, _)| way)
        };
        let way = held.unwrap_or_else(fullest);
        #[expect(
            clippy::indexing_slicing,
            reason = "from is a multiple of 8 below the length, way is below 8"
        )]
        let cell = &mut self.cells[from + way];
        *cell = match held {
            Some(_) => Cell { fingerprint, level: refilled(cell), at: cell.at.max(now) },
            None => Cell { fingerprint, level: full, at: now },
        };
        cell
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 20, ticks: 600 };

    #[test]
    fn a_bucket_of_twenty_refills_in_ten_minutes() {
        let mut limiter = RateLimiter::new(64, RATE);
        let start = 1_000_000;
        assert_eq!((0..25).filter(|_| limiter.take("a", start).is_ok()).count(), 20);
        assert!(limiter.take("b", start).is_ok());
        // One comes back every 30 seconds.
        assert_eq!(limiter.take("a", start + 29), Err(1));
        assert_eq!(limiter.take("a", start + 30), Ok(()));
        assert_eq!(limiter.take("a", start + 31), Err(29));
        assert_eq!((0..25).filter(|_| limiter.take("a", start + 10_000).is_ok()).count(), 20);
    }

    #[test]
    fn an_answered_challenge_is_given_back() {
        let mut limiter = RateLimiter::new(64, RATE);
        let now = 5;
        for _ in 0..1000 {
            assert_eq!(limiter.take("a", now), Ok(()));
            limiter.give_back("a", now);
        }
        // Giving back never makes more than a full bucket.
        assert_eq!((0..25).filter(|_| limiter.take("a", now).is_ok()).count(), 20);
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing() {
        let mut limiter = RateLimiter::new(64, RATE);
        while limiter.take("a", 1000).is_ok() {}
        for now in [0, 999, 1000, 1001] {
            assert!(limiter.take("a", now).is_err());
        }
    }

    #[test]
    fn a_flood_of_other_keys_does_not_free_the_one_that_is_limited() {
        let mut limiter = RateLimiter::new(1024, RATE);
        let now = 1_000_000;
        while limiter.take("victim", now).is_ok() {}
        for stranger in 0..100_000u32 {
            let _ = limiter.take(&stranger, now);
        }
        assert!(limiter.take("victim", now).is_err());
        assert_eq!(limiter.cells.len(), 1024);
    }
}
