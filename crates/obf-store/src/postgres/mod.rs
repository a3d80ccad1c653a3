//! PostgreSQL as an engine: a few connections, each a thread, and jobs that each run in a transaction of their own.
//! The server commits concurrent transactions with one fsync where it can. Several nodes may share a database.

mod dialect;
mod listen;
mod session;

use crate::{
    Failure, OpenError, Statistics, StoreError,
    sql::{Session, Value},
};
pub(crate) use listen::Listener;
use openssl::ssl::{SslConnector, SslMethod};
use postgres::{
    Client, Config,
    config::{Host, SslMode},
};
use postgres_openssl::MakeTlsConnector;
use session::{Connected, failed};
use std::{
    fmt,
    net::IpAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// Jobs that may wait; one more is refused as [`StoreError::Overloaded`].
const QUEUE: usize = 16_384;
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// After an attempt to connect that took this long, as when a network is down, others fail at once for as long again.
const SLOW: Duration = Duration::from_secs(1);
/// A peer that was not heard for so long, while something was sent to it, is gone.
const UNHEARD: Duration = Duration::from_secs(10);
/// Said once on every connection. An acknowledged write has been fsynced, whatever the server's default.
const SETTINGS: &str = "SET synchronous_commit = on; SET lock_timeout = '10s'; SET statement_timeout = '60s'; \
                        SET idle_in_transaction_session_timeout = '60s'; SET timezone = 'UTC'";

/// What a job gets.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Transaction {
    /// It may change something.
    Writing,
    /// It reads, all of it from one snapshot.
    Snapshot,
}

impl Transaction {
    const fn begin(self) -> &'static str {
        match self {
            Self::Writing => "BEGIN",
            Self::Snapshot => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        }
    }
}

/// Where the database is and how it is used.
#[derive(Clone)]
pub struct PostgresOptions {
    config: Config,
    connections: usize,
}

impl PostgresOptions {
    /// From a connection string, `postgres://user@host/database` or `host=… dbname=…` (libpq's), with eight
    /// connections. `password` is given apart so that it need not stand in a configuration. Between hosts write
    /// `sslmode=require`: the server's certificate is then verified against the system's trust anchors.
    ///
    /// # Errors
    /// The text is no connection string, or one to another host in clear.
    pub fn new(connection: &str, password: Option<&[u8]>) -> Result<Self, StoreError> {
        let mut config: Config = connection.parse().map_err(|error| failed(&error))?;
        if let Some(password) = password {
            config.password(password);
        }
        let local = |host: &Host| match host {
            Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback()),
            Host::Unix(_) => true,
        };
        if config.get_ssl_mode() != SslMode::Require && !config.get_hosts().iter().all(local) {
            let reason =
                "between hosts the connection is encrypted: write ?sslmode=require behind the database";
            return Err(StoreError::Other(reason.into()));
        }
        config.connect_timeout(CONNECT).application_name("obf");
        config.keepalives_idle(UNHEARD).keepalives_interval(UNHEARD / 3).keepalives_retries(3);
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(UNHEARD);
        }
        Ok(Self { config, connections: 8 })
    }

    /// How many connections, each a thread; at least one.
    #[must_use]
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections.max(1);
        self
    }
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresOptions({} connections)", self.connections)
    }
}

/// Connections to one database; clones share them. The last clone dropped ends them after all queued jobs are done.
#[derive(Clone)]
pub struct Pool {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    queue: Option<SyncSender<Job>>,
    threads: Vec<JoinHandle<()>>,
    shared: Arc<Shared>,
}

/// What the connections of a pool share.
#[derive(Debug, Default)]
struct Shared {
    commits: AtomicU64,
    /// Messages that were sent and answered.
    round_trips: Arc<AtomicU64>,
    /// Until when nobody tries to connect, and why not.
    away: Mutex<Option<(Instant, StoreError)>>,
}

type Job = Box<dyn FnOnce(&mut Worker) + Send>;

