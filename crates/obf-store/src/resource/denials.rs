//! Denials: which device, or which group of devices, may not use which application, whatever it is granted (SPEC C11).
//!
//! A denial is in force until its end, or for good. Where several concern a device, the one that ends last decides.

use super::{Change, DeviceId, Grantee, Outcome, ResourceDb, applications, device_rows::identity};
use crate::{
    StoreError,
    sql::{Row, Session, values},
};
use obf_types::{AppId, GlobalIdentity, UnixTime};
use std::sync::LazyLock;

/// A denial as it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDenial {
    /// Who is denied it.
    pub grantee: Grantee,
    /// The application.
    pub app: AppId,
    /// When it is over, if ever.
    pub until: Option<UnixTime>,
}

/// A denial as registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Its number.
    pub id: i64,
    /// Who is denied the application.
    pub grantee: Grantee,
    /// The primary identity, if it is of a device.
    pub device: Option<GlobalIdentity>,
    /// The application.
    pub app: AppId,
    /// When it is over, if ever.
    pub until: Option<UnixTime>,
    /// Why, as it was said when it was made; empty if nothing was.
    pub reason: String,
    /// Rises with every change.
    pub version: u64,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it was changed last.
    pub updated_at: UnixTime,
}

/// Which denials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DenialFilter {
    /// Those of this device itself.
    pub device: Option<DeviceId>,
    /// Those of this group.
    pub group: Option<String>,
    /// Those of this application.
    pub app: Option<AppId>,
}

/// A denial that concerns a device at an application, of itself or of a group that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denied {
    /// When it is over, if ever.
    pub until: Option<UnixTime>,
}

impl Denied {
    /// Whether it is not over.
    pub fn holds(self, now: UnixTime) -> bool {
        self.until.is_none_or(|until| until > now)
    }
}

const SELECT: &str = "
    SELECT n.id, n.device, n.group_id, n.app, n.until, n.reason, n.version, n.created_at, n.updated_at,
           d.identity_kind, d.identity
    FROM denials n LEFT JOIN devices d ON d.id = n.device";

impl ResourceDb {
    /// Makes a denial, or gives the one that is there another end and reason, and tells the Authentication Servers of every
    /// device concerned; [`Outcome::NoParent`] if there is no such device, group or application.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing was changed.
    pub async fn put_denial(&self, denial: NewDenial, change: Change) -> Result<Outcome<Denial>, StoreError> {
        self.engine
            .write(move |s| {
                let NewDenial { grantee, app, until } = &denial;
                if applications::load(s, app)?.is_none() || !grantee.exists(s)? {
                    return Ok(Outcome::NoParent);
                }
                let (device, group) = match grantee {
                    Grantee::Device(id) => (Some(id.0), None),
                    Grantee::Group(group) => (None, Some(group.as_str())),
                };
                let (target, reason) = (if device.is_some() { "device" } else { "group_id" }, &*change.reason);
                let sql = format!(
                    "INSERT INTO denials (device, group_id, app, until, reason, version, created_at, updated_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?6)
                     ON CONFLICT ({target}, app) DO UPDATE SET until = excluded.until, reason = excluded.reason,
                         version = denials.version + 1, updated_at = excluded.updated_at
                     RETURNING id"
                );
                let values = values![device, group, app.as_str(), until.map(|at| at.0), reason, change.at.0];
                let id = s.one(&sql, values, |row| row.number(0))?.unwrap_or_default();
                let until = until.map_or_else(String::new, |until| format!("until {until}"));
                grantee.changed(s, "denial.put", app, &until, &change)?;
                Ok(load(s, id)?.map_or(Outcome::Unknown, Outcome::Done))
            })
            .await
    }

