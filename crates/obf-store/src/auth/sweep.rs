//! Forgetting: keys at expiry, what only explained a refusal some time after.

use super::{AuthStore, REMEMBERED, integer};
use crate::StoreError;
use obf_types::{Lifetime, UnixTime};

/// Rows that one job erases from a table: bounds how long it holds other writes up.
const PORTION: u32 = 500;

impl AuthStore {
    /// Erases, a portion of each kind: the keys of expired tokens; the ids of tokens expired [`REMEMBERED`] seconds ago;
    /// spent challenges, changes and notices that no longer matter. Returns whether anything was left over.
    ///
    /// # Errors
    /// [`StoreError`]; it is to be called again later.
    pub async fn sweep(&self, now: UnixTime) -> Result<bool, StoreError> {
        self.database
            .write(move |connection| {
                let (now, day) = (integer(now.0), i64::from(Lifetime::CEILING.seconds()));
                let remembered = integer(REMEMBERED);
                let erasures = [
                    (
                        "UPDATE tokens SET ks = NULL WHERE seq IN
                         (SELECT seq FROM tokens WHERE ks IS NOT NULL AND expires <= ?1 LIMIT ?2)",
                        now,
                    ),
                    (
                        "DELETE FROM fetched WHERE token IN
                         (SELECT seq FROM tokens WHERE ks IS NULL AND expires <= ?1 LIMIT ?2)",
                        now - remembered,
                    ),
                    (
                        "DELETE FROM tokens WHERE seq IN
                         (SELECT seq FROM tokens WHERE ks IS NULL AND expires <= ?1 LIMIT ?2)",
                        now - remembered,
                    ),
                    (
                        "DELETE FROM spent WHERE rand IN (SELECT rand FROM spent WHERE until <= ?1 LIMIT ?2)",
                        now - remembered,
                    ),
                    (
                        "DELETE FROM notices WHERE seq IN (SELECT seq FROM notices WHERE expires <= ?1 LIMIT ?2)",
                        now,
                    ),
                    (
                        // The oldest come first; a node that was stopped for a day has no token in memory any more.
                        // The last stays: the next is numbered after it.
                        "DELETE FROM changes WHERE seq IN
                         (SELECT seq FROM changes WHERE at <= ?1 AND seq < (SELECT max(seq) FROM changes)
                          ORDER BY seq LIMIT ?2)",
                        now - day - remembered,
                    ),
                ];
                let mut left_over = false;
                for (sql, before) in erasures {
                    let erased = connection.prepare_cached(sql)?.execute((before, PORTION))?;
                    left_over |= erased >= PORTION as usize;
                }
                Ok(left_over)
            })
            .await
    }

    /// Forgets instances of applications not heard for 30 days, and sets of rights that no token has. Once an hour.
    ///
    /// # Errors
    /// [`StoreError`]; it is to be called again later.
    pub async fn sweep_hourly(&self, now: UnixTime) -> Result<(), StoreError> {
        self.database
            .write(move |connection| {
                connection
                    .prepare_cached("DELETE FROM cursors WHERE at <= ?1")?
                    .execute([integer(now.0) - 30 * 86_400])?;
                connection
                    .prepare_cached("DELETE FROM rights WHERE id NOT IN (SELECT rights FROM tokens)")?
                    .execute([])?;
                Ok(())
            })
            .await
    }
}
