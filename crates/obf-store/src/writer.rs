//! The one writer of a process: queued jobs run in one transaction, and each is told so after the fsync.

use crate::{error::StoreError, turn::Turn};
use rusqlite::Connection;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};
use tokio::sync::oneshot;

/// Jobs that may wait; one more is refused as [`StoreError::Overloaded`].
const QUEUE: usize = 16_384;
/// Jobs of one transaction: bounds how long the first of them waits for the last.
const BATCH: usize = 1024;

/// A transaction of at least so many jobs means that many are being asked for at once …
const BUSY: usize = 8;
/// … and then the next one waits a moment for those that are about to come: without it the first of them would have an
/// fsync of its own, and the others would wait for that one anyhow.
const LINGER: Duration = Duration::from_micros(500);

/// What the writer did since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Transactions committed; each is one fsync of the log.
    pub commits: u64,
    /// Jobs in them.
    pub jobs: u64,
}

pub(crate) struct Writer {
    queue: SyncSender<Box<dyn Job>>,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Counters {
    commits: AtomicU64,
    jobs: AtomicU64,
}

impl Writer {
    /// Starts the writer's thread, which ends when the last `Writer` is dropped and all jobs are done.
    pub fn start(connection: Connection, turn: Turn) -> Result<(Self, JoinHandle<()>), StoreError> {
        let (queue, jobs) = sync_channel(QUEUE);
        let counters = Arc::<Counters>::default();
        let shared = counters.clone();
        let thread = std::thread::Builder::new()
            .name("obf-store-write".into())
            .spawn(move || run(&connection, &turn, &jobs, &shared))
            .map_err(|error| StoreError::Io(error.to_string()))?;
        Ok((Self { queue, counters }, thread))
    }

    pub fn statistics(&self) -> Statistics {
        Statistics {
            commits: self.counters.commits.load(Ordering::Relaxed),
            jobs: self.counters.jobs.load(Ordering::Relaxed),
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
        self.queue.try_send(Box::new(job)).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Overloaded,
            TrySendError::Disconnected(_) => StoreError::Closed,
        })?;
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

fn run(connection: &Connection, turn: &Turn, queue: &Receiver<Box<dyn Job>>, counters: &Counters) {
    let mut batch: Vec<Box<dyn Job>> = Vec::new();
    let mut last = 0;
    while let Ok(first) = queue.recv() {
        batch.push(first);
        if last >= BUSY {
            std::thread::sleep(LINGER);
        }
        // Begin first: what arrives while we wait for the lock still joins this transaction.
        let outcome = turn.take(|| execute(connection, "BEGIN IMMEDIATE")).and_then(|()| {
            batch.extend(queue.try_iter().take(BATCH - 1));
            transact(connection, &mut batch)
        });
        if outcome.is_ok() {
            counters.commits.fetch_add(1, Ordering::Relaxed);
            counters.jobs.fetch_add(batch.len() as u64, Ordering::Relaxed);
        } else if !connection.is_autocommit() {
            // Should even this fail, the next BEGIN does too and says why.
            let _ = execute(connection, "ROLLBACK");
        }
        last = batch.len();
        batch.drain(..).for_each(|job| job.answer(outcome.clone()));
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
            return Err(StoreError::Io("the transaction was rolled back".into()));
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
