//! Keys known to an application, by (token, Ua id), and unknown ids remembered for a moment. Bounded.

use crate::NeedKey;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use obf_token::TokenId;
use obf_types::{UaId, UnixTime};

/// What the cache has under an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cached<G> {
    /// The key and what came with it, until its expiry.
    Key(G),
    /// The Authentication Server refused this id a moment ago.
    Refused,
}

/// An entry: its content and when it ends.
#[derive(Clone, Debug)]
struct Slot<G> {
    content: Cached<G>,
    expires: UnixTime,
}

/// Keys and refusals. `G` is what the application keeps of a key: the key itself, settings, device identity.
#[derive(Debug)]
pub struct KeyCache<G> {
    slots: BTreeMap<NeedKey, Slot<G>>,
    by_expiry: BTreeSet<(UnixTime, NeedKey)>,
    capacity: usize,
}

impl<G: Clone> KeyCache<G> {
    /// Seconds that a refused id is remembered (WIRES "RPA": at most 5).
    pub const REFUSED_SECONDS: u64 = 5;

    /// An empty cache for at most `capacity` entries; the one that ends soonest makes room.
    pub const fn new(capacity: usize) -> Self {
        Self { slots: BTreeMap::new(), by_expiry: BTreeSet::new(), capacity }
    }

    /// What is known at `now`; ended entries are not.
    pub fn find(&self, need: &NeedKey, now: UnixTime) -> Option<Cached<G>> {
        let slot = self.slots.get(need)?;
        (now < slot.expires).then(|| slot.content.clone())
    }

    /// Remembers a key until `expires`.
    pub fn insert(&mut self, need: NeedKey, key: G, expires: UnixTime) {
        self.put(need, Slot { content: Cached::Key(key), expires });
    }

    /// Remembers a refusal for [`Self::REFUSED_SECONDS`].
    pub fn refuse(&mut self, need: NeedKey, now: UnixTime) {
        let expires = UnixTime(now.0.saturating_add(Self::REFUSED_SECONDS));
        self.put(need, Slot { content: Cached::Refused, expires });
    }

    /// Forgets every key of a token; says whether there was one.
    pub fn end_token(&mut self, token: &TokenId) -> bool {
        let first = NeedKey { token: token.clone(), ua: UaId([0; 5]) };
        let last = NeedKey { token: token.clone(), ua: UaId([0xFF; 5]) };
        let ended: Vec<NeedKey> = self.slots.range(first..=last).map(|(need, _)| need.clone()).collect();
        for need in &ended {
            self.remove(need);
        }
        !ended.is_empty()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.slots.clear();
        self.by_expiry.clear();
    }

    /// Forgets what has ended; the keys are erased with it.
    pub fn expire(&mut self, now: UnixTime) {
        while let Some((expires, need)) = self.by_expiry.first().cloned()
            && expires <= now
        {
            self.remove(&need);
        }
    }

    /// Entries held, ended ones that were not yet forgotten included.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    fn put(&mut self, need: NeedKey, slot: Slot<G>) {
        self.remove(&need);
        while self.slots.len() >= self.capacity.max(1) {
            let Some((_, soonest)) = self.by_expiry.first().cloned() else { break };
            self.remove(&soonest);
        }
        self.by_expiry.insert((slot.expires, need.clone()));
        self.slots.insert(need, slot);
    }

    fn remove(&mut self, need: &NeedKey) {
        if let Some(slot) = self.slots.remove(need) {
            self.by_expiry.remove(&(slot.expires, need.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use obf_types::Domain;
    use proptest::prelude::*;

    fn need(token: u8, ua: UaId) -> NeedKey {
        NeedKey { token: TokenId::new([token; 16], Domain::new("rs.as.example").unwrap()), ua }
    }

    #[test]
    fn a_key_for_one_protocol_is_none_for_another() {
        let mut cache = KeyCache::new(10);
        cache.insert(need(1, UaId::TLS13_PSK), 7, UnixTime(100));
        assert_eq!(cache.find(&need(1, UaId::TLS13_PSK), UnixTime(99)), Some(Cached::Key(7)));
        assert_eq!(cache.find(&need(1, UaId::TLS13_PSK), UnixTime(100)), None);
        assert_eq!(cache.find(&need(1, UaId::tls12(0xA8)), UnixTime(99)), None);
    }

    #[test]
    fn refused_ids_are_remembered_five_seconds() {
        let mut cache = KeyCache::<()>::new(10);
        cache.refuse(need(1, UaId::TLS13_PSK), UnixTime(100));
        assert_eq!(cache.find(&need(1, UaId::TLS13_PSK), UnixTime(104)), Some(Cached::Refused));
        assert_eq!(cache.find(&need(1, UaId::TLS13_PSK), UnixTime(105)), None);
    }

    #[test]
    fn ending_a_token_takes_all_its_keys_and_no_other() {
        let mut cache = KeyCache::new(10);
        for ua in [UaId::TLS13_PSK, UaId::tls12(0xA8), UaId([0xFF; 5]), UaId([0; 5])] {
            cache.insert(need(2, ua), 0, UnixTime(100));
        }
        cache.insert(need(1, UaId::TLS13_PSK), 0, UnixTime(100));
        cache.insert(need(3, UaId::TLS13_PSK), 0, UnixTime(100));
        assert!(cache.end_token(&need(2, UaId::TLS13_PSK).token));
        assert!(!cache.end_token(&need(2, UaId::TLS13_PSK).token));
        assert_eq!(cache.len(), 2);
    }

    proptest! {
        #[test]
        fn never_more_than_its_capacity_and_both_indexes_agree(
            steps in proptest::collection::vec((0u8..20, 0u64..50, 0u8..4), 0..200)
        ) {
            let mut cache = KeyCache::new(5);
            for (token, time, step) in steps {
                let need = need(token, UaId::TLS13_PSK);
                match step {
                    0 => cache.insert(need, token, UnixTime(time)),
                    1 => cache.refuse(need, UnixTime(time)),
                    2 => { cache.end_token(&need.token); }
                    _ => cache.expire(UnixTime(time)),
                }
                prop_assert!(cache.slots.len() <= 5);
                prop_assert_eq!(cache.slots.len(), cache.by_expiry.len());
            }
        }
    }
}
