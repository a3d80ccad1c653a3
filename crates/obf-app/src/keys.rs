//! What is known of keys, and of the link they come over. One lock, never held across an `.await`.

use obf_rpa::{Cached, KeyCache, LinkState, LocalPolicy, NeedKey};
use obf_rpo::KeyGrant;
use obf_token::TokenId;
use obf_types::UnixTime;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// Seconds for which it is remembered that a token was ended: longer than a fetch and a handshake can take.
const ENDED_SECONDS: u64 = 120;
/// Ended tokens remembered one by one; beyond it all that was asked for before is asked for again.
const MOST_ENDED: usize = 1 << 16;

/// How the link to the Authentication Server stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No connection since then.
    Away(UnixTime),
    /// A connection, but notices missed while away may still be coming; away since then.
    Resuming(UnixTime),
    /// Everything ended while away has been told.
    Up,
}

impl Phase {
    fn link(self) -> LinkState {
        match self {
            Self::Away(since) | Self::Resuming(since) => LinkState::Away { since },
            Self::Up => LinkState::Up,
        }
    }
}

/// A key with what came with it, and the number of notices seen before it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct CachedKey {
    pub(crate) grant: Arc<KeyGrant>,
    pub(crate) expires: UnixTime,
    seen: u64,
}

/// What the keys say about a token at hand.
pub(crate) enum Found {
    Cached(CachedKey),
    /// Refused a moment ago.
    Refused,
    /// Ask; the number belongs into [`Keys::fetched`].
    Unknown(u64),
    /// Missed notices are being told, or the key is not known and nobody can be asked for it: wait for another phase.
    Wait,
}

/// Keys of one application.
#[derive(Debug)]
pub(crate) struct Keys {
    policy: LocalPolicy,
    inner: Mutex<Inner>,
    phase: watch::Sender<Phase>,
}

#[derive(Debug)]
struct Inner {
    cache: KeyCache<CachedKey>,
    /// Notices seen so far.
    seen: u64,
    /// Tokens ended lately: by which notice, and when.
    ended: HashMap<TokenId, (u64, UnixTime)>,
    /// Whatever was asked for before this notice may be over: which tokens ended is not remembered.
    forgotten: u64,
}

impl Keys {
    pub(crate) fn new(policy: LocalPolicy, capacity: usize, now: UnixTime) -> Self {
        let inner = Inner { cache: KeyCache::new(capacity), seen: 0, ended: HashMap::new(), forgotten: 0 };
        Self { policy, inner: Mutex::new(inner), phase: watch::Sender::new(Phase::Away(now)) }
    }

    pub(crate) const fn policy(&self) -> &LocalPolicy {
        &self.policy
    }

