//! Custodians (SPEC R6): who answers for devices.

use super::{Change, Outcome, ResourceDb, State, change_of_state, check, devices, standing, state_of};
use crate::{
    StoreError,
    sql::{Row, Session, values},
};
use obf_types::UnixTime;

/// What a custodian is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CustodianKind {
    /// A natural person.
    Person = 0,
    /// An organisation.
    Organisation = 1,
}

/// A custodian as registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Custodian {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: CustodianKind,
    /// How to reach it.
    pub contact: Option<String>,
    /// Its state: devices of a custodian that is not active are refused.
    pub state: State,
    /// Rises with every change.
    pub version: u64,
    /// When it was added.
    pub created_at: UnixTime,
    /// When it was changed last.
    pub updated_at: UnixTime,
}

const COLUMNS: &str = "id, name, kind, contact, state, version, created_at, updated_at";
const STANDING: &str = "SELECT version, state FROM custodians WHERE id = ?1";

/// The custodians.
impl ResourceDb {
    /// Adds it, at version 1; false, and nothing changed, if there is one.
    pub async fn add_custodian(&self, custodian: Custodian, change: Change) -> Result<bool, StoreError> {
        self.engine
            .write(move |s| {
                let added = s.execute(
                    "INSERT INTO custodians (id, name, kind, contact, state, version, created_at, updated_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?6) ON CONFLICT (id) DO NOTHING",
                    values![
                        &custodian.id,
                        &custodian.name,
                        custodian.kind as u8,
                        custodian.contact.as_deref(),
                        custodian.state as u8,
                        change.at.0
                    ],
                )?;
                if added > 0 {
                    change.record(s, "custodian.add", &custodian.id, "")?;
                }
                Ok(added > 0)
            })
            .await
    }

    /// The custodian of that name.
    pub async fn custodian(&self, id: &str) -> Result<Option<Custodian>, StoreError> {
        let id = id.to_owned();
        let sql = format!("SELECT {COLUMNS} FROM custodians WHERE id = ?1");
        self.engine.read(move |s| s.one(&sql, values![&id], read)).await
    }

    /// Up to `limit` custodians, in that state or in any, in order of their names behind `after`.
    pub async fn list_custodians(
        &self,
        state: Option<State>,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Custodian>, StoreError> {
        let after = after.to_owned();
        let sql = format!(
            "SELECT {COLUMNS} FROM custodians WHERE id > ?1 AND (CAST(?2 AS BIGINT) IS NULL OR state = ?2)
             ORDER BY id LIMIT ?3"
        );
        self.engine
            .read(move |s| s.all(&sql, values![&after, state.map(|state| state as u8), limit], read))
            .await
    }

    /// Puts everything of `custodian` but its name in place of what stands there, if that is at the version
    /// `expected`. When it ceases to be active, the tokens of its devices end.
    pub async fn replace_custodian(
        &self,
        custodian: Custodian,
        expected: Option<u64>,
        change: Change,
    ) -> Result<Outcome<Custodian>, StoreError> {
        let replace = format!(
            "UPDATE custodians SET name = ?2, kind = ?3, contact = ?4, state = ?5, updated_at = ?6,
                                   version = version + 1
             WHERE id = ?1 RETURNING {COLUMNS}"
        );
        self.engine
            .write(move |s| {
                let found = standing(s, STANDING, values![&custodian.id])?;
                let was = match check(found, expected, Some(custodian.state)) {
                    Ok(was) => was,
                    Err(outcome) => return Ok(outcome),
                };
                let replaced = s.one(
                    &replace,
                    values![
                        &custodian.id,
                        &custodian.name,
                        custodian.kind as u8,
                        custodian.contact.as_deref(),
                        custodian.state as u8,
                        change.at.0
                    ],
                    read,
                )?;
                if was == State::Active && custodian.state != State::Active {
                    devices::end_tokens_of_custodian(s, &custodian.id, &change)?;
                }
                let action = format!("custodian.{}", change_of_state(was, custodian.state));
                change.record(s, &action, &custodian.id, "")?;
                Ok(replaced.map_or(Outcome::Unknown, Outcome::Done))
            })
            .await
    }

    /// Removes it with its records, unless a device has it.
    pub async fn remove_custodian(
        &self,
        id: &str,
        expected: Option<u64>,
        change: Change,
    ) -> Result<Outcome, StoreError> {
        let id = id.to_owned();
        self.engine
            .write(move |s| {
                let found = standing(s, STANDING, values![&id])?;
                if let Err(outcome) = check::<()>(found, expected, None) {
                    return Ok(outcome);
                }
                let used = "SELECT 1 FROM devices WHERE custodian = ?1 LIMIT 1";
                if s.exists(used, values![&id])? {
                    return Ok(Outcome::InUse);
                }
                s.execute("DELETE FROM custodians WHERE id = ?1", values![&id])?;
                change.record(s, "custodian.remove", &id, "")?;
                Ok(Outcome::Done(()))
            })
            .await
    }
}

/// Whether there is one of that name.
pub(super) fn exists(s: &mut dyn Session, id: &str) -> Result<bool, StoreError> {
    s.exists("SELECT 1 FROM custodians WHERE id = ?1", values![id])
}

fn read(row: &dyn Row) -> Result<Custodian, StoreError> {
    Ok(Custodian {
        id: row.string(0)?.to_owned(),
        name: row.string(1)?.to_owned(),
        kind: if row.number(2)? == 0 { CustodianKind::Person } else { CustodianKind::Organisation },
        contact: row.text(3)?.map(str::to_owned),
        state: state_of(row.number(4)?)?,
        version: row.fitting(5)?,
        created_at: UnixTime(row.fitting(6)?),
        updated_at: UnixTime(row.fitting(7)?),
    })
}
