//! The one writer of a process: queued jobs run in one transaction, and each is told so after the fsync.

use crate::{error::StoreError, turn::Turn};
use rusqlite::Connection;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{JoinHandle, Thread},
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// Jobs that may wait; one more is refused as [`StoreError::Overloaded`].
const QUEUE: usize = 16_384;
/// Jobs of one transaction: bounds how long the first of them waits for the last.
const BATCH: usize = 1024;

/// How long a busy writer rests between two transactions at most, so that those which are about to come share the next
/// one: a transaction costs about as much processor time as the changes of ten jobs (its fsync, its locks, some turns of
/// the scheduler), and a page that several of them touch is written once.
const REST: Duration = Duration::from_millis(8);
/// Jobs that must be expected within [`REST`] for a writer to be busy.
const WORTH: u128 = 2;
/// How long jobs are counted before they tell a rate.
const COUNTED: Duration = Duration::from_millis(10);
/// Jobs that end any rest: with so many to share a transaction more would hardly make each cheaper, and whoever sent them
/// prepares the next ones while these are done.
const ENOUGH: usize = 32;
/// One rest in so many waits for [`ENOUGH`], and shows how many jobs there are to wait for.
const PROBED: u32 = 8;

/// What the writer did since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Transactions committed; each is one fsync of the log.
    pub commits: u64,
    /// Jobs in them.
    pub jobs: u64,
    /// Messages sent to the database's server and answered; none for SQLite, which has none.
    pub round_trips: u64,
}

pub(crate) struct Writer {
    queue: SyncSender<Box<dyn Job>>,
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Default)]
struct Shared {
    commits: AtomicU64,
    jobs: AtomicU64,
    /// Jobs in the queue.
    waiting: AtomicUsize,
    /// So many in the queue end the writer's rest; 0: it does not rest.
    wanted: AtomicUsize,
}

impl Writer {
    /// Starts the writer's thread, which ends when the last `Writer` is dropped and all jobs are done.
    pub fn start(connection: Connection, turn: Turn) -> Result<(Self, JoinHandle<()>), StoreError> {
        let (queue, jobs) = sync_channel(QUEUE);
        let shared = Arc::<Shared>::default();
        let its = shared.clone();
        let handle = std::thread::Builder::new()
            .name("obf-store-write".into())
            .spawn(move || run(&connection, &turn, &jobs, &its))
            .map_err(|error| StoreError::Io(error.to_string()))?;
        let thread = handle.thread().clone();
        Ok((Self { queue, shared, thread }, handle))
    }

    pub fn statistics(&self) -> Statistics {
        Statistics {
            commits: self.shared.commits.load(Ordering::Relaxed),
            jobs: self.shared.jobs.load(Ordering::Relaxed),
            round_trips: 0,
        }
    }

    pub fn submit<T, E>(
        &self,
        isolation: Isolation,
        work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T, E>>, StoreError>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, receiver) = oneshot::channel();
        let job = Task { isolation, work: Some(work), result: None, answer };
        // Counted first: the writer may have done it before this thread goes on.
        let waiting = self.shared.waiting.fetch_add(1, Ordering::Relaxed) + 1;
        if let Err(error) = self.queue.try_send(Box::new(job)) {
            self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(match error {
                TrySendError::Full(_) => StoreError::Overloaded,
                TrySendError::Disconnected(_) => StoreError::Closed,
            });
        }
        if waiting == self.shared.wanted.load(Ordering::Relaxed) {
            self.thread.unpark();
        }
        Ok(receiver)
    }
}

/// What keeps a failing job from leaving half of its work in the transaction that others share.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// A savepoint around it.
    Savepoint,
    /// Nothing: the job executes one changing statement, and that is atomic anyhow.
    SingleStatement,
    /// Nothing: if it fails, the transaction does.
    WithTheOthers,
}

trait Job: Send {
    fn isolation(&self) -> Isolation;
    /// Does the work and keeps the result; true if it is to be committed.
    fn run(&mut self, connection: &Connection) -> bool;
    /// Hands the result out, or the error that undid it.
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>);
}

