//! Schema versions: `user_version` counts the migrations applied, `application_id` names the owner of the file.

use crate::error::{OpenError, StoreError};
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

/// The tables of one kind of node, as the steps that lead to them. Steps are only ever appended.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// Written into the file (`PRAGMA application_id`), so that the databases of two kinds of node are not mixed up.
    pub application_id: i32,
    /// SQL batches; the n-th leads from version n to n + 1.
    pub migrations: &'static [&'static str],
}

impl Schema {
    /// Brings the file to the newest version, in one transaction: all steps or none. Safe against another
    /// process doing the same.
    pub(crate) fn migrate(&self, connection: &mut Connection) -> Result<(), OpenError> {
        if self.check(connection)? == self.migrations.len() {
            return Ok(());
        }
        // A step that writes a table anew drops the old one; with foreign keys on, that would empty every table that
        // refers to it. Within a transaction they can be switched neither off nor on.
        connection.pragma_update(None, "foreign_keys", false)?;
        let migrated = self.steps(connection);
        connection.pragma_update(None, "foreign_keys", true)?;
        migrated
    }

    fn steps(&self, connection: &mut Connection) -> Result<(), OpenError> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let applied = self.check(&transaction)?;
        for step in self.migrations.iter().skip(applied) {
            transaction.execute_batch(step)?;
        }
        let dangling: Option<String> = transaction
            .query_row("SELECT \"table\" FROM pragma_foreign_key_check LIMIT 1", [], |row| row.get(0))
            .optional()?;
        if let Some(table) = dangling {
            let reason = format!("a row of the table {table} refers to nothing: the database is damaged");
            return Err(StoreError::Corrupt(reason).into());
        }
        transaction.pragma_update(None, "user_version", self.migrations.len())?;
        transaction.pragma_update(None, "application_id", self.application_id)?;
        Ok(transaction.commit()?)
    }

    fn check(&self, connection: &Connection) -> Result<usize, OpenError> {
        let version: usize = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        if version > 0 && application != self.application_id {
            return Err(OpenError::OtherApplication { found: application, expected: self.application_id });
        }
        if version > self.migrations.len() {
            return Err(OpenError::NewerSchema { found: version, known: self.migrations.len() });
        }
        Ok(version)
    }
}
