//! Sealing keys that the nodes of a deployment share, wrapped under its KEK.

use super::integer;
use crate::{
    StoreError,
    sql::{Session, values},
};
use obf_types::UnixTime;

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

pub fn rotate(
    s: &mut dyn Session,
    fresh: &WrappedSealingKey,
    rotate: u64,
    life: u64,
) -> Result<Vec<WrappedSealingKey>, StoreError> {
    // Two nodes that both find no fresh key must not both make one.
    s.lock_table("sealing_keys")?;
    let now = fresh.created.0;
    s.execute(
        "DELETE FROM sealing_keys WHERE created <= ?1 OR created > ?2",
        values![integer(now) - integer(life), integer(now) + integer(life)],
    )?;
    let newest = all(s)?.first().map(|key| key.created.0);
    if newest.is_none_or(|created| created.saturating_add(rotate) <= now) {
        s.execute(
            "INSERT INTO sealing_keys (id, wrapped, created) VALUES (?1, ?2, ?3)",
            values![fresh.id, &fresh.wrapped, now],
        )?;
    }
    all(s)
}

fn all(s: &mut dyn Session) -> Result<Vec<WrappedSealingKey>, StoreError> {
    s.all("SELECT id, wrapped, created FROM sealing_keys ORDER BY created DESC, id", &[], |row| {
        Ok(WrappedSealingKey {
            id: row.fitting(0)?,
            wrapped: row.blob(1)?.to_vec(),
            created: UnixTime(row.fitting(2)?),
        })
    })
}