struct Task<T, E, W> {
    isolation: Isolation,
    work: Option<W>,
    result: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<T, E, W> Job for Task<T, E, W>
where
    T: Send,
    E: From<StoreError> + Send,
    W: FnOnce(&Connection) -> Result<T, E> + Send,
{
    fn isolation(&self) -> Isolation {
        self.isolation
    }

    fn run(&mut self, connection: &Connection) -> bool {
        let Some(work) = self.work.take() else { return false };
        // A panicking job must not take the writer, and everybody else's work, down with it.
        self.result = catch_unwind(AssertUnwindSafe(|| work(connection))).ok();
        matches!(self.result, Some(Ok(_)))
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) {
        let result = match (outcome, self.result) {
            // A job that failed by itself keeps its own reason.
            (_, Some(Err(error))) => Err(error),
            (Ok(()), Some(Ok(value))) => Ok(value),
            (Ok(()), None) => Err(StoreError::Closed.into()),
            (Err(error), _) => Err(error.into()),
        };
        // Nobody waiting any more is no error: the work is done all the same.
        let _ = self.answer.send(result);
    }
}

fn run(connection: &Connection, turn: &Turn, queue: &Receiver<Box<dyn Job>>, shared: &Shared) {
    let mut batch: Vec<Box<dyn Job>> = Vec::new();
    let mut pace = Pace::new(Instant::now());
    while let Ok(first) = queue.recv() {
        batch.push(first);
        // Begin first: what arrives while we wait for the lock still joins this transaction.
        let outcome = turn.take(|| execute(connection, "BEGIN IMMEDIATE")).and_then(|()| {
            batch.extend(queue.try_iter().take(BATCH - 1));
            transact(connection, &mut batch)
        });
        if outcome.is_ok() {
            shared.commits.fetch_add(1, Ordering::Relaxed);
            shared.jobs.fetch_add(batch.len() as u64, Ordering::Relaxed);
        } else if !connection.is_autocommit() {
            // Should even this fail, the next BEGIN does too and says why.
            let _ = execute(connection, "ROLLBACK");
        }
        shared.waiting.fetch_sub(batch.len(), Ordering::Relaxed);
        let wanted = pace.wanted(batch.len(), Instant::now());
        batch.drain(..).for_each(|job| job.answer(outcome.clone()));
        if let Some(wanted) = wanted {
            rest(shared, wanted);
        }
    }
}

/// Waits for so many jobs, for [`REST`] at most: so that a job which comes meanwhile does not wake this thread.
fn rest(shared: &Shared, wanted: usize) {
    let end = Instant::now() + REST;
    shared.wanted.store(wanted, Ordering::Relaxed);
    // Anything may unpark a thread. A job missed between the two is no harm: the rest is short.
    while shared.waiting.load(Ordering::Relaxed) < wanted
        && let Some(left) = end.checked_duration_since(Instant::now())
    {
        std::thread::park_timeout(left);
    }
    shared.wanted.store(0, Ordering::Relaxed);
}

/// How many jobs come.
struct Pace {
    since: Instant,
    jobs: u128,
    busy: bool,
    rests: u32,
    /// The last rest waited for [`ENOUGH`].
    probing: bool,
    probed: usize,
}

impl Pace {
    const fn new(now: Instant) -> Self {
        Self { since: now, jobs: 0, busy: false, rests: 0, probing: false, probed: 0 }
    }

    /// After a transaction of so many jobs: whether a rest is worth it, and how many jobs end it.
    fn wanted(&mut self, jobs: usize, now: Instant) -> Option<usize> {
        self.jobs += jobs as u128;
        let counted = now.saturating_duration_since(self.since);
        if counted >= COUNTED {
            self.busy = self.jobs * REST.as_nanos() >= WORTH * counted.as_nanos();
            (self.since, self.jobs) = (now, 0);
        }
        if !self.busy {
            (self.rests, self.probing) = (0, false);
            return None;
        }
        if self.probing {
            self.probed = jobs;
        }
        self.probing = self.probed >= ENOUGH || self.rests.is_multiple_of(PROBED);
        self.rests = self.rests.wrapping_add(1);
        Some(if self.probing { ENOUGH } else { self.probed.max(1) })
    }
}

fn transact(connection: &Connection, batch: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
    for job in batch {
        let savepoint = job.isolation() == Isolation::Savepoint;
        if savepoint {
            execute(connection, "SAVEPOINT job")?;
        }
        let keep = job.run(connection);
        // A full disk or a failing one makes SQLite roll the whole transaction back by itself.
        if connection.is_autocommit() {
            return Err(StoreError::CannotWrite("the transaction was rolled back".into()));
        }
        if !keep && job.isolation() == Isolation::WithTheOthers {
            return Err(StoreError::Io("another change of the same transaction failed".into()));
        }
        if savepoint {
            if !keep {
                execute(connection, "ROLLBACK TO job")?;
            }
            execute(connection, "RELEASE job")?;
        }
    }
    execute(connection, "COMMIT")
}

fn execute(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    Ok(connection.prepare_cached(sql)?.execute([]).map(|_| ())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_rests_only_while_jobs_come_in_numbers() {
        let start = Instant::now();
        let at = |micros: u64| start + Duration::from_micros(micros);
        let mut pace = Pace::new(start);
        // Two at once are no crowd; one each 500 µs are.
        assert_eq!(pace.wanted(2, at(100)), None);
        let rests: Vec<_> = (1..=40).map(|turn| pace.wanted(1, at(500 * turn)).is_some()).collect();
        assert!(!rests[0] && rests[39]);
        // After a pause the first one is answered at once, and one each 5 ms stay alone.
        assert_eq!(pace.wanted(1, at(1_000_000)), None);
        assert!((1..=40).all(|turn| pace.wanted(1, at(1_000_000 + 5_000 * turn)).is_none()));
    }

    #[test]
    fn a_rest_ends_with_as_many_jobs_as_the_last_probe_brought_or_with_enough() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        now += COUNTED;
        let mut after = |jobs| {
            now += Duration::from_millis(1);
            pace.wanted(jobs, now)
        };
        assert_eq!(after(100), Some(ENOUGH), "a probe");
        for jobs in [20, 20, 5, 20, 20, 20, 20] {
            assert_eq!(after(jobs), Some(20));
        }
        assert_eq!(after(20), Some(ENOUGH), "a probe again");
        for _ in 0..20 {
            assert_eq!(after(64), Some(ENOUGH), "there is no need to probe");
        }
        assert_eq!(after(10), Some(10), "fewer came");
    }
}
