//! Schema versions: `user_version` counts the migrations applied, `application_id` names the owner of the file.

use crate::error::OpenError;
use rusqlite::{Connection, TransactionBehavior};

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
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let applied = self.check(&transaction)?;
        for step in self.migrations.iter().skip(applied) {
            transaction.execute_batch(step)?;
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
