//! Grants: which device, or which group of devices, may use which application, and on what terms (SPEC R7, C6, C11).

use super::{
    Change, DeviceId, NoticeKind, ResourceDb, applications,
    device_rows::{identity, load},
    groups,
};
use crate::{
    StoreError,
    sql::{Row, Session, values},
};
use obf_types::{AppId, GlobalIdentity, Lifetime, UnixTime};

/// Who is granted, or denied, something.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Grantee {
    /// A device.
    Device(DeviceId),
    /// Every device of a group.
    Group(String),
}

/// On what terms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// How long a key may live, if limited by the grant.
    pub lifetime: Option<Lifetime>,
    /// When the grant itself ends, if ever.
    pub expires_at: Option<UnixTime>,
    /// Security settings of this user at this application; `None`: the application's.
    pub settings: Option<Vec<u8>>,
    /// How long the application may use a key once fetched before it has to fetch again, if limited.
    pub local_validity: Option<Lifetime>,
    /// The KYC level that this grant needs, 0 to 3; the higher of it and the application's is required.
    pub kyc_level: u8,
}

/// A grant as registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Who.
    pub grantee: Grantee,
    /// The application.
    pub app: AppId,
    /// On what terms.
    pub terms: Terms,
    /// When it was made.
    pub created_at: UnixTime,
}

/// The registry of grants.
impl ResourceDb {
    /// Makes or replaces a grant and tells the Authentication Servers of every device concerned; false, and nothing
    /// changed, if there is no such device, group or application.
    pub async fn put_grant(&self, grant: Grant, change: Change) -> Result<bool, StoreError> {
        self.engine
            .write(move |s| {
                if applications::load(s, &grant.app)?.is_none() || !grant.grantee.exists(s)? {
                    return Ok(false);
                }
                let sql = match grant.grantee {
                    Grantee::Device(_) => put("grants", "device"),
                    Grantee::Group(_) => put("group_grants", "group_id"),
                };
                let Terms { lifetime, expires_at, settings, local_validity, kyc_level } = &grant.terms;
                let mut values = values![
                    0_u8,
                    grant.app.as_str(),
                    lifetime.map(Lifetime::seconds),
                    expires_at.map(|at| at.0),
                    settings.as_ref(),
                    local_validity.map(Lifetime::seconds),
                    *kyc_level,
                    change.at.0
                ]
                .to_owned();
                if let Some(first) = values.first_mut() {
                    *first = match &grant.grantee {
                        Grantee::Device(id) => id.0.into(),
                        Grantee::Group(group) => group.into(),
                    };
                }
                s.execute(&sql, &values)?;
                grant.grantee.changed(s, "grant.put", &grant.app, "", &change)?;
                Ok(true)
            })
            .await
    }

    /// Removes a grant and tells the Authentication Servers; false if there is none.
    pub async fn remove_grant(
        &self,
        grantee: Grantee,
        app: AppId,
        change: Change,
    ) -> Result<bool, StoreError> {
        self.engine
            .write(move |s| {
                if !grantee.exists(s)? {
                    return Ok(false);
                }
                let removed = match &grantee {
                    Grantee::Device(id) => s.execute(
                        "DELETE FROM grants WHERE device = ?1 AND app = ?2",
                        values![id.0, app.as_str()],
                    )?,
                    Grantee::Group(group) => s.execute(
                        "DELETE FROM group_grants WHERE group_id = ?1 AND app = ?2",
                        values![group, app.as_str()],
                    )?,
                };
                if removed > 0 {
                    grantee.changed(s, "grant.remove", &app, "", &change)?;
                }
                Ok(removed > 0)
            })
            .await
    }

    /// Up to `limit` grants to single devices, of that device or all, for that application or all, in order of
    /// (device, application) after that pair; each with the device's primary identity.
    pub async fn list_grants(
        &self,
        device: Option<DeviceId>,
        app: Option<AppId>,
        after: Option<(DeviceId, AppId)>,
        limit: u32,
    ) -> Result<Vec<(GlobalIdentity, Grant)>, StoreError> {
        // Each combination has an index of its own to walk along.
        let device_is = if device.is_some() { "g.device = ?1" } else { "CAST(?1 AS BIGINT) IS NULL" };
        let app_is = if app.is_some() { "g.app = ?2" } else { "CAST(?2 AS TEXT) IS NULL" };
        let sql = format!(
            "SELECT {TERMS}, g.created_at, g.app, g.device, d.identity_kind, d.identity
             FROM grants g JOIN devices d ON d.id = g.device
             WHERE {device_is} AND {app_is} AND (g.device, g.app) > (?3, ?4)
             ORDER BY g.device, g.app LIMIT ?5"
        );
        self.engine
            .read(move |s| {
                let values = values![
                    device.map(|id| id.0),
                    app.as_ref().map(AppId::as_str),
                    after.as_ref().map_or(0, |(id, _)| id.0),
                    after.as_ref().map_or("", |(_, app)| app.as_str()),
                    limit
                ];
                s.all(&sql, values, |row| {
                    let device = DeviceId(row.number(7)?);
                    let grant = read(row, Grantee::Device(device))?;
                    Ok((identity(row.fitting(8)?, row.string(9)?)?, grant))
                })
            })
            .await
    }

