//! Notices for Authentication Servers, kept until each has acknowledged them (WIRES "Notices").

use super::{ResourceDb, device_rows};
use crate::{
    StoreError,
    sql::{Row, Session, Value, values},
};
use obf_types::{AppId, Epoch, GlobalIdentity, UnixTime};
use std::sync::Arc;

/// Who changes something, when and why, and who is told.
#[derive(Clone, Debug)]
pub struct Change {
    /// Who: an administrator, or what acts by itself. For the audit.
    pub actor: Arc<str>,
    /// Why, as it was said; empty if nothing was.
    pub reason: Arc<str>,
    /// Registered names of the Authentication Servers; each gets its own copy to acknowledge.
    pub addressees: Arc<[String]>,
    /// The time of the change.
    pub at: UnixTime,
}

/// What a notice says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    /// The device's tokens of earlier epochs are over.
    Disconnect = 1,
    /// Rights of a device, or an application, have changed: ask again.
    Changed = 2,
}

/// A notice that an Authentication Server has not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Rises with time.
    pub id: i64,
    /// Who is to be told.
    pub addressee: String,
    /// What it says.
    pub kind: NoticeKind,
    /// The device concerned, by its primary identity, and its epoch at the time.
    pub device: Option<(GlobalIdentity, Epoch)>,
    /// The application concerned.
    pub app: Option<AppId>,
    /// When it happened.
    pub at: UnixTime,
}

/// Which notices: each lane is delivered by itself, so that what concerns one device never waits for a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// About one device or one application.
    Single = 0,
    /// One of many that a single act was the cause of.
    Bulk = 1,
}

const COLUMNS: &str = "id, kind, identity_kind, identity, epoch, app, at";

/// The notices waiting.
impl ResourceDb {
    /// Up to `limit` notices of that lane for the addressee: what ends tokens before the rest, the oldest of each first. A row
    /// that says nothing to be understood comes as a notice about nothing.
    pub async fn notices_in(
        &self,
        addressee: &str,
        lane: Lane,
        limit: usize,
    ) -> Result<Vec<Notice>, StoreError> {
        let addressee = addressee.to_owned();
        let sql = format!(
            "SELECT {COLUMNS} FROM notices WHERE addressee = ?1 AND lane = ?2 ORDER BY kind, id LIMIT ?3"
        );
        self.engine
            .read(move |s| s.all(&sql, values![&addressee, lane as u8, limit], |row| read(row, &addressee)))
            .await
    }

    /// Forgets notices that were acknowledged.
    pub async fn acknowledge_notices(&self, ids: Vec<i64>) -> Result<(), StoreError> {
        self.engine.write(move |s| forget(s, &ids)).await
    }

    /// Forgets notices made before that time for addressees that are not among those known, and says how many for whom.
    pub async fn purge_notices(
        &self,
        known: Vec<String>,
        before: UnixTime,
    ) -> Result<Vec<(String, u64)>, StoreError> {
        self.engine
            .write(move |s| {
                let sql = "SELECT DISTINCT addressee FROM notices WHERE at < ?1 ORDER BY addressee";
                let mut strangers = s.all(sql, values![before.0], |row| Ok(row.string(0)?.to_owned()))?;
                strangers.retain(|addressee| !known.contains(addressee));
                let mut purged = Vec::with_capacity(strangers.len());
                for stranger in strangers {
                    let sql = "DELETE FROM notices WHERE addressee = ?1 AND at < ?2";
                    let count = s.execute(sql, values![&stranger, before.0])?;
                    purged.push((stranger, count));
                }
                Ok(purged)
            })
            .await
    }
}

/// Notices that one statement names; more of them take several.
const NAMED_AT_ONCE: usize = 100;