    /// The denial of that number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn denial(&self, id: i64) -> Result<Option<Denial>, StoreError> {
        self.engine.read(move |s| load(s, id)).await
    }

    /// Up to `limit` denials that pass the filter, those that are over included, in order of their numbers behind `after`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_denials(
        &self,
        filter: DenialFilter,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Denial>, StoreError> {
        let DenialFilter { device, group, app } = filter;
        // Each has an index to find its rows by.
        let device_is = if device.is_some() { "n.device = ?1" } else { "CAST(?1 AS BIGINT) IS NULL" };
        let group_is = if group.is_some() { "n.group_id = ?2" } else { "CAST(?2 AS TEXT) IS NULL" };
        let app_is = if app.is_some() { "n.app = ?3" } else { "CAST(?3 AS TEXT) IS NULL" };
        let sql = format!(
            "{SELECT} WHERE {device_is} AND {group_is} AND {app_is} AND n.id > ?4 ORDER BY n.id LIMIT ?5"
        );
        self.engine
            .read(move |s| {
                let (group, app) = (group.as_deref(), app.as_ref().map(AppId::as_str));
                s.all(&sql, values![device.map(|id| id.0), group, app, after, limit], read)
            })
            .await
    }

    /// Takes a denial back, if it is at the version `expected`, and tells the Authentication Servers.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing was changed.
    pub async fn remove_denial(
        &self,
        id: i64,
        expected: Option<u64>,
        change: Change,
    ) -> Result<Outcome, StoreError> {
        self.engine
            .write(move |s| {
                // The group first, then its denial: in the order of those who put devices into it (PostgreSQL).
                let Some(denial) = load(s, id)? else { return Ok(Outcome::Unknown) };
                if !denial.grantee.exists(s)? {
                    return Ok(Outcome::Unknown);
                }
                let locked = format!("SELECT version FROM denials WHERE id = ?1{}", s.locking());
                let Some(version) = s.one(&locked, values![id], |row| row.fitting(0))? else {
                    return Ok(Outcome::Unknown);
                };
                if expected.is_some_and(|expected| expected != version) {
                    return Ok(Outcome::Stale { version });
                }
                s.execute("DELETE FROM denials WHERE id = ?1", values![id])?;
                denial.grantee.changed(s, "denial.remove", &denial.app, "", &change)?;
                Ok(Outcome::Done(()))
            })
            .await
    }
}

/// Whether the group is denied anything.
pub(super) fn of_group(s: &mut dyn Session, group: &str) -> Result<bool, StoreError> {
    s.exists("SELECT 1 FROM denials WHERE group_id = ?1 LIMIT 1", values![group])
}

/// `i64::MAX` stands for "for good" where ends are compared.
const NEVER: &str = "9223372036854775807";

/// When the denials of the device `?1` at the application that `app` names are over, in two columns, its own and those of its
/// groups: null if there is none, [`NEVER`] for one without an end.
pub(super) fn ends(app: &str) -> String {
    format!(
        "(SELECT coalesce(n.until, {NEVER}) FROM denials n WHERE n.device = ?1 AND n.app = {app}),
         (SELECT max(coalesce(n.until, {NEVER})) FROM group_members nm JOIN denials n ON n.group_id = nm.group_id
          WHERE nm.device = ?1 AND n.app = {app})"
    )
}

/// How many columns [`ends`] are.
pub(super) const ENDS_LEN: usize = 2;

/// The denial of the device at that application that ends last.
pub(super) fn of_device(
    s: &mut dyn Session,
    device: DeviceId,
    app: &AppId,
) -> Result<Option<Denied>, StoreError> {
    static ENDS: LazyLock<String> = LazyLock::new(|| format!("SELECT {}", ends("?2")));
    let found = s.one(&ENDS, values![device.0, app.as_str()], |row| denied(row, 0))?;
    Ok(found.flatten())
}

/// The denial that ends last, from the two columns of [`ends`] that begin there.
pub(super) fn denied(row: &dyn Row, first: usize) -> Result<Option<Denied>, StoreError> {
    let (own, of_groups): (Option<i64>, Option<i64>) = (row.integer(first)?, row.integer(first + 1)?);
    let end = |until| match until {
        i64::MAX => Ok(None),
        until => u64::try_from(until).map(|until| Some(UnixTime(until))),
    };
    let until = own.max(of_groups).map(end).transpose();
    let until = until.map_err(|_| StoreError::Corrupt("a denial ends before 1970".into()))?;
    Ok(until.map(|until| Denied { until }))
}

fn load(s: &mut dyn Session, id: i64) -> Result<Option<Denial>, StoreError> {
    s.one(&format!("{SELECT} WHERE n.id = ?1"), values![id], read)
}

fn read(row: &dyn Row) -> Result<Denial, StoreError> {
    let (grantee, device) = match (row.maybe::<i64>(1)?, row.text(2)?) {
        (Some(device), _) => {
            (Grantee::Device(DeviceId(device)), Some(identity(row.fitting(9)?, row.string(10)?)?))
        }
        (None, Some(group)) => (Grantee::Group(group.to_owned()), None),
        (None, None) => return Err(StoreError::Corrupt("a denial of nobody".into())),
    };
    Ok(Denial {
        id: row.number(0)?,
        grantee,
        device,
        app: AppId::new(row.string(3)?).map_err(|error| StoreError::Corrupt(error.to_string()))?,
        until: row.maybe(4)?.map(UnixTime),
        reason: row.string(5)?.to_owned(),
        version: row.fitting(6)?,
        created_at: UnixTime(row.fitting(7)?),
        updated_at: UnixTime(row.fitting(8)?),
    })
}
