//! One shard of the token table: records in numbered slots, found by RAND, by device and by expiry.

use super::{RightsSet, record};
use hashbrown::HashTable;
use obf_types::{GlobalIdentity, UnixTime};
use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};
use zeroize::Zeroize;

/// No slot.
const NONE: u32 = u32::MAX;
/// Seconds of expiry that share a list. A lookup checks the second; this is only how soon memory is erased.
const GRAIN: u64 = 4;
/// Lists of the expiry ring: a little more than the 24 hours that a token can live, so that each second has its own.
const RING: u64 = 22_000;

/// A live token's octets and where it stands in the lists.
struct Slot {
    /// Empty if the slot is free.
    record: Box<[u8]>,
    rights: Option<Arc<RightsSet>>,
    /// The device's next token; of a free slot, the next free one.
    next_of_device: u32,
    due_before: u32,
    due_after: u32,
}

/// See the module.
pub(super) struct Shard {
    slots: Vec<Slot>,
    free: u32,
    live: usize,
    by_rand: HashTable<u32>,
    by_device: HashTable<u32>,
    due: Box<[u32]>,
    /// The list that [`Shard::erase`] looks at first.
    swept: u64,
}

impl Shard {
    pub(super) fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: NONE,
            live: 0,
            by_rand: HashTable::new(),
            by_device: HashTable::new(),
            due: vec![NONE; RING as usize].into(),
            swept: 0,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.live
    }

    /// The record and rights of a token, expired or not.
    pub(super) fn find(&self, hash: u64, rand: &[u8; 16], domain: u16) -> Option<(&[u8], &Arc<RightsSet>)> {
        let slot = self.slots.get(self.place(hash, rand, domain)? as usize)?;
        Some((&slot.record, slot.rights.as_ref()?))
    }

    /// Takes a record in, or hands it back if its id is here already.
    pub(super) fn insert(
        &mut self,
        hash: u64,
        seed: &RandomState,
        record: Box<[u8]>,
        rights: Arc<RightsSet>,
    ) -> Result<(), Box<[u8]>> {
        let view = record::View::new(&record);
        if self.place(hash, view.rand(), view.domain()).is_some() {
            return Err(record);
        }
        let Some(index) = self.vacant() else { return Err(record) };
        let device = device_hash(seed, view.kind(), view.identity());
        let expires = view.expires();
        let first_of_device = self.head_of_device(device, view.kind(), view.identity());
        let next_of_device = match first_of_device {
            Some(head) => std::mem::replace(head, index),
            None => NONE,
        };
        let slot = Slot { record, rights: Some(rights), next_of_device, due_before: NONE, due_after: NONE };
        if let Some(place) = self.slots.get_mut(index as usize) {
            *place = slot;
        } else {
            self.slots.push(slot);
        }
        let slots = &self.slots;
        let rehash_rand =
            |index: &u32| slots.get(*index as usize).map_or(0, |slot| rand_hash(seed, &slot.record));
        self.by_rand.insert_unique(hash, index, rehash_rand);
        if next_of_device == NONE {
            let rehash_device = |index: &u32| {
                slots.get(*index as usize).map_or(0, |slot| {
                    let view = record::View::new(&slot.record);
                    device_hash(seed, view.kind(), view.identity())
                })
            };
            self.by_device.insert_unique(device, index, rehash_device);
        }
        self.live += 1;
        self.link_due(index, expires);
        Ok(())
    }

    /// Ends a token; `false` if it is not here.
    pub(super) fn remove(&mut self, hash: u64, seed: &RandomState, rand: &[u8; 16], domain: u16) -> bool {
        match self.place(hash, rand, domain) {
            Some(index) => {
                self.release(index, seed);
                true
            }
            None => false,
        }
    }

    /// Calls with each record of a device.
    pub(super) fn each_of_device(&self, hash: u64, device: &GlobalIdentity, mut each: impl FnMut(&[u8])) {
        let found = self.by_device.find(hash, |index| self.is_of(*index, device));
        let mut next = found.copied().unwrap_or(NONE);
        while let Some(slot) = self.slots.get(next as usize) {
            each(&slot.record);
            next = slot.next_of_device;
        }
    }

    /// Ends the tokens of a device whose records `which` picks; returns how many.
    pub(super) fn remove_of_device(
        &mut self,
        hash: u64,
        seed: &RandomState,
        device: &GlobalIdentity,
        mut which: impl FnMut(&[u8]) -> bool,
    ) -> usize {
        let mut removed = 0;
        let found = self.by_device.find(hash, |index| self.is_of(*index, device));
        let mut next = found.copied().unwrap_or(NONE);
        while let Some(slot) = self.slots.get(next as usize) {
            let index = std::mem::replace(&mut next, slot.next_of_device);
            if which(&slot.record) {
                self.release(index, seed);
                removed += 1;
            }
        }
        removed
    }

    /// Lets no token of a device from before its bootstrap `counter` live longer than `until`; returns how many tokens it has.
    pub(super) fn shorten_device(
        &mut self,
        hash: u64,
        device: &GlobalIdentity,
        counter: u64,
        until: UnixTime,
    ) -> usize {
        let mut count = 0;
        let found = self.by_device.find(hash, |index| self.is_of(*index, device));
        let mut next = found.copied().unwrap_or(NONE);
        while let Some(slot) = self.slots.get_mut(next as usize) {
            let index = std::mem::replace(&mut next, slot.next_of_device);
            count += 1;
            let view = record::View::new(&slot.record);
            if view.expires() <= until || view.epoch_and_counter().1 >= counter {
                continue;
            }
            self.unlink_due(index);
            if let Some(slot) = self.slots.get_mut(index as usize) {
                record::set_expires(&mut slot.record, until);
            }
            self.link_due(index, until);
        }
        count
    }

    /// Erases what has expired by `now`; returns how many.
    pub(super) fn erase(&mut self, now: UnixTime, seed: &RandomState) -> usize {
        let last = now.0 / GRAIN;
        // A ring is looked through once at most, however far the clock moved.
        let mut list = self.swept.max(last.saturating_sub(RING - 1));
        let mut erased = 0;
        while list <= last {
            let mut next = self.due.get((list % RING) as usize).copied().unwrap_or(NONE);
            while let Some(slot) = self.slots.get(next as usize) {
                let index = std::mem::replace(&mut next, slot.due_after);
                if record::View::new(&slot.record).expires() <= now {
                    self.release(index, seed);
                    erased += 1;
                }
            }
            list += 1;
        }
        self.swept = last;
        erased
    }

    fn place(&self, hash: u64, rand: &[u8; 16], domain: u16) -> Option<u32> {
        let is_it = |index: &u32| {
            self.slots.get(*index as usize).is_some_and(|slot| {
                let view = record::View::new(&slot.record);
                view.rand() == rand && view.domain() == domain
            })
        };
        self.by_rand.find(hash, is_it).copied()
    }

    fn is_of(&self, index: u32, device: &GlobalIdentity) -> bool {
        self.slots
            .get(index as usize)
            .is_some_and(|slot| record::is_of(&slot.record, device.kind(), device.value()))
    }

    fn head_of_device(&mut self, hash: u64, kind: u8, value: &str) -> Option<&mut u32> {
        let slots = &self.slots;
        self.by_device.find_mut(hash, |index| {
            slots.get(*index as usize).is_some_and(|slot| {
                let view = record::View::new(&slot.record);
                view.kind() == kind && view.identity() == value
            })
        })
    }

    /// A free slot's number, or the one behind the last; `None` if all 2^32 − 1 are taken.
    fn vacant(&mut self) -> Option<u32> {
        if let Some(slot) = self.slots.get(self.free as usize) {
            return Some(std::mem::replace(&mut self.free, slot.next_of_device));
        }
        u32::try_from(self.slots.len()).ok().filter(|index| *index != NONE)
    }

    /// Takes a token out of every list, wipes it and frees its slot.
    fn release(&mut self, index: u32, seed: &RandomState) {
        self.unlink_due(index);
        self.unlink_device(index, seed);
        let Some(slot) = self.slots.get(index as usize) else { return };
        let hash = rand_hash(seed, &slot.record);
        if let Ok(entry) = self.by_rand.find_entry(hash, |candidate| *candidate == index) {
            entry.remove();
        }
        let free = self.free;
        if let Some(slot) = self.slots.get_mut(index as usize) {
            slot.record.zeroize();
            *slot = Slot {
                record: Box::default(),
                rights: None,
                next_of_device: free,
                due_before: NONE,
                due_after: NONE,
            };
            self.free = index;
            self.live -= 1;
        }
    }

    fn unlink_device(&mut self, index: u32, seed: &RandomState) {
        let Some(slot) = self.slots.get(index as usize) else { return };
        let (view, after) = (record::View::new(&slot.record), slot.next_of_device);
        let hash = device_hash(seed, view.kind(), view.identity());
        let slots = &self.slots;
        let entry = self.by_device.find_entry(hash, |head| {
            slots.get(*head as usize).is_some_and(|head| {
                let of_head = record::View::new(&head.record);
                of_head.kind() == view.kind() && of_head.identity() == view.identity()
            })
        });
        let Ok(mut entry) = entry else { return };
        let mut before = *entry.get();
        if before == index {
            if after == NONE {
                entry.remove();
            } else {
                *entry.get_mut() = after;
            }
            return;
        }
        while let Some(slot) = self.slots.get_mut(before as usize) {
            if slot.next_of_device == index {
                slot.next_of_device = after;
                return;
            }
            before = slot.next_of_device;
        }
    }

    fn link_due(&mut self, index: u32, expires: UnixTime) {
        let list = expires.0 / GRAIN;
        // What is overdue already goes where the next sweep begins.
        let list = list.max(self.swept) % RING;
        let Some(head) = self.due.get_mut(list as usize) else { return };
        let after = std::mem::replace(head, index);
        if let Some(slot) = self.slots.get_mut(after as usize) {
            slot.due_before = index;
        }
        if let Some(slot) = self.slots.get_mut(index as usize) {
            (slot.due_before, slot.due_after) = (NONE, after);
        }
    }

    fn unlink_due(&mut self, index: u32) {
        let Some(slot) = self.slots.get(index as usize) else { return };
        let (before, after) = (slot.due_before, slot.due_after);
        let overdue_or_due = record::View::new(&slot.record).expires().0 / GRAIN;
        if let Some(slot) = self.slots.get_mut(after as usize) {
            slot.due_before = before;
        }
        if let Some(slot) = self.slots.get_mut(before as usize) {
            slot.due_after = after;
            return;
        }
        // The head of its list: of the one of its expiry, or of one that it was put into when overdue.
        let list = (overdue_or_due % RING) as usize;
        match self.due.get_mut(list) {
            Some(head) if *head == index => *head = after,
            _ => {
                if let Some(head) = self.due.iter_mut().find(|head| **head == index) {
                    *head = after;
                }
            }
        }
    }
}

/// What a token is found by; its domain is only compared.
pub(super) fn rand_hash_of(seed: &RandomState, rand: &[u8; 16]) -> u64 {
    seed.hash_one(rand)
}

/// What a device is found by.
pub(super) fn device_hash(seed: &RandomState, kind: u8, value: &str) -> u64 {
    seed.hash_one((kind, value))
}

fn rand_hash(seed: &RandomState, record: &[u8]) -> u64 {
    rand_hash_of(seed, record::View::new(record).rand())
}