    /// As [`ResourceDb::list_grants`] for grants to groups.
    pub async fn list_group_grants(
        &self,
        group: Option<String>,
        app: Option<AppId>,
        after: Option<(String, AppId)>,
        limit: u32,
    ) -> Result<Vec<Grant>, StoreError> {
        let sql = format!(
            "SELECT {TERMS}, g.created_at, g.app, g.group_id FROM group_grants g
             WHERE (CAST(?1 AS TEXT) IS NULL OR g.group_id = ?1) AND (CAST(?2 AS TEXT) IS NULL OR g.app = ?2)
                 AND (g.group_id, g.app) > (?3, ?4)
             ORDER BY g.group_id, g.app LIMIT ?5"
        );
        self.engine
            .read(move |s| {
                let values = values![
                    group.as_deref(),
                    app.as_ref().map(AppId::as_str),
                    after.as_ref().map_or("", |(group, _)| group.as_str()),
                    after.as_ref().map_or("", |(_, app)| app.as_str()),
                    limit
                ];
                s.all(&sql, values, |row| read(row, Grantee::Group(row.string(7)?.to_owned())))
            })
            .await
    }
}

/// Makes or replaces a grant in that table, whose grantees are in the column `grantee`.
fn put(table: &str, grantee: &str) -> String {
    format!(
        "INSERT INTO {table} ({grantee}, app, lifetime, expires_at, settings, local_validity, kyc_level, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT ({grantee}, app) DO UPDATE SET lifetime = excluded.lifetime,
             expires_at = excluded.expires_at, settings = excluded.settings,
             local_validity = excluded.local_validity, kyc_level = excluded.kyc_level"
    )
}

impl Grantee {
    /// Whether there is such a device or group; it stays so until the transaction ends.
    pub(super) fn exists(&self, s: &mut dyn Session) -> Result<bool, StoreError> {
        match self {
            Self::Device(id) => {
                let sql = format!("SELECT 1 FROM devices WHERE id = ?1{}", s.locking());
                Ok(s.one(&sql, values![id.0], |_| Ok(()))?.is_some())
            }
            Self::Group(group) => groups::exists(s, group),
        }
    }

    /// Notices and audit of a grant or a denial that was made or removed.
    pub(super) fn changed(
        &self,
        s: &mut dyn Session,
        action: &str,
        app: &AppId,
        detail: &str,
        change: &Change,
    ) -> Result<(), StoreError> {
        match self {
            Self::Device(id) => {
                let Some(device) = load(s, *id)? else { return Ok(()) };
                let Some(primary) = device.primary() else { return Ok(()) };
                change.announce(s, NoticeKind::Changed, Some((primary, device.epoch)), Some(app))?;
                change.record(s, action, &format!("{primary} {app}"), detail)
            }
            Self::Group(group) => {
                change.announce_devices(s, NoticeKind::Changed, groups::MEMBERS, group)?;
                change.record(s, action, &format!("group:{group} {app}"), detail)
            }
        }
    }
}

/// Columns of a grant's terms, as [`terms`] takes them.
pub(super) const TERMS: &str = "g.lifetime, g.expires_at, g.settings, g.local_validity, g.kyc_level";
/// How many those are.
pub(super) const TERMS_LEN: usize = 5;

/// The terms from the first columns of a row.
pub(super) fn terms(row: &dyn Row) -> Result<Terms, StoreError> {
    Ok(Terms {
        lifetime: row.maybe(0)?.and_then(Lifetime::from_seconds),
        expires_at: row.maybe(1)?.map(UnixTime),
        settings: row.octets(2)?.map(<[u8]>::to_vec),
        local_validity: row.maybe(3)?.and_then(Lifetime::from_seconds),
        kyc_level: row.fitting(4)?,
    })
}

fn read(row: &dyn Row, grantee: Grantee) -> Result<Grant, StoreError> {
    let app = AppId::new(row.string(6)?).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    Ok(Grant { grantee, app, terms: terms(row)?, created_at: UnixTime(row.fitting(5)?) })
}
