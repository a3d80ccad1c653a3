//! Live sessions: found by token, ended by revocation, expiry, or a link to the Authentication Server lost too long.

use crate::app_keys::AppKeys;
use obf_net::Cutter;
use obf_rpa::{LinkState, LocalPolicy};
use obf_token::TokenId;
use obf_types::UnixTime;
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// All live sessions of an application under one Authentication Server.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<Live>);

#[derive(Debug, Default)]
struct Live {
    next: u64,
    by_number: HashMap<u64, Entry>,
    by_token: HashMap<TokenId, Vec<u64>>,
    by_expiry: BTreeSet<(UnixTime, u64)>,
}

#[derive(Debug)]
struct Entry {
    token: TokenId,
    expires: UnixTime,
    cutter: Cutter,
}

/// A session's place among the live ones; leaves it when dropped. Notices reach the session for as long: it keeps what
/// is told them.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) number: u64,
    pub(crate) keys: Arc<AppKeys>,
}

impl Sessions {
    /// Adds a session that `cutter` ends; its number.
    pub(crate) fn add(&self, token: TokenId, expires: UnixTime, cutter: Cutter) -> u64 {
        let mut live = self.lock();
        let number = live.next;
        live.next += 1;
        live.by_token.entry(token.clone()).or_default().push(number);
        live.by_expiry.insert((expires, number));
        live.by_number.insert(number, Entry { token, expires, cutter });
        number
    }

    /// Forgets a session.
    pub(crate) fn remove(&self, number: u64) {
        self.lock().remove(number);
    }

    /// Cuts every session of a token; how many there were.
    pub(crate) fn end_token(&self, token: &TokenId) -> usize {
        let mut live = self.lock();
        let numbers = live.by_token.get(token).cloned().unwrap_or_default();
        numbers.iter().filter_map(|number| live.remove(*number)).map(|entry| entry.cutter.cut()).count()
    }

    /// Cuts what is over at `now`; how many there were.
    pub(crate) fn end_expired(&self, policy: &LocalPolicy, link: LinkState, now: UnixTime) -> usize {
        let mut live = self.lock();
        let mut ended = 0;
        while let Some((expires, number)) = live.by_expiry.first().copied()
            && !policy.admits(expires, LinkState::Up, now)
        {
            live.remove(number).into_iter().for_each(|entry| entry.cutter.cut());
            ended += 1;
        }
        // Without the Authentication Server for too long: all of them.
        if !policy.admits(UnixTime(u64::MAX), link, now) {
            ended += live.by_number.len();
            // Numbers go on: those of the sessions cut here are given up only when their streams are dropped.
            let next = live.next;
            let over = std::mem::replace(&mut *live, Live { next, ..Live::default() });
            over.by_number.into_values().for_each(|entry| entry.cutter.cut());
        }
        ended
    }

    /// Cuts every session.
    pub(crate) fn end_all(&self) {
        for entry in self.lock().by_number.values() {
            entry.cutter.cut();
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().by_number.len()
    }

    fn lock(&self) -> MutexGuard<'_, Live> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.by_number.remove(&number)?;
        self.by_expiry.remove(&(entry.expires, number));
        if let Some(numbers) = self.by_token.get_mut(&entry.token) {
            numbers.retain(|other| *other != number);
            if numbers.is_empty() {
                self.by_token.remove(&entry.token);
            }
        }
        Some(entry)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.keys.leave(self.number);
    }
}