    pub(crate) fn phases(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    pub(crate) fn link(&self) -> LinkState {
        self.phase.borrow().link()
    }

    /// A connection is there; cached keys wait until [`Keys::resumed`].
    pub(crate) fn connected(&self) {
        self.phase.send_modify(|phase| {
            if let Phase::Away(since) = *phase {
                *phase = Phase::Resuming(since);
            }
        });
    }

    pub(crate) fn resumed(&self) {
        self.phase.send_replace(Phase::Up);
    }

    pub(crate) fn disconnected(&self, now: UnixTime) {
        self.phase.send_modify(|phase| {
            *phase = match *phase {
                Phase::Up => Phase::Away(now),
                Phase::Away(since) | Phase::Resuming(since) => Phase::Away(since),
            }
        });
    }

    pub(crate) fn find(&self, need: &NeedKey, now: UnixTime) -> Found {
        let phase = *self.phase.borrow();
        if matches!(phase, Phase::Resuming(_)) {
            return Found::Wait;
        }
        let inner = self.lock();
        match inner.cache.find(need, now) {
            Some(Cached::Key(cached)) if self.policy.admits(cached.expires, phase.link(), now) => {
                Found::Cached(cached)
            }
            Some(Cached::Refused) => Found::Refused,
            // Only who has resumed is told when the token ends.
            Some(Cached::Key(_)) | None if phase == Phase::Up => Found::Unknown(inner.seen),
            Some(Cached::Key(_)) | None => Found::Wait,
        }
    }

    /// Remembers a fetched key, unless its token was ended since it was asked for; `seen` is from [`Found::Unknown`].
    pub(crate) fn fetched(
        &self,
        need: NeedKey,
        grant: KeyGrant,
        seen: u64,
        now: UnixTime,
    ) -> Option<CachedKey> {
        let expires = self.policy.expiry(grant.expires, now);
        let cached = CachedKey { grant: Arc::new(grant), expires, seen };
        let mut inner = self.lock();
        if now >= expires || inner.was_ended(&need.token, seen) {
            return None;
        }
        inner.cache.insert(need, cached.clone(), expires);
        Some(cached)
    }

    pub(crate) fn refused(&self, need: NeedKey, now: UnixTime) {
        self.lock().cache.refuse(need, now);
    }

    /// Forgets a token.
    pub(crate) fn end_token(&self, token: &TokenId, now: UnixTime) {
        let mut inner = self.lock();
        inner.seen += 1;
        let seen = inner.seen;
        if inner.ended.len() >= MOST_ENDED {
            // However many notices come, memory stays bounded: known keys are fetched again.
            inner.ended.clear();
            inner.cache.clear();
            inner.forgotten = seen;
        }
        inner.ended.insert(token.clone(), (seen, now));
        inner.cache.end_token(token);
    }

    /// Whether a session may begin with this key now: its token was not ended meanwhile, nor is it over.
    pub(crate) fn still_good(&self, token: &TokenId, cached: &CachedKey, now: UnixTime) -> bool {
        self.policy.admits(cached.expires, self.link(), now) && !self.lock().was_ended(token, cached.seen)
    }

    /// Forgets what is over.
    pub(crate) fn expire(&self, now: UnixTime) {
        let mut inner = self.lock();
        inner.cache.expire(now);
        inner.ended.retain(|_, (_, at)| now.since(*at) < ENDED_SECONDS);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn was_ended(&self, token: &TokenId, seen: u64) -> bool {
        seen < self.forgotten || self.ended.get(token).is_some_and(|(by, _)| *by > seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use obf_token::AppKey;
    use obf_types::{Domain, KeySchema, UaId};

    fn need(n: u8) -> NeedKey {
        let token = TokenId::new([n; 16], Domain::new("rs.as.example").unwrap());
        NeedKey { token, ua: UaId::TLS13_PSK }
    }

    fn grant() -> KeyGrant {
        KeyGrant {
            key: AppKey::new([1; 32]),
            expires: UnixTime(1_000),
            bootstrapped_at: UnixTime(0),
            schema: KeySchema::Obf1,
            settings: Box::default(),
            device: None,
        }
    }

    fn up() -> Keys {
        let keys = Keys::new(LocalPolicy::default(), 10, UnixTime(0));
        keys.connected();
        keys.resumed();
        keys
    }

    fn asked(keys: &Keys, need: &NeedKey) -> u64 {
        match keys.find(need, UnixTime(1)) {
            Found::Unknown(seen) => seen,
            _ => panic!("known"),
        }
    }

    #[test]
    fn a_notice_that_overtakes_its_fetch_ends_the_key() {
        let keys = up();
        let seen = asked(&keys, &need(1));
        keys.end_token(&need(1).token, UnixTime(1));
        assert!(keys.fetched(need(1), grant(), seen, UnixTime(1)).is_none());
        let later = asked(&keys, &need(1));
        assert!(keys.fetched(need(1), grant(), later, UnixTime(1)).is_some());
    }

    #[test]
    fn a_notice_that_overtakes_the_handshake_ends_the_key() {
        let keys = up();
        let cached = keys.fetched(need(1), grant(), asked(&keys, &need(1)), UnixTime(1)).unwrap();
        assert!(keys.still_good(&need(1).token, &cached, UnixTime(1)));
        keys.end_token(&need(1).token, UnixTime(1));
        assert!(!keys.still_good(&need(1).token, &cached, UnixTime(1)));
        assert!(matches!(keys.find(&need(1), UnixTime(1)), Found::Unknown(_)));
    }

    #[test]
    fn a_flood_of_notices_takes_bounded_memory_and_no_ended_token_comes_back() {
        let keys = up();
        let flood = |first: u64| {
            for number in first..first + MOST_ENDED as u64 {
                let rand = (u128::from(number) << 8).to_be_bytes();
                keys.end_token(&TokenId::new(rand, need(0).token.domain().clone()), UnixTime(1));
            }
        };
        flood(1);
        keys.fetched(need(1), grant(), asked(&keys, &need(1)), UnixTime(1)).unwrap();
        let before = asked(&keys, &need(2));
        keys.end_token(&need(3).token, UnixTime(1));
        assert!(keys.lock().ended.len() <= MOST_ENDED);
        assert!(keys.fetched(need(2), grant(), before, UnixTime(1)).is_none(), "asked for before");
        let again = asked(&keys, &need(1));
        assert!(keys.fetched(need(1), grant(), again, UnixTime(1)).is_some(), "asked for again");
        flood(MOST_ENDED as u64);
        assert!(keys.lock().ended.len() <= MOST_ENDED);
    }

    #[test]
    fn cached_keys_wait_for_what_was_missed() {
        let keys = up();
        keys.fetched(need(1), grant(), asked(&keys, &need(1)), UnixTime(1)).unwrap();
        keys.disconnected(UnixTime(10));
        assert!(matches!(keys.find(&need(1), UnixTime(20)), Found::Cached(_)), "within the grace");
        keys.connected();
        assert!(matches!(keys.find(&need(1), UnixTime(20)), Found::Wait));
        keys.disconnected(UnixTime(30));
        assert_eq!(keys.link(), LinkState::Away { since: UnixTime(10) }, "a failed attempt is no contact");
        assert!(matches!(keys.find(&need(1), UnixTime(10 + 900)), Found::Wait), "after the grace");
        assert!(matches!(keys.find(&need(2), UnixTime(30)), Found::Wait), "nobody would tell of its end");
        keys.connected();
        keys.resumed();
        assert!(matches!(keys.find(&need(1), UnixTime(20)), Found::Cached(_)));
    }
}
