//! A server over UDP answers a repetition with the same octets and does nothing twice (RFC 5080 2.2.2).

use crate::Request;
use core::{hash::Hash, time::Duration};
use std::collections::{HashMap, VecDeque};

/// How long an answer is kept, from when its request came.
pub const KEPT: Duration = Duration::from_secs(30);

/// What is known of a request. Only authentic requests get here, so that nobody else can fill or spoil the cache.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen<'a> {
    /// Never seen: act on it, then call [`DuplicateCache::answered`].
    New,
    /// Being worked on: drop the repetition.
    InProgress,
    /// Answered: send these octets again.
    Answered(&'a [u8]),
}

/// The requests of the last [`KEPT`] by (source, identifier, authenticator), bounded in number: the oldest goes first.
/// `S` is a source's address and port.
#[derive(Debug)]
pub struct DuplicateCache<S> {
    entries: HashMap<(S, u8), Entry>,
    order: VecDeque<(Duration, S, u8, u64)>,
    capacity: usize,
    next_serial: u64,
}

#[derive(Debug)]
struct Entry {
    serial: u64,
    code: u8,
    authenticator: [u8; 16],
    reply: Option<Box<[u8]>>,
}

impl<S: Clone + Eq + Hash> DuplicateCache<S> {
    /// An empty cache for at most `capacity` requests.
    pub fn new(capacity: usize) -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), capacity: capacity.max(1), next_serial: 0 }
    }

    /// Looks a request up, and remembers it if it is new. Another request under the identifier of an earlier one ends
    /// what is known of that.
    pub fn observe(&mut self, now: Duration, source: &S, request: &Request) -> Seen<'_> {
        self.forget(now);
        let packet = request.packet();
        let key = (source.clone(), packet.identifier());
        let (code, authenticator) = (packet.code() as u8, packet.authenticator());
        let known = self.entries.get(&key);
        if known.is_some_and(|entry| entry.code == code && entry.authenticator == authenticator) {
            let reply = self.entries.get(&key).and_then(|entry| entry.reply.as_deref());
            return reply.map_or(Seen::InProgress, Seen::Answered);
        }
        let serial = self.next_serial;
        self.next_serial += 1;
        self.order.push_back((now, key.0.clone(), key.1, serial));
        self.entries.insert(key, Entry { serial, code, authenticator, reply: None });
        Seen::New
    }

    /// Keeps the answer to a request that was [`Seen::New`]; without effect if it has been forgotten meanwhile.
    pub fn answered(&mut self, source: &S, request: &Request, reply: &[u8]) {
        let packet = request.packet();
        if let Some(entry) = self.entries.get_mut(&(source.clone(), packet.identifier()))
            && entry.authenticator == packet.authenticator()
        {
            entry.reply = Some(reply.into());
        }
    }

    /// Forgets a request that was [`Seen::New`] and will get no answer, so that its repetition is acted on.
    pub fn abandoned(&mut self, source: &S, request: &Request) {
        let packet = request.packet();
        let key = (source.clone(), packet.identifier());
        if self.entries.get(&key).is_some_and(|entry| entry.authenticator == packet.authenticator()) {
            self.entries.remove(&key);
        }
    }

    /// Requests remembered.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Drops what is too old, and the oldest until one more fits. `order` may hold entries that were replaced since; both
    /// are bounded by the capacity.
    fn forget(&mut self, now: Duration) {
        while let Some((at, ..)) = self.order.front() {
            if self.order.len() < self.capacity && now.saturating_sub(*at) < KEPT {
                return;
            }
            let Some((_, source, identifier, serial)) = self.order.pop_front() else { return };
            let key = (source, identifier);
            if self.entries.get(&key).is_some_and(|entry| entry.serial == serial) {
                self.entries.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Code, Framing, Pending};

    fn request(id: u32, random: u8) -> Request {
        let mut packet = Vec::new();
        let framing = Framing::radsec();
        Pending::begin(&framing, Code::AccessRequest, id, [random; 16], &[], &mut packet);
        Request::authenticate(&framing, &packet).unwrap()
    }

    #[test]
    fn rfc5080_2_2_2_a_repetition_gets_the_same_answer_and_a_new_request_is_new() {
        let mut cache = DuplicateCache::new(10);
        let now = Duration::from_secs(50);
        let first = request(1, 1);
        assert_eq!(cache.observe(now, &"a", &first), Seen::New);
        assert_eq!(cache.observe(now, &"a", &first), Seen::InProgress);
        assert_eq!(cache.observe(now, &"b", &first), Seen::New, "another source");
        cache.answered(&"a", &first, b"reply");
        assert_eq!(cache.observe(now, &"a", &first), Seen::Answered(b"reply"));
        assert_eq!(cache.observe(now, &"b", &first), Seen::InProgress);
        let second = request(1, 2);
        assert_eq!(cache.observe(now, &"a", &second), Seen::New, "the identifier is used anew");
        cache.answered(&"a", &first, b"late");
        assert_eq!(cache.observe(now, &"a", &second), Seen::InProgress);
        cache.abandoned(&"a", &second);
        assert_eq!(cache.observe(now, &"a", &second), Seen::New);
        assert_eq!(cache.observe(now + KEPT, &"a", &second), Seen::New, "too long ago");
    }

    #[test]
    fn the_cache_is_bounded_and_forgets_the_oldest() {
        let mut cache = DuplicateCache::new(3);
        let now = Duration::from_secs(50);
        for id in 0..100 {
            assert_eq!(cache.observe(now, &(), &request(id, 1)), Seen::New);
            assert!(cache.len() <= 3 && cache.order.len() <= 3);
        }
        assert_eq!(cache.observe(now, &(), &request(99, 1)), Seen::InProgress);
        assert_eq!(cache.observe(now, &(), &request(1, 1)), Seen::New);
        for random in 0..100 {
            assert_eq!(cache.observe(now, &(), &request(7, random)), Seen::New);
            assert!(cache.order.len() <= 3, "replacing one request over and over");
        }
    }
}
