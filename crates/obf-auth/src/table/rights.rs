//! Sets of rights, shared between the tokens that have the same.

use obf_store::auth::RightsSet;
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

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
    use obf_types::{AppId, Lifetime, Right};

    fn right(app: &str, seconds: u32) -> Right {
        Right {
            app: AppId::new(app).unwrap(),
            lifetime: Lifetime::from_seconds(seconds).unwrap(),
            settings: Box::default(),
            local_validity: None,
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
}
