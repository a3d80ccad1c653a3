//! SQL that runs on every engine: values in, rows out, synchronously, inside a transaction that the engine has begun.
//!
//! Statements are written once, for SQLite 3.40 and PostgreSQL 15 alike: parameters `?1`, whole numbers of 64 bits
//! (0 and 1 for truth), `ON CONFLICT`, `RETURNING`; `CAST(?1 AS BIGINT)` where nothing else says a parameter's type.

use crate::StoreError;
use std::fmt;

/// A value bound to a parameter. It borrows: binding allocates nothing.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// No value.
    Null,
    /// A whole number.
    Integer(i64),
    /// A text.
    Text(&'a str),
    /// Octets.
    Octets(&'a [u8]),
}

/// Shows of what type it is, and nothing of it: it may be a key.
impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "Null",
            Self::Integer(_) => "Integer",
            Self::Text(_) => "Text",
            Self::Octets(_) => "Octets",
        })
    }
}

/// One row of an answer. Columns are counted from 0.
pub trait Row {
    /// A whole number, or nothing.
    ///
    /// # Errors
    /// There is no such column, or it is of another type.
    fn integer(&self, column: usize) -> Result<Option<i64>, StoreError>;

    /// A text, or nothing.
    ///
    /// # Errors
    /// As [`Row::integer`].
    fn text(&self, column: usize) -> Result<Option<&str>, StoreError>;

    /// Octets, or nothing.
    ///
    /// # Errors
    /// As [`Row::integer`].
    fn octets(&self, column: usize) -> Result<Option<&[u8]>, StoreError>;
}

/// What only one transaction of a database does at a time, where an engine has several writers. The numbers are those of
/// PostgreSQL's advisory locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Turn {
    /// Adding many devices: two that add the same ones in different orders would wait for each other.
    AddingDevices = 324_734,
}

/// A transaction on one connection of an engine.
pub trait Session {
    /// Notices were put into this transaction.
    fn note_notices(&mut self) {}

    /// Runs a statement and says how many rows it changed.
    ///
    /// # Errors
    /// [`StoreError`].
    fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, StoreError>;

    /// Runs a statement and hands each row of its answer to `each`, until that says false.
    ///
    /// # Errors
    /// [`StoreError`], of the engine or of `each`.
    fn query(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        each: &mut dyn FnMut(&dyn Row) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError>;

    /// Waits until nobody else is writing to the table, and keeps it so until the transaction ends.
    ///
    /// # Errors
    /// [`StoreError`].
    fn lock_table(&mut self, table: &str) -> Result<(), StoreError>;

    /// Waits until no other transaction has this turn, and keeps it until this one ends.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if that takes too long.
    fn take_turn(&mut self, turn: Turn) -> Result<(), StoreError>;

    /// The columns of a table, in their order.
    ///
    /// # Errors
    /// [`StoreError`].
    fn columns(&mut self, table: &str) -> Result<Vec<String>, StoreError>;

    /// What stands behind a SELECT whose rows stay as they are until this transaction ends, whoever else writes.
    fn locking(&self) -> &'static str;

    /// The same for a SELECT that leaves out rows which somebody else has locked.
    fn passing_over(&self) -> &'static str;

    /// Makes a table that numbers its rows itself go on behind the highest number that it has.
    ///
    /// # Errors
    /// [`StoreError`].
    fn number_on(&mut self, table: &str, key: &str) -> Result<(), StoreError>;
}

impl dyn Session + '_ {
    /// The first row of the answer, read.
    pub(crate) fn one<T>(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        mut read: impl FnMut(&dyn Row) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut found = None;
        self.query(sql, values, &mut |row| {
            found = Some(read(row)?);
            Ok(false)
        })?;
        Ok(found)
    }

    /// Whether the answer has a row.
    pub(crate) fn exists(&mut self, sql: &str, values: &[Value<'_>]) -> Result<bool, StoreError> {
        Ok(self.one(sql, values, |_| Ok(()))?.is_some())
    }

    /// Every row of the answer, read.
    pub(crate) fn all<T>(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        mut read: impl FnMut(&dyn Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        self.query(sql, values, &mut |row| {
            found.push(read(row)?);
            Ok(true)
        })?;
        Ok(found)
    }
}

impl dyn Row + '_ {
    /// A whole number that is there.
    pub(crate) fn number(&self, column: usize) -> Result<i64, StoreError> {
        self.integer(column)?.ok_or_else(|| absent(column))
    }

    /// A whole number that is there and fits.
    pub(crate) fn fitting<T: TryFrom<i64>>(&self, column: usize) -> Result<T, StoreError> {
        let number = self.number(column)?;
        T::try_from(number).map_err(|_| StoreError::Corrupt(format!("column {column} holds {number}")))
    }

    /// A whole number that fits, or nothing.
    pub(crate) fn maybe<T: TryFrom<i64>>(&self, column: usize) -> Result<Option<T>, StoreError> {
        self.integer(column)?.map(|_| self.fitting(column)).transpose()
    }

    /// A text that is there.
    pub(crate) fn string(&self, column: usize) -> Result<&str, StoreError> {
        self.text(column)?.ok_or_else(|| absent(column))
    }

    /// Octets that are there.
    pub(crate) fn blob(&self, column: usize) -> Result<&[u8], StoreError> {
        self.octets(column)?.ok_or_else(|| absent(column))
    }
}

fn absent(column: usize) -> StoreError {
    StoreError::Corrupt(format!("column {column} is empty"))
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<u16> for Value<'_> {
    fn from(number: u16) -> Self {
        Self::Integer(number.into())
    }
}

impl From<u8> for Value<'_> {
    fn from(number: u8) -> Self {
        Self::Integer(number.into())
    }
}

impl From<bool> for Value<'_> {
    fn from(truth: bool) -> Self {
        Self::Integer(truth.into())
    }
}

impl From<u64> for Value<'_> {
    /// Times, sequence numbers and counters stay far below 2^63; what would not fit is kept as the largest.
    fn from(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<usize> for Value<'_> {
    fn from(number: usize) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(octets: &'a [u8]) -> Self {
        Self::Octets(octets)
    }
}

impl<'a> From<&'a Vec<u8>> for Value<'a> {
    fn from(octets: &'a Vec<u8>) -> Self {
        Self::Octets(octets)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Value<'a> {
    fn from(octets: &'a [u8; N]) -> Self {
        Self::Octets(octets)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// The values of a statement's parameters, in order.
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        &[$($crate::sql::Value::from($value)),*]
    };
}
pub(crate) use values;
