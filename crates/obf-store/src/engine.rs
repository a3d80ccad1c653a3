//! The engines behind one face: SQLite in this process, or a PostgreSQL server.

use crate::{
    Database, Failure, Statistics, StoreError,
    postgres::{Pool, Transaction},
    sql::Session,
    sqlite::SqliteSession,
};

/// A database of whichever engine; clones share it.
#[derive(Clone, Debug)]
pub enum Engine {
    /// One file, written by one thread with group commit.
    Sqlite(Database),
    /// A server, over several connections.
    Postgres(Pool),
}

impl Engine {
    /// Runs `work` in a transaction and returns its result after what it did is durable. If `work` fails, its changes
    /// are undone.
    ///
    /// # Errors
    /// What `work` returns, or the [`StoreError`] that kept it from being committed.
    pub async fn write<T: Send + 'static, E: Failure>(
        &self,
        work: impl FnOnce(&mut dyn Session) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        match self {
            Self::Sqlite(database) => database.write(move |c| work(&mut SqliteSession(c))).await,
            Self::Postgres(pool) => pool.run(Transaction::Writing, work).await,
        }
    }

    /// As [`Engine::write`] for work whose last statement is the only changing one that can fail: nothing needs to be
    /// undone, and SQLite saves a savepoint.
    ///
    /// # Errors
    /// As [`Engine::write`].
    pub async fn write_statement<T: Send + 'static, E: Failure>(
        &self,
        work: impl FnOnce(&mut dyn Session) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        match self {
            Self::Sqlite(database) => database.write_statement(move |c| work(&mut SqliteSession(c))).await,
            Self::Postgres(pool) => pool.run(Transaction::Writing, work).await,
        }
    }

    /// As [`Engine::write`] for work that is exactly one statement: a transaction by itself, for which PostgreSQL is asked
    /// once. Done twice it is as done once: it is repeated if the connection is lost before the answer comes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn write_alone<T: Send + 'static>(
        &self,
        work: impl Fn(&mut dyn Session) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        match self {
            Self::Sqlite(database) => database.write_statement(move |c| work(&mut SqliteSession(c))).await,
            Self::Postgres(pool) => pool.alone(move |s, _| work(s)).await,
        }
    }

    /// As [`Engine::read`] for work that is exactly one statement: a snapshot by itself, for which PostgreSQL is asked once.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn read_alone<T: Send + 'static>(
        &self,
        work: impl Fn(&mut dyn Session) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        match self {
            Self::Sqlite(database) => database.read(move |c| work(&mut SqliteSession(c))).await,
            Self::Postgres(pool) => pool.alone(move |s, _| work(s)).await,
        }
    }

    /// Runs `work` on one snapshot; it sees every write that was acknowledged before.
    ///
    /// # Errors
    /// What `work` returns, or a [`StoreError`].
    pub async fn read<T: Send + 'static, E: Failure>(
        &self,
        work: impl FnOnce(&mut dyn Session) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        match self {
            Self::Sqlite(database) => {
                database
                    .read(move |c| {
                        let _snapshot = c.unchecked_transaction().map_err(StoreError::from)?;
                        work(&mut SqliteSession(c))
                    })
                    .await
            }
            Self::Postgres(pool) => pool.run(Transaction::Snapshot, work).await,
        }
    }

    /// As [`Engine::read`], for work that takes long: it has a connection and a thread of its own.
    ///
    /// # Errors
    /// As [`Engine::read`], or none can be had.
    pub async fn snapshot<T: Send + 'static, E: Failure>(
        &self,
        work: impl FnOnce(&mut dyn Session) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let engine = self.clone();
        let job = move || match engine {
            Self::Sqlite(database) => {
                let connection = database.connect_to_read()?;
                let _snapshot = connection.unchecked_transaction().map_err(StoreError::from)?;
                work(&mut SqliteSession(&connection))
            }
            Self::Postgres(pool) => pool.snapshot(work),
        };
        tokio::task::spawn_blocking(job).await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    /// Commits and jobs of this process so far.
    pub fn statistics(&self) -> Statistics {
        match self {
            Self::Sqlite(database) => database.statistics(),
            Self::Postgres(pool) => pool.statistics(),
        }
    }
}
