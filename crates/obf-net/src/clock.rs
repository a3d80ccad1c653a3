//! The time of day, in one place: everything below this layer takes `now` as a parameter.

use obf_types::UnixTime;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

/// Where a node takes the time of day from.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Now, in whole seconds. Never goes back except when the operator sets the system's clock back.
    fn now(&self) -> UnixTime;
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixTime {
        UnixTime(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs()))
    }
}

/// What a node takes from its surroundings beside its configuration.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The time of day.
    pub clock: Arc<dyn Clock>,
}

impl Default for Environment {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock) }
    }
}

/// The system's clock, moved forward at will: shows expiry without waiting for it.
#[derive(Debug, Default)]
pub struct OffsetClock(AtomicU64);

impl OffsetClock {
    /// At the system's time.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Moves forward by that many seconds.
    pub fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

impl Clock for OffsetClock {
    fn now(&self) -> UnixTime {
        UnixTime(SystemClock.now().0.saturating_add(self.0.load(Ordering::Relaxed)))
    }
}
