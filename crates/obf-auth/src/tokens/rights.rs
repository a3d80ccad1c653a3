//! What a device may do, as the Resource Server granted it: shared between the tokens that have the same rights.

use obf_types::{AppId, Lifetime};
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

/// One application that the device may use.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Right {
    /// The application.
    pub app: AppId,
    /// The longest that a key for it lives, counted from the bootstrap.
    pub lifetime: Lifetime,
    /// Application-specific user security settings, at most 2 KiB; empty if there are none.
    pub settings: Box<[u8]>,
}

/// The rights that came with a vector. Immutable; ordered by application.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RightsSet {
    rights: Box<[Right]>,
    more: bool,
}

impl RightsSet {
    /// A set of rights; `more` says that the Resource Server has others that did not fit its answer. Of two rights
    /// for one application the first stands.
    pub fn new(mut rights: Vec<Right>, more: bool) -> Self {
        rights.sort_by(|a, b| a.app.cmp(&b.app));
        rights.dedup_by(|b, a| a.app == b.app);
        Self { rights: rights.into(), more }
    }

    /// The right for an application, if it is in this set.
    pub fn find(&self, app: &AppId) -> Option<&Right> {
        let place = self.rights.binary_search_by(|right| right.app.cmp(app)).ok()?;
        self.rights.get(place)
    }

    /// Every right, by application.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Right> {
        self.rights.iter()
    }

    /// Whether the Resource Server has more rights for the device than these.
    pub const fn more(&self) -> bool {
        self.more
    }
}

/// Keeps one copy of each distinct set: fleets have few of them.
#[derive(Debug, Default)]
pub struct RightsInterner {
    sets: Mutex<Interned>,
}

#[derive(Debug, Default)]
struct Interned {
    sets: HashSet<Arc<RightsSet>>,
    sweep_at: usize,
}

impl RightsInterner {
    /// The shared copy of that set. Sets that no token refers to any more are dropped when their number has doubled.
    pub fn intern(&self, set: RightsSet) -> Arc<RightsSet> {
        let mut interned = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = interned.sets.get(&set) {
            return Arc::clone(known);
        }
        if interned.sets.len() >= interned.sweep_at {
            interned.sets.retain(|set| Arc::strong_count(set) > 1);
            interned.sweep_at = (interned.sets.len() * 2).max(64);
        }
        let set = Arc::new(set);
        interned.sets.insert(Arc::clone(&set));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn right(app: &str, seconds: u32) -> Right {
        Right {
            app: AppId::new(app).unwrap(),
            lifetime: Lifetime::from_seconds(seconds).unwrap(),
            settings: Box::default(),
        }
    }

    #[test]
    fn equal_sets_are_one_and_unused_ones_go() {
        let interner = RightsInterner::default();
        let first =
            interner.intern(RightsSet::new(vec![right("b.example", 1), right("a.example", 2)], false));
        let second =
            interner.intern(RightsSet::new(vec![right("a.example", 2), right("b.example", 1)], false));
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(first.find(&AppId::new("a.example").unwrap()).unwrap().lifetime.seconds(), 2);
        for seconds in 1..1000 {
            interner.intern(RightsSet::new(vec![right("c.example", seconds)], false));
        }
        assert!(interner.sets.lock().unwrap().sets.len() < 130);
        assert!(Arc::ptr_eq(&first, &interner.intern((*second).clone())));
    }

    #[test]
    fn the_first_of_two_rights_for_one_application_stands() {
        let set = RightsSet::new(vec![right("a.example", 5), right("a.example", 9)], true);
        assert_eq!((set.iter().len(), set.more()), (1, true));
        assert_eq!(set.find(&AppId::new("a.example").unwrap()).unwrap().lifetime.seconds(), 5);
        assert_eq!(set.find(&AppId::new("b.example").unwrap()), None);
    }
}