impl Pool {
    /// Connects, and brings the database's tables to the newest version.
    ///
    /// # Errors
    /// [`OpenError`]: not reachable, not permitted, of a newer version.
    pub fn open(options: &PostgresOptions, owner: &str, migrations: &[&str]) -> Result<Self, OpenError> {
        let shared = Arc::<Shared>::default();
        let worker = || Worker { config: options.config.clone(), connected: None, shared: shared.clone() };
        let mut first = worker();
        migrate(first.connected()?, owner, migrations)?;
        let (queue, jobs) = sync_channel(QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        let mut workers = vec![first];
        workers.extend((1..options.connections).map(|_| worker()));
        let threads = workers.into_iter().map(|worker| {
            let jobs = jobs.clone();
            std::thread::Builder::new()
                .name("obf-store-pg".into())
                .spawn(move || worker.run(&jobs))
                .map_err(|error| StoreError::Io(error.to_string()))
        });
        let threads = threads.collect::<Result<_, _>>()?;
        Ok(Self {
            inner: Arc::new(Inner { config: options.config.clone(), queue: Some(queue), threads, shared }),
        })
    }

    /// Runs `work` on one snapshot, on a connection of its own that is closed afterwards; blocks.
    ///
    /// # Errors
    /// As [`Pool::run`].
    pub fn snapshot<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&mut dyn Session) -> Result<T, E>,
    ) -> Result<T, E> {
        let config = self.inner.config.clone();
        let mut worker = Worker { config, connected: None, shared: self.inner.shared.clone() };
        // It waits for whoever takes the rows.
        worker
            .connected()?
            .batch("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")?;
        worker.transact(Transaction::Snapshot, work)
    }

    /// Transactions of this process so far; how many fsyncs they took only the server knows.
    pub fn statistics(&self) -> Statistics {
        let commits = self.inner.shared.commits.load(Ordering::Relaxed);
        let round_trips = self.inner.shared.round_trips.load(Ordering::Relaxed);
        Statistics { commits, jobs: commits, round_trips }
    }

    /// Runs `work` in a transaction; what it changed is durable, and what it reads is everything that was acknowledged
    /// before.
    ///
    /// # Errors
    /// What `work` returns, or the [`StoreError`] that kept the transaction from being committed.
    pub(crate) async fn run<T: Send + 'static, E: Failure>(
        &self,
        transaction: Transaction,
        work: impl FnOnce(&mut dyn Session) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        self.submit(move |worker| worker.transact(transaction, work)).await
    }

    /// Runs `work`, which is exactly one statement, as a transaction by itself: one round trip. If the connection is lost
    /// before it is answered, it is run once more and told so: the server may have done it already.
    ///
    /// # Errors
    /// As [`Pool::run`].
    pub(crate) async fn alone<T: Send + 'static>(
        &self,
        work: impl Fn(&mut dyn Session, bool) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.submit(move |worker| worker.alone(work)).await
    }

    async fn submit<T: Send + 'static, E: Failure>(
        &self,
        work: impl FnOnce(&mut Worker) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        // A caller that is dropped while it waits takes nothing back: the job is done, and its answer goes to nobody.
        let (answer, receiver) = oneshot::channel();
        let job: Job = Box::new(move |worker| {
            let result = catch_unwind(AssertUnwindSafe(|| work(worker)));
            let _ = answer.send(result.unwrap_or_else(|_| {
                // What it left undone on the connection is undone with the connection.
                worker.connected = None;
                Err(StoreError::Closed.into())
            }));
        });
        let queue = self.inner.queue.as_ref().ok_or(StoreError::Closed)?;
        queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Overloaded,
            TrySendError::Disconnected(_) => StoreError::Closed,
        })?;
        receiver.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({} connections)", self.inner.threads.len())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            // The last handle may be dropped by a job, on a thread that cannot wait for its own end.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

struct Worker {
    config: Config,
    connected: Option<Connected>,
    shared: Arc<Shared>,
}

impl Worker {
    fn run(mut self, jobs: &Mutex<Receiver<Job>>) {
        loop {
            let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(job) = next else { return };
            job(&mut self);
        }
    }

    /// The connection, made anew if it was lost: a server that comes back is found by the next job.
    fn connected(&mut self) -> Result<&mut Connected, StoreError> {
        if !self.connected.as_ref().is_some_and(Connected::lives) {
            self.connected = None;
            let mut connected = Connected::new(self.connect()?, self.shared.round_trips.clone());
            connected.batch(SETTINGS)?;
            self.connected = Some(connected);
        }
        self.connected.as_mut().ok_or(StoreError::Closed)
    }

