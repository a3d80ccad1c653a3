//! Says when a commit held notices: whoever delivers them need not look for them all the time, and no one who changes
//! something can forget to say so.

use crate::{
    Engine, Failure, Statistics, StoreError,
    audit::Transactions,
    sql::{Row, Session, Turn, Value},
};
use std::sync::Arc;
use tokio::sync::Notify;

/// An engine that signals the commits of this process that held notices.
#[derive(Clone, Debug)]
pub(super) struct Signalling {
    engine: Engine,
    committed: Arc<Notify>,
}

impl Signalling {
    pub fn new(engine: Engine) -> Self {
        Self { engine, committed: Arc::default() }
    }

    /// Resolves after the next commit that holds notices; one that came while nobody waited is not lost.
    pub async fn notices_committed(&self) {
        self.committed.notified().await;
    }

    /// Whether others write at the same time, so that one of two transactions may have to give way.
    pub const fn has_several_writers(&self) -> bool {
        matches!(self.engine, Engine::Postgres(_))
    }

    /// As [`Engine::write`].
    pub async fn write<T: Send + 'static, E: Failure>(
        &self,
        work: impl FnOnce(&mut dyn Session) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let done = self.engine.write(move |s| noting(s, work)).await;
        self.signalled(done)
    }

    /// As [`Engine::write_statement`].
    pub async fn write_statement<T: Send + 'static, E: Failure>(
        &self,
        work: impl FnOnce(&mut dyn Session) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let done = self.engine.write_statement(move |s| noting(s, work)).await;
        self.signalled(done)
    }

    /// As [`Engine::read`].
    pub async fn read<T: Send + 'static, E: Failure>(
        &self,
        work: impl FnOnce(&mut dyn Session) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        self.engine.read(work).await
    }

    /// As [`Engine::snapshot`].
    pub async fn snapshot<T: Send + 'static, E: Failure>(
        &self,
        work: impl FnOnce(&mut dyn Session) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        self.engine.snapshot(work).await
    }

    /// As [`Engine::statistics`].
    pub fn statistics(&self) -> Statistics {
        self.engine.statistics()
    }

    /// Only after the commit: whoever is woken sooner would look, find nothing, and go back to sleep. A caller that is dropped
    /// between the commit and this leaves its notices to the next look, which comes by itself.
    fn signalled<T, E>(&self, done: Result<(T, bool), E>) -> Result<T, E> {
        let (value, held) = done?;
        if held {
            self.committed.notify_one();
        }
        Ok(value)
    }
}

impl Transactions for Signalling {
    async fn writing<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Session) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write(work).await
    }

    async fn reading<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Session) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.read(work).await
    }
}

/// Does `work`, and says whether it put notices into the transaction.
fn noting<T, E>(
    session: &mut dyn Session,
    work: impl FnOnce(&mut dyn Session) -> Result<T, E>,
) -> Result<(T, bool), E> {
    let mut noting = Noting { session, held: false };
    let value = work(&mut noting)?;
    Ok((value, noting.held))
}

struct Noting<'a> {
    session: &'a mut dyn Session,
    held: bool,
}

impl Session for Noting<'_> {
    fn note_notices(&mut self) {
        self.held = true;
    }

    fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        self.session.execute(sql, values)
    }

    fn query(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        self.session.query(sql, values, each)
    }

    fn lock_table(&mut self, table: &str) -> Result<(), StoreError> {
        self.session.lock_table(table)
    }

    fn take_turn(&mut self, turn: Turn) -> Result<(), StoreError> {
        self.session.take_turn(turn)
    }

    fn columns(&mut self, table: &str) -> Result<Vec<String>, StoreError> {
        self.session.columns(table)
    }

    fn locking(&self) -> &'static str {
        self.session.locking()
    }

    fn passing_over(&self) -> &'static str {
        self.session.passing_over()
    }

    fn number_on(&mut self, table: &str, key: &str) -> Result<(), StoreError> {
        self.session.number_on(table, key)
    }
}
