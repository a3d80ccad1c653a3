//! Graceful end: listeners stop, what is under way finishes, and what has not finished at the deadline is dropped.

use std::{future::Future, time::Duration};
use tokio::sync::{mpsc, watch};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    Draining,
    Dropped,
}

/// Ends a group of tasks. Dropping it without [`Stopper::stop`] drops the tasks at once.
#[derive(Debug)]
pub struct Stopper {
    phase: watch::Sender<Phase>,
    running: Option<Running>,
    all_done: mpsc::Receiver<()>,
}

/// What a task holds while it runs. Clone it for each task; the group has ended when all are dropped.
#[derive(Clone, Debug)]
pub struct Running {
    phase: watch::Receiver<Phase>,
    _alive: mpsc::Sender<()>,
}

/// How a group of tasks ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Everything under way finished.
    Finished,
    /// The deadline came first; the rest was dropped.
    Cut,
}

impl Stopper {
    /// A new group.
    pub fn new() -> Self {
        let (phase, receiver) = watch::channel(Phase::Serving);
        let (alive, all_done) = mpsc::channel(1);
        Self { phase, running: Some(Running { phase: receiver, _alive: alive }), all_done }
    }

    /// A handle for a task of the group.
    pub fn running(&self) -> Running {
        #[expect(clippy::expect_used, reason = "only stop(), which consumes self, takes it")]
        self.running.clone().expect("present until stop")
    }

    /// Tells every task to finish, waits for it, drops what is left at the deadline.
    pub async fn stop(mut self, deadline: Duration) -> Drained {
        // Our own handle goes first: `all_done` closes when the last one is dropped, and this one would keep it open.
        self.running = None;
        self.phase.send_replace(Phase::Draining);
        if tokio::time::timeout(deadline, self.all_done.recv()).await.is_ok() {
            return Drained::Finished;
        }
        self.phase.send_replace(Phase::Dropped);
        self.all_done.recv().await;
        Drained::Cut
    }
}

impl Default for Stopper {
    fn default() -> Self {
        Self::new()
    }
}

impl Running {
    /// Resolves when the group is told to finish. Cancellation-safe.
    pub async fn stopping(&self) {
        self.reached(Phase::Draining).await;
    }

    /// Whether the group has been told to finish.
    pub fn is_stopping(&self) -> bool {
        *self.phase.borrow() >= Phase::Draining
    }

    /// Runs a task in the group; it is dropped at the deadline of [`Stopper::stop`].
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> tokio::task::JoinHandle<()> {
        let running = self.clone();
        // A connection's future is several kilobytes, and a task is moved four times on its way.
        let task = Box::pin(task);
        tokio::spawn(async move {
            // A task that can finish when the deadline strikes does. Dropped, it ends wherever it waits: what must not be lost
            // is in the store before it is acknowledged.
            tokio::select! {
                biased;
                () = task => {}
                () = running.reached(Phase::Dropped) => {}
            }
        })
    }

    async fn reached(&self, phase: Phase) {
        // An error means that the Stopper is gone: as good as told.
        let _ = self.phase.clone().wait_for(|now| *now >= phase).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_under_way_finishes_and_the_rest_is_cut() {
        let stopper = Stopper::new();
        let running = stopper.running();
        let polite = running.clone();
        running.spawn(async move { polite.stopping().await });
        drop(running);
        assert_eq!(stopper.stop(Duration::from_secs(10)).await, Drained::Finished);

        let stopper = Stopper::new();
        stopper.running().spawn(std::future::pending());
        assert_eq!(stopper.stop(Duration::from_millis(10)).await, Drained::Cut);
    }
}
