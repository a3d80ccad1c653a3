//! The change feed where transactions commit in any order.
//!
//! A change is kept with the number of its transaction, and a cursor is the snapshot of the look before: what that did not
//! see and this one does is new, however early it was numbered. Of one device changes are numbered under its lock, so
//! their numbers are in order; between devices none is needed.

use super::super::{
    Cursor, Followed,
    follow::{AT_ONCE, Place, read},
};
use crate::{
    StoreError,
    sql::{Session, values},
};

pub fn tip(s: &mut dyn Session) -> Result<Cursor, StoreError> {
    let sql = "SELECT CAST(pg_current_snapshot() AS TEXT)";
    let snapshot = s.one(sql, &[], |row| Ok(row.string(0)?.to_owned()))?;
    Ok(Cursor(Place::Seen { snapshot: snapshot.unwrap_or_default(), towards: None }))
}

/// One statement has one snapshot: it says which, in each row, beside what it saw. The bound by `xid` lets the index leave
/// out what is long past.
const BEHIND: &str = "
    WITH page AS MATERIALIZED (
        SELECT CAST(CAST(?1 AS TEXT) AS pg_snapshot) AS seen,
               coalesce(CAST(CAST(?2 AS TEXT) AS pg_snapshot), pg_current_snapshot()) AS upto
    )
    SELECT CAST(upto AS TEXT), found.seq, found.kind, found.device, found.token, found.number, found.counter
    FROM page LEFT JOIN LATERAL (
        SELECT seq, kind, device, token, number, counter FROM changes
        WHERE xid >= pg_snapshot_xmin(seen)
          AND NOT pg_visible_in_snapshot(xid, seen) AND pg_visible_in_snapshot(xid, upto) AND seq > ?3
        ORDER BY seq LIMIT ?4
    ) AS found ON true ORDER BY found.seq";

pub fn behind(s: &mut dyn Session, after: &Cursor) -> Result<Followed, StoreError> {
    let Place::Seen { snapshot, towards } = &after.0 else {
        return Err(StoreError::Other("a cursor of another engine".into()));
    };
    let (upto, behind) = towards.as_ref().map_or((None, i64::MIN), |(upto, last)| (Some(upto), *last));
    let (mut changes, mut last, mut now) = (Vec::new(), None, String::new());
    s.query(BEHIND, values![snapshot, upto, behind, AT_ONCE], &mut |row| {
        if now.is_empty() {
            row.string(0)?.clone_into(&mut now);
        }
        // Without any change there is one row, which says the snapshot.
        if let Some(number) = row.integer(1)? {
            changes.push(read(row, 2)?);
            last = Some(number);
        }
        Ok(true)
    })?;
    let full = changes.len() >= AT_ONCE;
    let place = match last {
        Some(last) if full => Place::Seen { snapshot: snapshot.clone(), towards: Some((now, last)) },
        _ => Place::Seen { snapshot: now, towards: None },
    };
    // On the way to a snapshot of before, what has happened since is still to come.
    Ok(Followed { changes, cursor: Cursor(place), more: full || towards.is_some() })
}
