//! Notices until they are acknowledged: when each is sent, and sent again. The store keeps what they say.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

/// First wait before a notice is sent again; it doubles each time.
pub const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Longest wait.
pub const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The unacknowledged notices to one receiver, by the number under which the store keeps them.
#[derive(Debug, Default)]
pub struct Outbox {
    notices: BTreeMap<u64, Attempt>,
    due: BTreeSet<(Duration, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Attempt {
    due: Duration,
    wait: Duration,
}

impl Outbox {
    /// Takes in a notice, due at once; one already here stays as it is.
    pub fn add(&mut self, number: u64, now: Duration) {
        if !self.notices.contains_key(&number) {
            self.schedule(number, Attempt { due: now, wait: FIRST_WAIT });
        }
    }

    /// A notice to send now, oldest deadline first; call until `None`. It is due again after a wait that doubles.
    pub fn next_due(&mut self, now: Duration) -> Option<u64> {
        let &(due, number) = self.due.first()?;
        if due > now {
            return None;
        }
        let wait = self.notices.get(&number)?.wait;
        self.due.pop_first();
        self.schedule(number, Attempt { due: now + wait, wait: (2 * wait).min(LONGEST_WAIT) });
        Some(number)
    }

    /// The receiver has acknowledged it: the store may forget it. `false` if it was not here.
    pub fn acknowledged(&mut self, number: u64) -> bool {
        let Some(attempt) = self.notices.remove(&number) else { return false };
        self.due.remove(&(attempt.due, number));
        true
    }

    /// The receiver is there again: everything is due at once.
    pub fn reconnected(&mut self, now: Duration) {
        self.due.clear();
        for (number, attempt) in &mut self.notices {
            *attempt = Attempt { due: now, wait: FIRST_WAIT };
            self.due.insert((now, *number));
        }
    }

    /// When [`Outbox::next_due`] has something next.
    pub fn deadline(&self) -> Option<Duration> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Notices not acknowledged yet.
    pub fn len(&self) -> usize {
        self.notices.len()
    }

    /// Whether everything has been acknowledged.
    pub fn is_empty(&self) -> bool {
        self.notices.is_empty()
    }

    fn schedule(&mut self, number: u64, attempt: Attempt) {
        self.notices.insert(number, attempt);
        self.due.insert((attempt.due, number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_sent_again_at_growing_intervals_until_it_is_acknowledged() {
        let mut outbox = Outbox::default();
        let mut now = Duration::from_secs(1000);
        outbox.add(7, now);
        outbox.add(7, now);
        let mut waits = Vec::new();
        for _ in 0..9 {
            assert_eq!(outbox.next_due(now), Some(7));
            assert_eq!(outbox.next_due(now), None);
            let next = outbox.deadline().unwrap();
            waits.push((next - now).as_secs());
            now = next;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert!(outbox.acknowledged(7));
        assert!(!outbox.acknowledged(7));
        assert_eq!((outbox.next_due(now), outbox.deadline(), outbox.is_empty()), (None, None, true));
    }

    #[test]
    fn after_a_reconnection_everything_is_due_at_once_in_order() {
        let mut outbox = Outbox::default();
        let now = Duration::from_secs(1000);
        for number in [3, 1, 2] {
            outbox.add(number, now);
        }
        while outbox.next_due(now).is_some() {}
        outbox.acknowledged(2);
        outbox.reconnected(now);
        assert_eq!(
            [outbox.next_due(now), outbox.next_due(now), outbox.next_due(now)],
            [Some(1), Some(3), None]
        );
        assert_eq!(outbox.len(), 2);
    }
}