fn forget(s: &mut dyn Session, ids: &[i64]) -> Result<(), StoreError> {
    if let [id] = ids {
        s.execute("DELETE FROM notices WHERE id = ?1", values![*id])?;
        return Ok(());
    }
    let parameters: Vec<String> = (1..=NAMED_AT_ONCE).map(|number| format!("?{number}")).collect();
    let sql = format!("DELETE FROM notices WHERE id IN ({})", parameters.join(", "));
    for named in ids.chunks(NAMED_AT_ONCE) {
        // One statement for any number: the last is named again.
        let last = named.last().copied().unwrap_or_default();
        let again = std::iter::repeat_n(last, NAMED_AT_ONCE - named.len());
        let values: Vec<_> = named.iter().copied().chain(again).map(Value::Integer).collect();
        s.execute(&sql, &values)?;
    }
    Ok(())
}

fn read(row: &dyn Row, addressee: &str) -> Result<Notice, StoreError> {
    let device = match (row.maybe(2).ok().flatten(), row.text(3)?, row.maybe(4).ok().flatten()) {
        (Some(kind), Some(value), Some(epoch)) => {
            device_rows::identity(kind, value).ok().zip(Some(Epoch(epoch)))
        }
        _ => None,
    };
    Ok(Notice {
        id: row.number(0)?,
        addressee: addressee.to_owned(),
        kind: if row.number(1)? == 1 { NoticeKind::Disconnect } else { NoticeKind::Changed },
        device,
        app: row.text(5)?.and_then(|app| AppId::new(app).ok()),
        at: UnixTime(row.fitting(6)?),
    })
}

impl Change {
    /// Writes a notice for each addressee, in the transaction of the change itself.
    pub(super) fn announce(
        &self,
        s: &mut dyn Session,
        kind: NoticeKind,
        device: Option<(&GlobalIdentity, Epoch)>,
        app: Option<&AppId>,
    ) -> Result<(), StoreError> {
        self.announce_in(s, Lane::Single, kind, device, app)
    }

    /// As [`Change::announce`], in a lane.
    pub(super) fn announce_in(
        &self,
        s: &mut dyn Session,
        lane: Lane,
        kind: NoticeKind,
        device: Option<(&GlobalIdentity, Epoch)>,
        app: Option<&AppId>,
    ) -> Result<(), StoreError> {
        if !self.addressees.is_empty() {
            s.note_notices();
        }
        for addressee in self.addressees.iter() {
            s.execute(
                "INSERT INTO notices (addressee, lane, kind, identity_kind, identity, epoch, app, at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                values![
                    addressee,
                    lane as u8,
                    kind as u8,
                    device.map(|(identity, _)| identity.kind() as u8),
                    device.map(|(identity, _)| identity.value()),
                    device.map(|(_, epoch)| epoch.0),
                    app.map(AppId::as_str),
                    self.at.0,
                ],
            )?;
        }
        Ok(())
    }

    /// Writes a notice about each device `d` for which `condition` holds (`?4` in it is `value`), for each addressee,
    /// in the bulk lane.
    pub(super) fn announce_devices(
        &self,
        s: &mut dyn Session,
        kind: NoticeKind,
        condition: &str,
        value: &str,
    ) -> Result<(), StoreError> {
        let sql = format!(
            "INSERT INTO notices (addressee, lane, kind, identity_kind, identity, epoch, at)
             SELECT CAST(?1 AS TEXT), 1, CAST(?2 AS BIGINT), d.identity_kind, d.identity, d.epoch, CAST(?3 AS BIGINT)
             FROM devices d WHERE {condition} ORDER BY d.id"
        );
        if !self.addressees.is_empty() {
            s.note_notices();
        }
        for addressee in self.addressees.iter() {
            s.execute(&sql, values![addressee, kind as u8, self.at.0, value])?;
        }
        Ok(())
    }

    /// Writes the audit row of the change, in its transaction.
    pub(super) fn record(
        &self,
        s: &mut dyn Session,
        action: &str,
        object: &str,
        detail: &str,
    ) -> Result<(), StoreError> {
        crate::audit::append(s, self.at, &self.actor, action, object, &self.reason, detail)
    }
}
