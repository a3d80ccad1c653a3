//! Groups of devices: a fleet that is granted an application in one call.

use super::{Change, DeviceId, Lane, NoticeKind, Outcome, ResourceDb, denials, device_rows};
use crate::{
    StoreError,
    sql::{Row, Session, values},
};
use obf_types::{GlobalIdentity, IdentityKind, UnixTime};

/// A group as registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name here.
    pub id: String,
    /// What it is called.
    pub name: Option<String>,
    /// How many devices are in it.
    pub members: u64,
    /// Rises with every change.
    pub version: u64,
    /// When it was added.
    pub created_at: UnixTime,
    /// When it was changed last.
    pub updated_at: UnixTime,
}

/// What became of a change of members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MembersChanged {
    /// How many came, or went.
    pub changed: u64,
    /// Names of devices that are not there, or stand for several, at most 100: then nothing was changed.
    pub unknown: Vec<String>,
}

/// The devices of a group, for [`Change::announce_devices`].
pub(super) const MEMBERS: &str = "d.id IN (SELECT m.device FROM group_members m WHERE m.group_id = ?4)";
const SELECT: &str = "SELECT g.id, g.name, g.version, g.created_at, g.updated_at,
    (SELECT count(*) FROM group_members m WHERE m.group_id = g.id) FROM groups g";

/// The groups.
impl ResourceDb {
    /// Adds it, empty; false, and nothing changed, if there is one.
    pub async fn add_group(
        &self,
        id: &str,
        name: Option<String>,
        change: Change,
    ) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.engine
            .write(move |s| {
                let added = s.execute(
                    "INSERT INTO groups (id, name, version, created_at, updated_at) VALUES (?1, ?2, 1, ?3, ?3)
                     ON CONFLICT (id) DO NOTHING",
                    values![&id, name.as_deref(), change.at.0],
                )?;
                if added > 0 {
                    change.record(s, "group.add", &id, "")?;
                }
                Ok(added > 0)
            })
            .await
    }

    /// The group of that name.
    pub async fn group(&self, id: &str) -> Result<Option<Group>, StoreError> {
        let id = id.to_owned();
        self.engine.read(move |s| load(s, &id)).await
    }

    /// Up to `limit` groups in order of their names behind `after`.
    pub async fn list_groups(&self, after: &str, limit: u32) -> Result<Vec<Group>, StoreError> {
        let after = after.to_owned();
        let sql = format!("{SELECT} WHERE g.id > ?1 ORDER BY g.id LIMIT ?2");
        self.engine.read(move |s| s.all(&sql, values![&after, limit], read)).await
    }

    /// Renames it, if it is at the version `expected`.
    pub async fn rename_group(
        &self,
        id: &str,
        name: Option<String>,
        expected: Option<u64>,
        change: Change,
    ) -> Result<Outcome<Group>, StoreError> {
        let id = id.to_owned();
        self.engine
            .write(move |s| {
                if let Err(outcome) = at_version(s, &id, expected)? {
                    return Ok(outcome);
                }
                touch(s, &id, change.at)?;
                s.execute("UPDATE groups SET name = ?2 WHERE id = ?1", values![&id, name.as_deref()])?;
                change.record(s, "group.update", &id, "")?;
                Ok(load(s, &id)?.map_or(Outcome::Unknown, Outcome::Done))
            })
            .await
    }

    /// Removes it with its grants and denials, not its devices, and tells the Authentication Servers.
    pub async fn remove_group(
        &self,
        id: &str,
        expected: Option<u64>,
        change: Change,
    ) -> Result<Outcome, StoreError> {
        let id = id.to_owned();
        self.engine
            .write(move |s| {
                if let Err(outcome) = at_version::<()>(s, &id, expected)? {
                    return Ok(outcome);
                }
                if concerns_rights(s, &id)? {
                    change.announce_devices(s, NoticeKind::Changed, MEMBERS, &id)?;
                }
                s.execute("DELETE FROM groups WHERE id = ?1", values![&id])?;
                change.record(s, "group.remove", &id, "")?;
                Ok(Outcome::Done(()))
            })
            .await
    }

    /// Puts devices into it (or takes them out), all or none, and tells the Authentication Servers. A device is named
    /// by any of its identities, `kind:value` or the value alone.
    pub async fn change_members(
        &self,
        id: &str,
        devices: Vec<String>,
        put_in: bool,
        change: Change,
    ) -> Result<Outcome<MembersChanged>, StoreError> {
        let id = id.to_owned();
        self.engine.write(move |s| change_members(s, &id, &devices, put_in, &change)).await
    }

    /// Up to `limit` members in order of their ids behind `after`, with their primary identities.
    pub async fn list_members(
        &self,
        id: &str,
        after: Option<DeviceId>,
        limit: u32,
    ) -> Result<Vec<(DeviceId, GlobalIdentity)>, StoreError> {
        let id = id.to_owned();
        self.engine
            .read(move |s| {
                s.all(
                    "SELECT d.id, d.identity_kind, d.identity
                     FROM group_members m JOIN devices d ON d.id = m.device
                     WHERE m.group_id = ?1 AND m.device > ?2 ORDER BY m.device LIMIT ?3",
                    values![&id, after.map_or(0, |id| id.0), limit],
                    |row| {
                        let identity = device_rows::identity(row.fitting(1)?, row.string(2)?)?;
                        Ok((DeviceId(row.number(0)?), identity))
                    },
                )
            })
            .await
    }
}

