//! Who may ask how much on RPB: unanswered challenges of an identity, requests of a source address (WIRES "SQN
//! authority").

use crate::config::LimitsConfig;
use obf_net::{Rate, RateLimiter, source_network};
use obf_types::{IdentityKind, UnixTime};
use std::{
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Identities whose unanswered challenges are counted at once.
const IDENTITIES: usize = 1 << 17;
/// Sources whose requests are counted at once.
const SOURCES: usize = 1 << 16;

/// The limits of one node.
#[derive(Debug)]
pub(crate) struct Admission {
    challenges: Mutex<RateLimiter>,
    sources: Mutex<RateLimiter>,
}

impl Admission {
    pub(crate) fn new(limits: &LimitsConfig) -> Self {
        let challenges = Rate { burst: limits.challenges, ticks: limits.challenges_seconds };
        let sources = Rate { burst: limits.requests_per_source, ticks: limits.requests_seconds };
        Self {
            challenges: Mutex::new(RateLimiter::new(IDENTITIES, challenges)),
            sources: Mutex::new(RateLimiter::new(SOURCES, sources)),
        }
    }

    /// Whether a source address may send one request more.
    pub(crate) fn admits_source(&self, source: IpAddr, now: UnixTime) -> bool {
        lock(&self.sources).take(&source_network(source), now.0).is_ok()
    }

    /// Whether an identity may have one unanswered challenge more.
    pub(crate) fn admits_challenge(&self, user_name: &str, now: UnixTime) -> bool {
        lock(&self.challenges).take(bucket_of(user_name), now.0).is_ok()
    }

    /// A challenge of that identity was answered. Only a committed token says so: a response played again is no answer,
    /// and must not pay for another vector.
    pub(crate) fn challenge_answered(&self, user_name: &str, now: UnixTime) {
        lock(&self.challenges).give_back(bucket_of(user_name), now.0);
    }
}

/// What an identity's bucket is found by: an IMSI, the IMPI derived from it, and both with their kind named are one
/// identity; so are two spellings of a realm.
fn bucket_of(user_name: &str) -> &str {
    let value = IdentityKind::split(user_name).map_or(user_name, |(_, value)| value);
    match value.split_once('@') {
        Some((user, _)) if !user.is_empty() && user.bytes().all(|octet| octet.is_ascii_digit()) => user,
        _ => value,
    }
}

/// A limiter is consistent between its methods' calls, and none of them panics halfway.
fn lock(limiter: &Mutex<RateLimiter>) -> MutexGuard<'_, RateLimiter> {
    limiter.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_imsi_and_its_impi_share_a_limit() {
        assert_eq!(bucket_of("001010000000001@ims.mnc001.mcc001.3gppnetwork.org"), "001010000000001");
        assert_eq!(bucket_of("001010000000001"), "001010000000001");
        assert_eq!(bucket_of("imsi:001010000000001"), "001010000000001");
        assert_eq!(bucket_of("impi:001010000000001@x"), "001010000000001");
        assert_eq!(bucket_of("alice@operator.example"), "alice@operator.example");
        assert_eq!(bucket_of("x:1"), "x:1");
        assert_eq!(bucket_of("@x"), "@x");
    }
}
