//! What the change feed began to apply while somebody looked at a token elsewhere.
//!
//! A token that is on its way from the store to memory cannot be ended in memory yet. Whoever carries one therefore
//! watches, from before the store is asked until the token is in memory, and asks then what was missed: the feed notes a
//! change here *before* it applies it, so a change is either noted by then or will find the token in memory.

use obf_store::auth::Change;
use obf_token::TokenId;
use obf_types::GlobalIdentity;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The changes begun since the first of those who watch began to.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    batches: VecDeque<Arc<[Change]>>,
    /// How many batches were forgotten before the first that is here.
    forgotten: u64,
    /// How many watch from which batch on.
    watching: BTreeMap<u64, usize>,
}

impl Watches {
    /// Watches from now on, until what this returns is dropped.
    pub(crate) fn watch(&self) -> Watch<'_> {
        let mut noted = self.lock();
        let from = noted.forgotten + noted.batches.len() as u64;
        *noted.watching.entry(from).or_default() += 1;
        Watch { watches: self, from }
    }

    /// These changes are about to be applied to memory.
    pub(crate) fn note(&self, changes: &Arc<[Change]>) {
        let mut noted = self.lock();
        if !noted.watching.is_empty() {
            noted.batches.push_back(Arc::clone(changes));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody watches.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    watches: &'a Watches,
    from: u64,
}

impl Watch<'_> {
    /// Whether a change that may concern this token was begun since.
    pub(crate) fn saw(&self, device: &GlobalIdentity, token: &TokenId) -> bool {
        let noted = self.watches.lock();
        let known = usize::try_from(self.from - noted.forgotten).unwrap_or(usize::MAX);
        noted.batches.iter().skip(known).flat_map(|batch| batch.iter()).any(|one| one.concerns(device, token))
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let mut noted = self.watches.lock();
        if let Some(count) = noted.watching.get_mut(&self.from) {
            *count -= 1;
            if *count == 0 {
                noted.watching.remove(&self.from);
            }
        }
        // What nobody watches from any more is of no use to those who come later.
        let first = noted.watching.first_key_value().map(|(from, _)| *from);
        while !noted.batches.is_empty() && first.is_none_or(|first| noted.forgotten < first) {
            noted.batches.pop_front();
            noted.forgotten += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use obf_types::{Domain, IdentityKind};

    fn device(number: u8) -> GlobalIdentity {
        GlobalIdentity::new(IdentityKind::Imsi, &format!("00101{number:010}")).unwrap()
    }

    fn id(number: u8) -> TokenId {
        TokenId::new([number; 16], Domain::new("rs.as.example").unwrap())
    }

    fn ended(number: u8) -> Arc<[Change]> {
        [Change::TokenEnded { device: device(number), id: id(number) }].into()
    }

    #[test]
    fn a_watch_sees_what_was_begun_since_and_nothing_from_before() {
        let watches = Watches::default();
        watches.note(&ended(1));
        let first = watches.watch();
        watches.note(&ended(2));
        let second = watches.watch();
        watches.note(&ended(3));
        let saw = |watch: &Watch<'_>| [1, 2, 3].map(|number| watch.saw(&device(number), &id(number)));
        assert_eq!(saw(&first), [false, true, true]);
        assert_eq!(saw(&second), [false, false, true]);
        drop(first);
        assert_eq!(saw(&second), [false, false, true]);
        let third = watches.watch();
        watches.note(&ended(1));
        assert_eq!(saw(&third), [true, false, false]);
        drop(second);
        assert_eq!(saw(&third), [true, false, false]);
        drop(third);
        assert_eq!(watches.lock().batches.len(), 0);
        assert!(watches.lock().watching.is_empty());
    }
}
