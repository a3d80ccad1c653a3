//! Further connections to the server in use, opened where more is asked than one connection can tell apart: radius/1.0
//! carries 256 requests in flight (WIRES "RADIUS on RPR and RPO").

use super::Connection;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// Further connections at most.
const MOST: usize = 15;
/// After a failure to open one, so long none is tried.
const PAUSE: Duration = Duration::from_secs(1);

/// Opens a further connection beside the given one.
pub type Opener =
    Box<dyn Fn(&Connection) -> Pin<Box<dyn Future<Output = Option<Connection>> + Send>> + Send + Sync>;

/// Where a request goes.
pub enum Room {
    /// On this connection.
    On(Connection),
    /// One more is being opened: look again when [`Overflow::changed`] says so.
    Soon,
    /// On the first connection, when it is its turn.
    Wait,
}

/// The further connections of one client.
pub struct Overflow {
    opener: Opener,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    further: Vec<Connection>,
    opening: bool,
    not_before: Option<Instant>,
}

impl Overflow {
    pub fn new(opener: Opener) -> Arc<Self> {
        Arc::new(Self { opener, state: Mutex::default(), changed: Notify::new() })
    }

    /// Where a request goes, `first` being full.
    pub fn room(self: &Arc<Self>, first: &Connection) -> Room {
        let mut state = self.state();
        state.further.retain(|one| !one.is_ended());
        if let Some(one) = state.further.iter().find(|one| one.has_room()) {
            return Room::On(one.clone());
        }
        if state.opening {
            return Room::Soon;
        }
        let too_soon = state.not_before.is_some_and(|time| Instant::now() < time);
        if state.further.len() >= MOST || too_soon {
            return Room::Wait;
        }
        // Under the lock in which nobody else was found to be opening: one at a time. The task is not dropped with the request
        // that made it, so that `opening` always comes back to false.
        state.opening = true;
        let (this, opening) = (Arc::clone(self), (self.opener)(first));
        tokio::spawn(async move {
            let opened = opening.await;
            {
                let mut state = this.state();
                state.opening = false;
                match opened {
                    Some(connection) => state.further.push(connection),
                    None => state.not_before = Some(Instant::now() + PAUSE),
                }
            }
            this.changed.notify_waiters();
        });
        Room::Soon
    }

    /// Resolves when opening has come to an end.
    pub async fn changed(&self) {
        // Made before the look at `opening`: had opening come to an end in between, this would wait for the next one's.
        let changed = self.changed.notified();
        if self.state().opening {
            changed.await;
        }
    }

    /// Ends all of them: the first connection is lost.
    pub fn close(&self) {
        self.state().further.drain(..).for_each(|one| one.close());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Overflow({})", self.state().further.len())
    }
}
