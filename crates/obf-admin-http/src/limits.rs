//! How many requests an administrator, and a stranger, may make: a token bucket each.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// Buckets beyond which full ones are forgotten.
const MOST_BUCKETS: usize = 10_000;

/// A bucket for each `K`.
#[derive(Debug)]
pub struct Limiter<K> {
    per_second: f64,
    at_once: f64,
    buckets: Mutex<HashMap<K, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl<K: Eq + Hash> Limiter<K> {
    /// So many per second, and so many at once.
    pub fn new(per_second: u32, at_once: u32) -> Self {
        let at_once = f64::from(at_once.max(1));
        Self { per_second: f64::from(per_second.max(1)), at_once, buckets: Mutex::default() }
    }

    /// Takes one.
    ///
    /// # Errors
    /// None is left: the seconds until there is one.
    pub fn take(&self, key: K, now: Instant) -> Result<(), u64> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MOST_BUCKETS {
            buckets.retain(|_, bucket| self.refilled(*bucket, now) < self.at_once);
        }
        let full = Bucket { left: self.at_once, at: now };
        // A flood from more sources than that shares what is left: nothing is remembered of it.
        if buckets.len() >= MOST_BUCKETS && !buckets.contains_key(&key) {
            return Err(1);
        }
        let bucket = buckets.entry(key).or_insert(full);
        let left = self.refilled(*bucket, now);
        *bucket = Bucket { left: if left >= 1.0 { left - 1.0 } else { left }, at: now };
        if left >= 1.0 {
            return Ok(());
        }
        // At most one second for each request per second, so it fits.
        let seconds = ((1.0 - left) / self.per_second).ceil();
        Err(if seconds > 1.0 { seconds as u64 } else { 1 })
    }

    /// Gives back one that was taken.
    pub fn give_back(&self, key: &K) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get_mut(key) {
            bucket.left = (bucket.left + 1.0).min(self.at_once);
        }
    }

    fn refilled(&self, bucket: Bucket, now: Instant) -> f64 {
        let since = now.saturating_duration_since(bucket.at).as_secs_f64();
        (bucket.left + since * self.per_second).min(self.at_once)
    }
}

/// One host has a /64 of IPv6 addresses to itself.
pub fn source(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => address.into(),
            None => {
                let network = u128::from(address) & !u128::from(u64::MAX);
                IpAddr::V6(network.into())
            }
        },
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let (limiter, start) = (Limiter::new(2, 3), Instant::now());
        for _ in 0..3 {
            assert_eq!(limiter.take("a", start), Ok(()));
        }
        assert_eq!(limiter.take("a", start), Err(1));
        assert_eq!(limiter.take("b", start), Ok(()), "another has its own");
        assert_eq!(limiter.take("a", start + Duration::from_millis(600)), Ok(()));
        assert_eq!(limiter.take("a", start + Duration::from_millis(700)), Err(1));
        for _ in 0..3 {
            assert_eq!(limiter.take("a", start + Duration::from_secs(60)), Ok(()));
        }
        assert_eq!(limiter.take("a", start + Duration::from_secs(60)), Err(1));
        limiter.give_back(&"a");
        assert_eq!(limiter.take("a", start + Duration::from_secs(60)), Ok(()));
    }

    #[test]
    fn buckets_are_bounded() {
        let (limiter, start) = (Limiter::new(1, 1), Instant::now());
        for number in 0..MOST_BUCKETS {
            assert_eq!(limiter.take(number, start), Ok(()));
        }
        assert_eq!(limiter.take(MOST_BUCKETS, start), Err(1));
        assert_eq!(limiter.take(MOST_BUCKETS, start + Duration::from_secs(2)), Ok(()));
    }

    #[test]
    fn a_host_of_ipv6_is_one_source() {
        let address = |text: &str| source(text.parse().unwrap());
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:2"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
    }
}
