//! Sealing keys that the nodes of a deployment share, wrapped under its KEK.

use super::{AuthStore, integer, unsigned};
use crate::StoreError;
use obf_types::UnixTime;
use rusqlite::{Connection, Row};

/// A sealing key as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedSealingKey {
    /// The id it is found by.
    pub id: u32,
    /// The key, wrapped.
    pub wrapped: Vec<u8>,
    /// When it was made.
    pub created: UnixTime,
}

impl AuthStore {
    /// The keys that count at `now`, newest first. Those made `life` seconds ago or earlier are destroyed; if the newest
    /// is `rotate` seconds old, or there is none, `fresh` becomes the newest. Whichever node comes first rotates for all.
    ///
    /// # Errors
    /// [`StoreError`]; nothing has changed then.
    pub async fn rotate_sealing_keys(
        &self,
        fresh: WrappedSealingKey,
        rotate: u64,
        life: u64,
    ) -> Result<Vec<WrappedSealingKey>, StoreError> {
        self.database
            .write(move |connection| {
                let now = fresh.created.0;
                connection
                    .prepare_cached("DELETE FROM sealing_keys WHERE created <= ?1 OR created > ?2")?
                    .execute((integer(now) - integer(life), integer(now) + integer(life)))?;
                let newest = all(connection)?.first().map(|key| key.created.0);
                if newest.is_none_or(|created| created.saturating_add(rotate) <= now) {
                    connection
                        .prepare_cached(
                            "INSERT INTO sealing_keys (id, wrapped, created) VALUES (?1, ?2, ?3)",
                        )?
                        .execute((fresh.id, &fresh.wrapped, integer(now)))?;
                }
                all(connection)
            })
            .await
    }
}

fn all(connection: &Connection) -> Result<Vec<WrappedSealingKey>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT id, wrapped, created FROM sealing_keys ORDER BY created DESC, id")?;
    Ok(statement.query_map([], key)?.collect::<Result<_, _>>()?)
}

fn key(row: &Row<'_>) -> rusqlite::Result<WrappedSealingKey> {
    Ok(WrappedSealingKey { id: row.get(0)?, wrapped: row.get(1)?, created: UnixTime(unsigned(row.get(2)?)) })
}
