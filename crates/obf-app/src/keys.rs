//! What is known of keys, and of the link they come over. One lock, never held across an `.await`.

use obf_rpa::{AsLink, KeyCache, Known, LocalPolicy, NeedKey};
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

/// How the link to the Authentication Server stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No connection since then.
    Away(UnixTime),
    /// A connection, but notices missed while away may still be coming; away since then.
    Resuming(UnixTime),
    /// Everything ended while away has been told.
    Up,
}

impl Phase {
    fn link(self) -> AsLink {
        match self {
            Self::Away(since) | Self::Resuming(since) => AsLink::Away { since },
            Self::Up => AsLink::Up,
        }
    }
}

/// A key with what came with it, and the number of notices seen before it was asked for.
#[derive(Clone, Debug)]
pub struct Held {
    pub grant: Arc<KeyGrant>,
    pub expires: UnixTime,
    seen: u64,
}

/// What the keys say about a token at hand.
pub enum Found {
    Held(Held),
    /// Refused a moment ago.
    Refused,
    /// Ask; the number belongs into [`Keys::fetched`].
    Unknown(u64),
    /// Missed notices are being told: wait for another phase.
    Wait,
}

/// Keys of one application.
#[derive(Debug)]
pub struct Keys {
    policy: LocalPolicy,
    inner: Mutex<Inner>,
    phase: watch::Sender<Phase>,
}

#[derive(Debug)]
struct Inner {
    cache: KeyCache<Held>,
    /// Notices seen so far.
    seen: u64,
    /// Tokens ended lately: by which notice, and when.
    ended: HashMap<TokenId, (u64, UnixTime)>,
}

impl Keys {
    pub fn new(policy: LocalPolicy, capacity: usize, now: UnixTime) -> Self {
        let inner = Inner { cache: KeyCache::new(capacity), seen: 0, ended: HashMap::new() };
        Self { policy, inner: Mutex::new(inner), phase: watch::Sender::new(Phase::Away(now)) }
    }

    pub const fn policy(&self) -> &LocalPolicy {
        &self.policy
    }

    pub fn phases(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    pub fn link(&self) -> AsLink {
        self.phase.borrow().link()
    }

    /// A connection is there; cached keys wait until [`Keys::resumed`].
    pub fn connected(&self) {
        self.phase.send_modify(|phase| {
            if let Phase::Away(since) = *phase {
                *phase = Phase::Resuming(since);
            }
        });
    }

    pub fn resumed(&self) {
        self.phase.send_replace(Phase::Up);
    }

    pub fn disconnected(&self, now: UnixTime) {
        self.phase.send_modify(|phase| {
            *phase = match *phase {
                Phase::Up => Phase::Away(now),
                Phase::Away(since) | Phase::Resuming(since) => Phase::Away(since),
            }
        });
    }

    pub fn find(&self, need: &NeedKey, now: UnixTime) -> Found {
        let phase = *self.phase.borrow();
        if matches!(phase, Phase::Resuming(_)) {
            return Found::Wait;
        }
        let inner = self.lock();
        match inner.cache.find(need, now) {
            Some(Known::Key(held)) if self.policy.admits(held.expires, phase.link(), now) => {
                Found::Held(held)
            }
            Some(Known::Key(_)) | None => Found::Unknown(inner.seen),
            Some(Known::Refused) => Found::Refused,
        }
    }

    /// Remembers a fetched key, unless its token was ended since it was asked for; `seen` is from [`Found::Unknown`].
    pub fn fetched(&self, need: NeedKey, grant: KeyGrant, seen: u64, now: UnixTime) -> Option<Held> {
        let expires = self.policy.expiry(grant.expires, now);
        let held = Held { grant: Arc::new(grant), expires, seen };
        let mut inner = self.lock();
        if now >= expires || inner.was_ended(&need.token, seen) {
            return None;
        }
        inner.cache.insert(need, held.clone(), expires);
        Some(held)
    }

    pub fn refused(&self, need: NeedKey, now: UnixTime) {
        self.lock().cache.refuse(need, now);
    }

    /// Forgets a token.
    pub fn end_token(&self, token: &TokenId, now: UnixTime) {
        let mut inner = self.lock();
        inner.seen += 1;
        let seen = inner.seen;
        inner.ended.insert(token.clone(), (seen, now));
        inner.cache.end_token(token);
    }

    /// Whether a session may begin with this key now: its token was not ended meanwhile, nor is it over.
    pub fn still_good(&self, token: &TokenId, held: &Held, now: UnixTime) -> bool {
        self.policy.admits(held.expires, self.link(), now) && !self.lock().was_ended(token, held.seen)
    }

    /// Forgets what is over.
    pub fn expire(&self, now: UnixTime) {
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
        self.ended.get(token).is_some_and(|(by, _)| *by > seen)
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
    fn a_notice_that_overtakes_its_fetch_counts() {
        let keys = up();
        let seen = asked(&keys, &need(1));
        keys.end_token(&need(1).token, UnixTime(1));
        assert!(keys.fetched(need(1), grant(), seen, UnixTime(1)).is_none());
        let later = asked(&keys, &need(1));
        assert!(keys.fetched(need(1), grant(), later, UnixTime(1)).is_some());
    }

    #[test]
    fn a_notice_that_overtakes_the_handshake_counts() {
        let keys = up();
        let held = keys.fetched(need(1), grant(), asked(&keys, &need(1)), UnixTime(1)).unwrap();
        assert!(keys.still_good(&need(1).token, &held, UnixTime(1)));
        keys.end_token(&need(1).token, UnixTime(1));
        assert!(!keys.still_good(&need(1).token, &held, UnixTime(1)));
        assert!(matches!(keys.find(&need(1), UnixTime(1)), Found::Unknown(_)));
    }

    #[test]
    fn cached_keys_wait_for_what_was_missed() {
        let keys = up();
        keys.fetched(need(1), grant(), asked(&keys, &need(1)), UnixTime(1)).unwrap();
        keys.disconnected(UnixTime(10));
        assert!(matches!(keys.find(&need(1), UnixTime(20)), Found::Held(_)), "within the grace");
        keys.connected();
        assert!(matches!(keys.find(&need(1), UnixTime(20)), Found::Wait));
        keys.disconnected(UnixTime(30));
        assert_eq!(keys.link(), AsLink::Away { since: UnixTime(10) }, "a failed attempt is no contact");
        assert!(matches!(keys.find(&need(1), UnixTime(10 + 900)), Found::Unknown(_)));
        keys.connected();
        keys.resumed();
        assert!(matches!(keys.find(&need(1), UnixTime(20)), Found::Held(_)));
    }
}
