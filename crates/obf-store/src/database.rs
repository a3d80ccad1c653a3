//! One database file: opened, configured, migrated; written by one thread, read by others.

use crate::{
    error::{Failure, OpenError, StoreError},
    readers::Readers,
    schema::Schema,
    turn::{Turn, wait_again},
    writer::{Isolation, Statistics, Writer},
};
use rusqlite::{Connection, OpenFlags, config::DbConfig};
use std::{
    ffi::CString,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
};

const CACHED_STATEMENTS: usize = 128;
/// Pages in the log (16 MiB) at which they are written to the database file: the same few pages change again and again,
/// and are written once each time.
const CHECKPOINT_PAGES: u32 = 4096;
/// KiB of pages that the writer keeps in memory: identities and token ids come in no order, so that any page of their
/// indices may be next.
const WRITER_CACHE: i32 = 16 * 1024;

/// Where and how to open a database.
#[derive(Clone, Debug)]
pub struct Options {
    path: PathBuf,
    readers: usize,
    vfs: Option<CString>,
}

impl Options {
    /// The file at that path, created if absent (mode 0600), with two readers.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), readers: 2, vfs: None }
    }

    /// How many read-only connections, each a thread; at least one.
    #[must_use]
    pub fn readers(mut self, readers: usize) -> Self {
        self.readers = readers.max(1);
        self
    }

    /// Another registered SQLite VFS than the operating system's: the fault-injecting one of the tests.
    #[cfg(feature = "fault-injection")]
    #[must_use]
    pub fn vfs(mut self, vfs: &crate::fault::PowerLossVfs) -> Self {
        self.vfs = Some(vfs.name().to_owned());
        self
    }
}

/// A database shared by everything in this process; clones are the same database. Other processes on this host
/// may have it open too. The last clone dropped ends its threads after all queued writes are done.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    options: Options,
    running: Option<(Writer, Readers)>,
    threads: Vec<JoinHandle<()>>,
}

impl Database {
    /// Opens (WAL, `synchronous=FULL`, foreign keys on) and migrates.
    ///
    /// # Errors
    /// [`OpenError`]: of another owner, of a newer version, damaged, locked, or not accessible.
    pub fn open(options: &Options, schema: &Schema) -> Result<Self, OpenError> {
        create_private(&options.path)?;
        let turn = Turn::beside(&options.path)?;
        let mut writing = connect(options)?;
        turn.take(|| {
            writing.pragma_update(None, "journal_mode", "wal").map_err(StoreError::from)?;
            Ok(schema.migrate(&mut writing))
        })??;
        writing.pragma_update(None, "synchronous", "full")?;
        writing.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        writing.pragma_update(None, "cache_size", -WRITER_CACHE)?;
        let reading = (0..options.readers)
            .map(|_| {
                let connection = connect(options)?;
                connection.pragma_update(None, "query_only", true)?;
                Ok(connection)
            })
            .collect::<Result<Vec<_>, OpenError>>()?;
        let (readers, mut threads) = Readers::start(reading)?;
        let (writer, thread) = Writer::start(writing, turn)?;
        threads.push(thread);
        let inner = Inner { options: options.clone(), running: Some((writer, readers)), threads };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.inner.options.path
    }

    /// Runs `work` in a transaction shared with whatever else is queued, and returns its result after the commit
    /// has been fsynced. If `work` fails, its changes (and no others) are undone. The work is done even if the
    /// future is dropped.
    ///
    /// # Errors
    /// What `work` returns, or the [`StoreError`] that kept the transaction from being committed.
    pub async fn write<T: Send + 'static, E: Failure>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        self.submit(Isolation::Savepoint, work).await
    }

    /// As [`Database::write`] for work that executes exactly one changing statement (reads beside it are free):
    /// that is atomic by itself and saves a savepoint.
    ///
    /// # Errors
    /// As [`Database::write`].
    pub async fn write_statement<T: Send + 'static, E: Failure>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        self.submit(Isolation::SingleStatement, work).await
    }

    /// As [`Database::write`] for work that looks at everything that may be wrong before it changes anything, so that
    /// after its first change only the database itself can fail it: it has no savepoint, and should it fail, the whole
    /// transaction is undone and everybody in it is told.
    ///
    /// # Errors
    /// As [`Database::write`]; or the [`StoreError`] of another such work in the same transaction.
    pub async fn write_checked<T: Send + 'static, E: Failure>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        self.submit(Isolation::WithTheOthers, work).await
    }

    /// Runs `work` on a read-only connection; it sees every write that was acknowledged before.
    ///
    /// # Errors
    /// What `work` returns, or a [`StoreError`].
    pub async fn read<T: Send + 'static, E: Failure>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let (_, readers) = self.inner.running.as_ref().ok_or(StoreError::Closed)?;
        let answer = readers.submit(work)?;
        answer.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    /// Another connection that only reads, for whoever needs one for long.
    ///
    /// # Errors
    /// The file cannot be opened again.
    pub(crate) fn connect_to_read(&self) -> Result<Connection, StoreError> {
        let connection = connect(&self.inner.options).map_err(|error| match error {
            OpenError::Store(error) => error,
            other => StoreError::Other(other.to_string()),
        })?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }

    /// Commits and jobs of this process so far.
    pub fn statistics(&self) -> Statistics {
        self.inner.running.as_ref().map(|(writer, _)| writer.statistics()).unwrap_or_default()
    }

    async fn submit<T: Send + 'static, E: Failure>(
        &self,
        isolation: Isolation,
        work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let (writer, _) = self.inner.running.as_ref().ok_or(StoreError::Closed)?;
        let answer = writer.submit(isolation, work)?;
        answer.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({})", self.inner.options.path.display())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.running = None;
        for thread in self.threads.drain(..) {
            // The last clone may be dropped by a job, on a thread of the store itself.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

fn connect(options: &Options) -> Result<Connection, OpenError> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = match &options.vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(&options.path, flags, vfs.as_c_str())?,
        None => Connection::open_with_flags(&options.path, flags)?,
    };
    connection.busy_handler(Some(wait_again))?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    connection.pragma_update(None, "foreign_keys", true)?;
    // Without this, SQLite plans a cached statement anew whenever a bound value changes: a fifth of a vector's cost.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Deleted rows may have held wrapped keys: overwrite them.
    connection.pragma_update(None, "secure_delete", true)?;
    Ok(connection)
}

/// Creates the file for its owner alone (SQLite gives `-wal` and `-shm` the same mode) and makes its name durable:
/// SQLite syncs the directory for its logs only.
fn create_private(path: &Path) -> Result<(), StoreError> {
    let failed = |error: std::io::Error| StoreError::ReadOnly(format!("{}: {error}", path.display()));
    let mut options = std::fs::OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(failed)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = std::fs::File::open(directory.unwrap_or(Path::new("."))).map_err(failed)?;
    directory.sync_all().map_err(failed)
}