fn change_members(
    s: &mut dyn Session,
    id: &str,
    devices: &[String],
    put_in: bool,
    change: &Change,
) -> Result<Outcome<MembersChanged>, StoreError> {
    if !exists(s, id)? {
        return Ok(Outcome::Unknown);
    }
    let mut found = Vec::with_capacity(devices.len());
    let mut outcome = MembersChanged::default();
    for name in devices {
        match named(s, name)? {
            Some(device) => found.push(device),
            None if outcome.unknown.len() < 100 => outcome.unknown.push(name.clone()),
            None => {}
        }
    }
    if !outcome.unknown.is_empty() {
        return Ok(Outcome::Done(outcome));
    }
    let sql = if put_in {
        "INSERT INTO group_members (device, group_id) VALUES (?1, ?2) ON CONFLICT (device, group_id) DO NOTHING"
    } else {
        "DELETE FROM group_members WHERE device = ?1 AND group_id = ?2"
    };
    let concerns_rights = concerns_rights(s, id)?;
    let lane = if found.len() > 1 { Lane::Bulk } else { Lane::Single };
    for device in found {
        let changed = s.execute(sql, values![device.0, id])?;
        outcome.changed += changed;
        if concerns_rights
            && changed > 0
            && let Some(device) = device_rows::load(s, device)?
        {
            let primary = device.primary().map(|primary| (primary, device.epoch));
            change.announce_in(s, lane, NoticeKind::Changed, primary, None)?;
        }
    }
    if outcome.changed > 0 {
        touch(s, id, change.at)?;
        let action = if put_in { "group.put-in" } else { "group.take-out" };
        change.record(s, action, id, &format!("{} devices", outcome.changed))?;
    }
    Ok(Outcome::Done(outcome))
}

/// The device that an administrator means.
fn named(s: &mut dyn Session, name: &str) -> Result<Option<DeviceId>, StoreError> {
    let (kind, value) = match IdentityKind::split(name) {
        Some((kind, value)) => (Some(kind), value),
        None => (None, name),
    };
    let found = device_rows::with_identity(s, kind, value)?;
    Ok(if let [device] = found.as_slice() { Some(*device) } else { None })
}

/// Whether there is one of that name.
pub(super) fn exists(s: &mut dyn Session, id: &str) -> Result<bool, StoreError> {
    // Whoever joins while the group's grants change is told of them.
    let sql = format!("SELECT 1 FROM groups WHERE id = ?1{}", s.locking());
    s.exists(&sql, values![id])
}

/// Whether being in it changes what a device may: it is granted something, or denied something.
fn concerns_rights(s: &mut dyn Session, id: &str) -> Result<bool, StoreError> {
    let granted = s.exists("SELECT 1 FROM group_grants WHERE group_id = ?1 LIMIT 1", values![id])?;
    Ok(granted || denials::of_group(s, id)?)
}

fn at_version<T>(
    s: &mut dyn Session,
    id: &str,
    expected: Option<u64>,
) -> Result<Result<(), Outcome<T>>, StoreError> {
    let sql = format!("SELECT version FROM groups WHERE id = ?1{}", s.locking());
    let version = s.one(&sql, values![id], |row| row.fitting(0))?;
    Ok(match version {
        None => Err(Outcome::Unknown),
        Some(version) if expected.is_some_and(|expected| expected != version) => {
            Err(Outcome::Stale { version })
        }
        Some(_) => Ok(()),
    })
}

fn touch(s: &mut dyn Session, id: &str, at: UnixTime) -> Result<(), StoreError> {
    let sql = "UPDATE groups SET version = version + 1, updated_at = ?2 WHERE id = ?1";
    s.execute(sql, values![id, at.0])?;
    Ok(())
}

fn load(s: &mut dyn Session, id: &str) -> Result<Option<Group>, StoreError> {
    s.one(&format!("{SELECT} WHERE g.id = ?1"), values![id], read)
}

fn read(row: &dyn Row) -> Result<Group, StoreError> {
    Ok(Group {
        id: row.string(0)?.to_owned(),
        name: row.text(1)?.map(str::to_owned),
        version: row.fitting(2)?,
        created_at: UnixTime(row.fitting(3)?),
        updated_at: UnixTime(row.fitting(4)?),
        members: row.fitting(5)?,
    })
}
