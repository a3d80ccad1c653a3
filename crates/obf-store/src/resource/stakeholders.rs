//! The stakeholders of SPEC C3 and C4: who runs what. Their table is called `entries`. The store keeps their content as the text that it was
//! given and knows only what it must to find them and to guard their states.

use super::{Change, Outcome, ResourceDb, State, applications, change_of_state, check, standing, state_of};
use crate::{
    StoreError,
    sql::{Row, Session, values},
};
use obf_types::UnixTime;

/// What a stakeholder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StakeholderKind {
    /// A provider of Resource Servers: a mobile operator or an IoT service provider (SPEC C3).
    Provider = 1,
    /// A Resource Server (SPEC C3).
    ResourceServer = 2,
    /// A third-party application service provider (SPEC C4).
    ApplicationProvider = 3,
}

impl StakeholderKind {
    /// Its name in the audit.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::ResourceServer => "resource-server",
            Self::ApplicationProvider => "application-provider",
        }
    }
}

/// A stakeholder's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stakeholder {
    /// What it is.
    pub kind: StakeholderKind,
    /// Its id, unique within the kind.
    pub id: String,
    /// The id of the provider that runs it; empty where nobody does.
    pub parent: String,
    /// Its state.
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

const SELECT: &str = "SELECT kind, id, parent, state, version, document, created_at, updated_at FROM entries";
const STANDING: &str = "SELECT version, state FROM entries WHERE kind = ?1 AND id = ?2";

/// The stakeholders.
impl ResourceDb {
    /// Adds it, at version 1; false, and nothing changed, if there is one.
    pub async fn add_stakeholder(
        &self,
        stakeholder: Stakeholder,
        change: Change,
    ) -> Result<bool, StoreError> {
        self.engine.write(move |s| add(s, &stakeholder, &change)).await
    }

    /// The record.
    pub async fn stakeholder(
        &self,
        kind: StakeholderKind,
        id: &str,
    ) -> Result<Option<Stakeholder>, StoreError> {
        let id = id.to_owned();
        let sql = format!("{SELECT} WHERE kind = ?1 AND id = ?2");
        self.engine.read(move |s| s.one(&sql, values![kind as u8, &id], read)).await
    }

    /// Up to `limit` records of a kind, of that parent and in that state or in any, in order of their names behind
    /// `after`.
    pub async fn list_stakeholders(
        &self,
        kind: StakeholderKind,
        parent: Option<String>,
        state: Option<State>,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Stakeholder>, StoreError> {
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

    /// Puts `stakeholder`'s parent, state and document in place of what stands there, if that is at the version `expected`. The
    /// applications of an application provider follow it out of use and back, and the Authentication Servers are told.
    pub async fn replace_stakeholder(
        &self,
        stakeholder: Stakeholder,
        expected: Option<u64>,
        change: Change,
    ) -> Result<Outcome<Stakeholder>, StoreError> {
        self.engine.write(move |s| replace(s, &stakeholder, expected, &change)).await
    }

    /// Removes it, unless something has it for a parent.
    pub async fn remove_stakeholder(
        &self,
        kind: StakeholderKind,
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
                let dependents = match kind {
                    StakeholderKind::Provider => {
                        Some("SELECT 1 FROM entries WHERE kind = 2 AND parent = ?1 LIMIT 1")
                    }
                    // Devices and grants do not say which Resource Server is theirs: nothing depends on its record.
                    StakeholderKind::ResourceServer => None,
                    StakeholderKind::ApplicationProvider => {
                        Some("SELECT 1 FROM applications WHERE provider = ?1 LIMIT 1")
                    }
                };
                if let Some(sql) = dependents
                    && s.one(sql, values![&id], |_| Ok(()))?.is_some()
                {
                    return Ok(Outcome::InUse);
                }
                s.execute("DELETE FROM entries WHERE kind = ?1 AND id = ?2", values![kind as u8, &id])?;
                if kind == StakeholderKind::ApplicationProvider {
                    // Their tokens must not be those of another who comes under this name.
                    s.execute("DELETE FROM administrators WHERE application_provider = ?1", values![&id])?;
                }
                change.record(s, &format!("{}.remove", kind.name()), &id, "")?;
                Ok(Outcome::Done(()))
            })
            .await
    }
}

/// As [`ResourceDb::replace_stakeholder`], in a transaction of others.
pub(super) fn replace(
    s: &mut dyn Session,
    stakeholder: &Stakeholder,
    expected: Option<u64>,
    change: &Change,
) -> Result<Outcome<Stakeholder>, StoreError> {
    let found = standing(s, STANDING, values![stakeholder.kind as u8, &stakeholder.id])?;
    let was = match check(found, expected, Some(stakeholder.state)) {
        Ok(was) => was,
        Err(outcome) => return Ok(outcome),
    };
    let replaced = s.one(
        "UPDATE entries SET parent = ?3, state = ?4, document = ?5, updated_at = ?6,
                            version = version + 1
         WHERE kind = ?1 AND id = ?2
         RETURNING kind, id, parent, state, version, document, created_at, updated_at",
        values![
            stakeholder.kind as u8,
            &stakeholder.id,
            &stakeholder.parent,
            stakeholder.state as u8,
            &stakeholder.document,
            change.at.0
        ],
        read,
    )?;
    let action = format!("{}.{}", stakeholder.kind.name(), change_of_state(was, stakeholder.state));
    change.record(s, &action, &stakeholder.id, "")?;
    if stakeholder.kind == StakeholderKind::ApplicationProvider {
        applications::follow_provider(s, &stakeholder.id, stakeholder.state != State::Active, change)?;
    }
    Ok(replaced.map_or(Outcome::Unknown, Outcome::Done))
}

/// Adds it; false if there is one.
pub(super) fn add(
    s: &mut dyn Session,
    stakeholder: &Stakeholder,
    change: &Change,
) -> Result<bool, StoreError> {
    let added = s.execute(
        "INSERT INTO entries (kind, id, parent, state, version, document, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6, ?6) ON CONFLICT (kind, id) DO NOTHING",
        values![
            stakeholder.kind as u8,
            &stakeholder.id,
            &stakeholder.parent,
            stakeholder.state as u8,
            &stakeholder.document,
            change.at.0
        ],
    )?;
    if added > 0 {
        change.record(s, &format!("{}.add", stakeholder.kind.name()), &stakeholder.id, "")?;
    }
    Ok(added > 0)
}

fn read(row: &dyn Row) -> Result<Stakeholder, StoreError> {
    Ok(Stakeholder {
        kind: match row.number(0)? {
            1 => StakeholderKind::Provider,
            2 => StakeholderKind::ResourceServer,
            3 => StakeholderKind::ApplicationProvider,
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
