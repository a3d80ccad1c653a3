//! One PostgreSQL connection: its statements prepared once, its transactions begun and ended around each job.

use super::dialect;
use crate::{
    StoreError,
    sql::{Row, Session, Turn, Value},
};
use bytes::BytesMut;
use postgres::{
    Client, Statement,
    error::SqlState,
    fallible_iterator::FallibleIterator,
    types::{IsNull, ToSql, Type},
};
use std::{
    collections::HashMap,
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// A connection and what it has prepared.
pub struct Connected {
    client: Client,
    prepared: HashMap<String, Statement>,
    round_trips: Arc<AtomicU64>,
}

impl Connected {
    pub fn new(client: Client, round_trips: Arc<AtomicU64>) -> Self {
        Self { client, prepared: HashMap::new(), round_trips }
    }

    /// False if the server is gone, or the connection was lost.
    pub fn lives(&self) -> bool {
        !self.client.is_closed()
    }

    /// Statements of one kind or another, without parameters.
    pub fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        self.round_trips.fetch_add(1, Ordering::Relaxed);
        self.client.batch_execute(sql).map_err(|error| failed(&error))
    }

    fn prepared(&mut self, sql: &str) -> Result<Statement, StoreError> {
        if let Some(statement) = self.prepared.get(sql) {
            return Ok(statement.clone());
        }
        self.round_trips.fetch_add(1, Ordering::Relaxed);
        let statement = self.client.prepare(&dialect::statement(sql)).map_err(|error| failed(&error))?;
        self.prepared.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

impl Session for Connected {
    fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let statement = self.prepared(sql)?;
        let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
        self.round_trips.fetch_add(1, Ordering::Relaxed);
        self.client.execute(&statement, &values).map_err(|error| failed(&error))
    }

    fn query(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let statement = self.prepared(sql)?;
        self.round_trips.fetch_add(1, Ordering::Relaxed);
        let mut rows = self.client.query_raw(&statement, values).map_err(|error| failed(&error))?;
        let mut wanted = true;
        while let Some(row) = rows.next().map_err(|error| failed(&error))? {
            wanted = wanted && each(&row)?;
        }
        Ok(())
    }

    fn lock_table(&mut self, table: &str) -> Result<(), StoreError> {
        self.batch(&format!("LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE"))
    }

    fn take_turn(&mut self, turn: Turn) -> Result<(), StoreError> {
        self.batch(&format!("SELECT pg_advisory_xact_lock({})", turn as i32))
    }

    fn columns(&mut self, table: &str) -> Result<Vec<String>, StoreError> {
        let statement = self.client.prepare(&format!("SELECT * FROM {table}"));
        let statement = statement.map_err(|error| failed(&error))?;
        Ok(statement.columns().iter().map(|column| column.name().to_owned()).collect())
    }

    fn locking(&self) -> &'static str {
        " FOR UPDATE"
    }

    fn passing_over(&self) -> &'static str {
        " FOR UPDATE SKIP LOCKED"
    }

    fn number_on(&mut self, table: &str, key: &str) -> Result<(), StoreError> {
        self.batch(&format!(
            "SELECT setval(pg_get_serial_sequence('{table}', '{key}'),
                           (SELECT coalesce(max({key}), 0) + 1 FROM {table}), false)"
        ))
    }
}

impl Row for postgres::Row {
    fn integer(&self, column: usize) -> Result<Option<i64>, StoreError> {
        self.try_get(column).map_err(|error| failed(&error))
    }

    fn text(&self, column: usize) -> Result<Option<&str>, StoreError> {
        self.try_get(column).map_err(|error| failed(&error))
    }

    fn octets(&self, column: usize) -> Result<Option<&[u8]>, StoreError> {
        self.try_get(column).map_err(|error| failed(&error))
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Integer(number) => number.to_sql_checked(kind, out),
            Self::Text(text) => text.to_sql_checked(kind, out),
            Self::Octets(octets) => octets.to_sql_checked(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    postgres::types::to_sql_checked!();
}

/// What the server or the connection said, in the store's words.
pub fn failed(error: &postgres::Error) -> StoreError {
    let Some(database) = error.as_db_error() else {
        let text = error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
        return if error.is_closed() || text.contains("communicating") || text.contains("connecting") {
            StoreError::Io(text)
        } else {
            StoreError::Other(text)
        };
    };
    let text = database.message().to_owned();
    let code = database.code();
    match *code {
        SqlState::DISK_FULL => StoreError::DiskFull,
        SqlState::LOCK_NOT_AVAILABLE
        | SqlState::T_R_SERIALIZATION_FAILURE
        | SqlState::T_R_DEADLOCK_DETECTED => StoreError::Locked,
        SqlState::TOO_MANY_CONNECTIONS => StoreError::Overloaded,
        SqlState::READ_ONLY_SQL_TRANSACTION | SqlState::INSUFFICIENT_PRIVILEGE => StoreError::ReadOnly(text),
        SqlState::DATA_CORRUPTED | SqlState::INDEX_CORRUPTED => StoreError::Corrupt(text),
        _ if code.code().starts_with("23") => StoreError::Constraint(text),
        _ if code.code().starts_with("57P") || code.code().starts_with("08") => StoreError::Io(text),
        _ => StoreError::Other(text),
    }
}
