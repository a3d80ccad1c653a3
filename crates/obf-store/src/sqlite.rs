//! SQLite as an engine of [`crate::sql`].

use crate::{
    StoreError,
    sql::{Row, Session, Turn, Value},
};
use rusqlite::{
    Connection, ToSql, params_from_iter,
    types::{FromSqlError, ToSqlOutput, ValueRef},
};

/// The connection that a job was handed: statements are cached, transactions are the database's.
pub struct SqliteSession<'a>(pub &'a Connection);

impl Session for SqliteSession<'_> {
    fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let changed = self.0.prepare_cached(sql)?.execute(params_from_iter(values))?;
        Ok(changed as u64)
    }

    fn query(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let mut statement = self.0.prepare_cached(sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        let mut wanted = true;
        // A statement that changes something has done so completely only when it was stepped to its end.
        while let Some(row) = rows.next()? {
            wanted = wanted && each(row)?;
        }
        Ok(())
    }

    fn lock_table(&mut self, _: &str) -> Result<(), StoreError> {
        // Writing transactions take turns anyhow.
        Ok(())
    }

    fn take_turn(&mut self, _: Turn) -> Result<(), StoreError> {
        // Writing transactions take turns anyhow.
        Ok(())
    }

    fn columns(&mut self, table: &str) -> Result<Vec<String>, StoreError> {
        let statement = self.0.prepare(&format!("SELECT * FROM {table}"))?;
        Ok(statement.column_names().map(str::to_owned).collect())
    }

    fn locking(&self) -> &'static str {
        // Writing transactions take turns anyhow.
        ""
    }

    fn passing_over(&self) -> &'static str {
        ""
    }

    fn number_on(&mut self, _: &str, _: &str) -> Result<(), StoreError> {
        // It does so by itself.
        Ok(())
    }
}

impl Row for rusqlite::Row<'_> {
    fn integer(&self, column: usize) -> Result<Option<i64>, StoreError> {
        match self.get_ref(column)? {
            ValueRef::Null => Ok(None),
            ValueRef::Integer(number) => Ok(Some(number)),
            _ => Err(other_type(column)),
        }
    }

    fn text(&self, column: usize) -> Result<Option<&str>, StoreError> {
        let text = self.get_ref(column)?.as_str_or_null();
        text.map_err(|_: FromSqlError| other_type(column))
    }

    fn octets(&self, column: usize) -> Result<Option<&[u8]>, StoreError> {
        match self.get_ref(column)? {
            ValueRef::Null => Ok(None),
            ValueRef::Blob(octets) => Ok(Some(octets)),
            _ => Err(other_type(column)),
        }
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Octets(octets) => ValueRef::Blob(octets),
        }))
    }
}

fn other_type(column: usize) -> StoreError {
    StoreError::Corrupt(format!("column {column} is of another type"))
}