    /// Jobs must not wait one after the other for a network that is down.
    fn connect(&self) -> Result<Client, StoreError> {
        let lock = || self.shared.away.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((until, error)) = &*lock()
            && Instant::now() < *until
        {
            return Err(error.clone());
        }
        let began = Instant::now();
        let connected = open(&self.config);
        *lock() = match &connected {
            Err(error) if began.elapsed() >= SLOW => Some((Instant::now() + began.elapsed(), error.clone())),
            _ => None,
        };
        connected
    }

    fn alone<T>(
        &mut self,
        work: impl Fn(&mut dyn Session, bool) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut answer = work(self.connected()?, false);
        // A connection that the server closed while it lay idle is told apart from a server that is gone.
        if matches!(answer, Err(StoreError::Io(_))) {
            self.connected = None;
            answer = work(self.connected()?, true);
        }
        if answer.is_ok() {
            self.shared.commits.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    fn transact<T, E: From<StoreError>>(
        &mut self,
        transaction: Transaction,
        work: impl FnOnce(&mut dyn Session) -> Result<T, E>,
    ) -> Result<T, E> {
        let connected = self.connected()?;
        // A connection that the server closed while it lay idle is told apart from a server that is gone.
        if connected.batch(transaction.begin()).is_err() {
            self.connected = None;
            self.connected()?.batch(transaction.begin())?;
        }
        let connected = self.connected()?;
        match work(connected) {
            Ok(value) => {
                connected.batch("COMMIT")?;
                self.shared.commits.fetch_add(1, Ordering::Relaxed);
                Ok(value)
            }
            Err(error) => {
                if connected.batch("ROLLBACK").is_err() {
                    self.connected = None;
                }
                Err(error)
            }
        }
    }
}

/// A new connection.
fn open(config: &Config) -> Result<Client, StoreError> {
    let connector = SslConnector::builder(SslMethod::tls_client());
    let connector = connector.map_err(|error| StoreError::Other(error.to_string()))?.build();
    let mut config = config.clone();
    if config.get_ssl_mode() == SslMode::Prefer {
        config.ssl_mode(SslMode::Disable);
    }
    config.connect(MakeTlsConnector::new(connector)).map_err(|error| failed(&error))
}

/// All steps or none; safe against another node doing the same.
fn migrate(connected: &mut Connected, owner: &str, migrations: &[&str]) -> Result<(), OpenError> {
    connected.batch(
        "BEGIN; SELECT pg_advisory_xact_lock(324732);
         CREATE TABLE IF NOT EXISTS obf_schema (owner TEXT PRIMARY KEY, version BIGINT NOT NULL)",
    )?;
    let known = [Value::Text(owner)];
    let other = "SELECT owner FROM obf_schema WHERE owner <> ?1";
    let found = (connected as &mut dyn Session).one(other, &known, |row| Ok(row.string(0)?.to_owned()))?;
    if let Some(other) = found {
        connected.batch("ROLLBACK")?;
        let reason =
            format!("it is a database of another kind of node ({other}): give each kind one of its own");
        return Err(StoreError::Other(reason).into());
    }
    let session: &mut dyn Session = connected;
    let found = session
        .one("SELECT version FROM obf_schema WHERE owner = ?1", &known, |row| row.fitting::<usize>(0))?;
    let version = found.unwrap_or(0);
    if version > migrations.len() {
        connected.batch("ROLLBACK")?;
        return Err(OpenError::NewerSchema { found: version, known: migrations.len() });
    }
    for step in migrations.iter().skip(version) {
        connected.batch(&dialect::schema(step))?;
    }
    connected.execute(
        "INSERT INTO obf_schema VALUES (?1, ?2) ON CONFLICT (owner) DO UPDATE SET version = excluded.version",
        &[Value::Text(owner), Value::from(migrations.len())],
    )?;
    Ok(connected.batch("COMMIT")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_host_is_reached_encrypted_or_not_at_all() {
        for local in
            ["postgresql://obf@127.0.0.1/rs", "postgresql://obf@localhost/rs", "host=/run/postgresql"]
        {
            assert!(PostgresOptions::new(local, None).is_ok(), "{local}");
        }
        assert!(PostgresOptions::new("postgresql://obf@db.example/rs?sslmode=require", None).is_ok());
        for clear in ["postgresql://obf@db.example/rs", "postgresql://obf@192.0.2.1/rs?sslmode=prefer"] {
            let error = PostgresOptions::new(clear, None).unwrap_err().to_string();
            assert!(error.contains("sslmode=require"), "{error}");
        }
    }
}
