//! Cold administrative records: who runs what (SPEC C3, C4). The store keeps their content as the text that it was
//! given and knows only what it must to find them and to guard their states.

use super::{Change, Outcome, ResourceDb, State, applications, change_of_state, check, standing, state_of};
use crate::{
    StoreError,
    sql::{Row, Session, values},
};
use obf_types::UnixTime;
use std::future::Future;

/// Of what kind a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A provider of Resource Servers: a mobile operator or an IoT service provider (SPEC C3).
    Provider = 1,
    /// A Resource Server (SPEC C3).
    ResourceServer = 2,
    /// A third-party application service provider (SPEC C4).
    ApplicationProvider = 3,
}

impl EntryKind {
    /// Its name in the audit.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::ResourceServer => "resource-server",
            Self::ApplicationProvider => "application-provider",
        }
    }
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Of what kind.
    pub kind: EntryKind,
    /// Its name, one of a kind.
    pub id: String,
    /// The record that it belongs to; empty if to none.
    pub parent: String,
    /// Where it stands.
    pub state: State,
    /// Rises with every change.
    pub version: u64,
    /// Its content, JSON.
    pub document: String,
    /// When it was added.
    pub created_at: UnixTime,
    /// When it was changed last.
    pub updated_at: UnixTime,
}

/// The records.
pub trait Entries {
    /// Adds it, at version 1; false, and nothing changed, if there is one.
    fn add_entry(
        &self,
        entry: Entry,
        change: Change,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// The record.
    fn entry(
        &self,
        kind: EntryKind,
        id: &str,
    ) -> impl Future<Output = Result<Option<Entry>, StoreError>> + Send;

    /// Up to `limit` records of a kind, of that parent and in that state or in any, in order of their names behind
    /// `after`.
    fn list_entries(
        &self,
        kind: EntryKind,
        parent: Option<String>,
        state: Option<State>,
        after: &str,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Entry>, StoreError>> + Send;

    /// Puts `entry`'s parent, state and document in place of what stands there, if that is at the version `expected`. The
    /// applications of an application provider follow it out of use and back, and the Authentication Servers are told.
    fn replace_entry(
        &self,
        entry: Entry,
        expected: Option<u64>,
        change: Change,
    ) -> impl Future<Output = Result<Outcome<Entry>, StoreError>> + Send;

    /// Removes it, unless something has it for a parent.
    fn remove_entry(
        &self,
        kind: EntryKind,
        id: &str,
        expected: Option<u64>,
        change: Change,
    ) -> impl Future<Output = Result<Outcome, StoreError>> + Send;
}

const SELECT: &str = "SELECT kind, id, parent, state, version, document, created_at, updated_at FROM entries";
const STANDING: &str = "SELECT version, state FROM entries WHERE kind = ?1 AND id = ?2";

impl Entries for ResourceDb {
    async fn add_entry(&self, entry: Entry, change: Change) -> Result<bool, StoreError> {
        self.engine.write(move |s| add(s, &entry, &change)).await
    }

    async fn entry(&self, kind: EntryKind, id: &str) -> Result<Option<Entry>, StoreError> {
        let id = id.to_owned();
        let sql = format!("{SELECT} WHERE kind = ?1 AND id = ?2");
        self.engine.read(move |s| s.one(&sql, values![kind as u8, &id], read)).await
    }

    async fn list_entries(
        &self,
        kind: EntryKind,
        parent: Option<String>,
        state: Option<State>,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        let after = after.to_owned();
        let sql = format!(
            "{SELECT} WHERE kind = ?1 AND id > ?2 AND (CAST(?3 AS TEXT) IS NULL OR parent = ?3)
             AND (CAST(?4 AS BIGINT) IS NULL OR state = ?4) ORDER BY id LIMIT ?5"
        );
        self.engine
            .read(move |s| {
                let state = state.map(|state| state as u8);
                s.all(&sql, values![kind as u8, &after, parent.as_deref(), state, limit], read)
            })
            .await
    }

    async fn replace_entry(
        &self,
        entry: Entry,
        expected: Option<u64>,
        change: Change,
    ) -> Result<Outcome<Entry>, StoreError> {
        self.engine.write(move |s| replace(s, &entry, expected, &change)).await
    }

    async fn remove_entry(
        &self,
        kind: EntryKind,
        id: &str,
        expected: Option<u64>,
        change: Change,
    ) -> Result<Outcome, StoreError> {
        let id = id.to_owned();
        self.engine
            .write(move |s| {
                let found = standing(s, STANDING, values![kind as u8, &id])?;
                if let Err(outcome) = check::<()>(found, expected, None) {
                    return Ok(outcome);
                }
                let used = match kind {
                    EntryKind::Provider => "SELECT 1 FROM entries WHERE kind = 2 AND parent = ?1 LIMIT 1",
                    EntryKind::ResourceServer => "SELECT 1 FROM entries WHERE 1 = 0 AND id = ?1",
                    EntryKind::ApplicationProvider => {
                        "SELECT 1 FROM applications WHERE provider = ?1 LIMIT 1"
                    }
                };
                if s.one(used, values![&id], |_| Ok(()))?.is_some() {
                    return Ok(Outcome::InUse);
                }
                s.execute("DELETE FROM entries WHERE kind = ?1 AND id = ?2", values![kind as u8, &id])?;
                if kind == EntryKind::ApplicationProvider {
                    // Their tokens must not be those of another who comes under this name.
                    s.execute("DELETE FROM administrators WHERE application_provider = ?1", values![&id])?;
                }
                change.record(s, &format!("{}.remove", kind.name()), &id, "")?;
                Ok(Outcome::Done(()))
            })
            .await
    }
}

/// As [`Entries::replace_entry`], in a transaction of others.
pub(super) fn replace(
    s: &mut dyn Session,
    entry: &Entry,
    expected: Option<u64>,
    change: &Change,
) -> Result<Outcome<Entry>, StoreError> {
    let found = standing(s, STANDING, values![entry.kind as u8, &entry.id])?;
    let was = match check(found, expected, Some(entry.state)) {
        Ok(was) => was,
        Err(outcome) => return Ok(outcome),
    };
    let replaced = s.one(
        "UPDATE entries SET parent = ?3, state = ?4, document = ?5, updated_at = ?6,
                            version = version + 1
         WHERE kind = ?1 AND id = ?2
         RETURNING kind, id, parent, state, version, document, created_at, updated_at",
        values![entry.kind as u8, &entry.id, &entry.parent, entry.state as u8, &entry.document, change.at.0],
        read,
    )?;
    let action = format!("{}.{}", entry.kind.name(), change_of_state(was, entry.state));
    change.record(s, &action, &entry.id, "")?;
    if entry.kind == EntryKind::ApplicationProvider {
        applications::follow_provider(s, &entry.id, entry.state != State::Active, change)?;
    }
    Ok(replaced.map_or(Outcome::Unknown, Outcome::Done))
}

/// Adds it; false if there is one.
pub(super) fn add(s: &mut dyn Session, entry: &Entry, change: &Change) -> Result<bool, StoreError> {
    let added = s.execute(
        "INSERT INTO entries (kind, id, parent, state, version, document, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6, ?6) ON CONFLICT (kind, id) DO NOTHING",
        values![entry.kind as u8, &entry.id, &entry.parent, entry.state as u8, &entry.document, change.at.0],
    )?;
    if added > 0 {
        change.record(s, &format!("{}.add", entry.kind.name()), &entry.id, "")?;
    }
    Ok(added > 0)
}

fn read(row: &dyn Row) -> Result<Entry, StoreError> {
    Ok(Entry {
        kind: match row.number(0)? {
            1 => EntryKind::Provider,
            2 => EntryKind::ResourceServer,
            3 => EntryKind::ApplicationProvider,
            other => return Err(StoreError::Corrupt(format!("no kind of record has the number {other}"))),
        },
        id: row.string(1)?.to_owned(),
        parent: row.string(2)?.to_owned(),
        state: state_of(row.number(3)?)?,
        version: row.fitting(4)?,
        document: row.string(5)?.to_owned(),
        created_at: UnixTime(row.fitting(6)?),
        updated_at: UnixTime(row.fitting(7)?),
    })
}
