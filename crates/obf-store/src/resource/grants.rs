//! Grants: which device may use which application, for how long (SPEC R7, C6).

use super::{Application, Change, Device, DeviceId, NoticeKind, ResourceDb, applications, devices, outbox};
use crate::StoreError;
use obf_types::{AppId, Epoch, GlobalIdentity, Lifetime, UnixTime};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::future::Future;

/// A grant as registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The device.
    pub device: DeviceId,
    /// The application.
    pub app: AppId,
    /// How long a key may live, if limited by the grant.
    pub lifetime: Option<Lifetime>,
    /// When the grant itself ends, if ever.
    pub expires_at: Option<UnixTime>,
    /// Security settings of this user at this application; `None`: the application's.
    pub settings: Option<Vec<u8>>,
    /// When it was made.
    pub created_at: UnixTime,
}

/// A grant with the application it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantedApplication {
    /// The grant.
    pub grant: Grant,
    /// Its application.
    pub application: Application,
}

/// Grants of one device in order of their applications.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RightsPage {
    /// The grants.
    pub grants: Vec<GrantedApplication>,
    /// True if there are more behind the last.
    pub more: bool,
}

/// The registry of grants.
pub trait Grants {
    /// Makes or replaces a grant and tells the Authentication Servers; false, and nothing changed, if there is no
    /// such device or application.
    fn put_grant(
        &self,
        grant: Grant,
        change: Change,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Removes a grant and tells the Authentication Servers; false if there is none.
    fn remove_grant(
        &self,
        device: DeviceId,
        app: AppId,
        change: Change,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Up to `limit` grants, of that device or all, for that application or all, in order of (device, application)
    /// after that pair; each with the device's primary identity.
    fn list_grants(
        &self,
        device: Option<DeviceId>,
        app: Option<AppId>,
        after: Option<(DeviceId, AppId)>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<(GlobalIdentity, Grant)>, StoreError>> + Send;

    /// The device of that identity with up to `limit` grants after that application; `None` if there is no such
    /// device.
    fn rights(
        &self,
        identity: GlobalIdentity,
        after: Option<AppId>,
        limit: u32,
    ) -> impl Future<Output = Result<Option<(Device, RightsPage)>, StoreError>> + Send;

    /// The device of that identity and its grant for that application; `None` where there is none.
    fn right(
        &self,
        identity: GlobalIdentity,
        app: AppId,
    ) -> impl Future<Output = Result<Option<(Device, Option<GrantedApplication>)>, StoreError>> + Send;
}

impl Grants for ResourceDb {
    async fn put_grant(&self, grant: Grant, change: Change) -> Result<bool, StoreError> {
        self.database
            .write(move |c| {
                if applications::load(c, &grant.app)?.is_none() {
                    return Ok(false);
                }
                let Some((identity, epoch)) = named(c, grant.device)? else { return Ok(false) };
                c.prepare_cached(
                    "INSERT INTO grants (device, app, lifetime, expires_at, settings, created_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                     ON CONFLICT DO UPDATE SET lifetime = excluded.lifetime,
                         expires_at = excluded.expires_at, settings = excluded.settings",
                )?
                .execute(params![
                    grant.device.0,
                    grant.app.as_str(),
                    grant.lifetime.map(Lifetime::seconds),
                    grant.expires_at.map(|at| at.0),
                    grant.settings,
                    grant.created_at.0,
                ])?;
                outbox::announce(
                    c,
                    &change,
                    NoticeKind::Changed,
                    Some((&identity, epoch)),
                    Some(&grant.app),
                )?;
                Ok(true)
            })
            .await
    }

    async fn remove_grant(&self, device: DeviceId, app: AppId, change: Change) -> Result<bool, StoreError> {
        self.database
            .write(move |c| {
                let sql = "DELETE FROM grants WHERE device = ?1 AND app = ?2";
                if c.prepare_cached(sql)?.execute(params![device.0, app.as_str()])? == 0 {
                    return Ok(false);
                }
                if let Some((identity, epoch)) = named(c, device)? {
                    outbox::announce(c, &change, NoticeKind::Changed, Some((&identity, epoch)), Some(&app))?;
                }
                Ok(true)
            })
            .await
    }

    async fn list_grants(
        &self,
        device: Option<DeviceId>,
        app: Option<AppId>,
        after: Option<(DeviceId, AppId)>,
        limit: u32,
    ) -> Result<Vec<(GlobalIdentity, Grant)>, StoreError> {
        self.database
            .read(move |c| {
                // Each combination has an index of its own to walk along.
                let condition = match (&device, &app) {
                    (Some(_), _) => {
                        "g.device = ?1 AND (?2 IS NULL OR g.app = ?2) AND (g.device, g.app) > (?3, ?4)"
                    }
                    (None, Some(_)) => "?1 IS NULL AND g.app = ?2 AND (g.device, g.app) > (?3, ?4)",
                    (None, None) => "?1 IS NULL AND ?2 IS NULL AND (g.device, g.app) > (?3, ?4)",
                };
                let mut statement = c.prepare_cached(&format!(
                    "SELECT {COLUMNS}, g.app, i.kind, i.value FROM grants g
                     JOIN identities i ON i.device = g.device AND i.rank = 0
                     WHERE {condition} ORDER BY g.device, g.app LIMIT ?5"
                ))?;
                let mut rows = statement.query(params![
                    device.map(|id| id.0),
                    app.as_ref().map(AppId::as_str),
                    after.as_ref().map_or(0, |(id, _)| id.0),
                    after.as_ref().map_or("", |(_, app)| app.as_str()),
                    limit,
                ])?;
                let mut found = Vec::new();
                while let Some(row) = rows.next()? {
                    let app: String = row.get(WIDTH)?;
                    let app = AppId::new(&app).map_err(|error| StoreError::Corrupt(error.to_string()))?;
                    let value: String = row.get(WIDTH + 2)?;
                    found.push((devices::identity(row.get(WIDTH + 1)?, &value)?, read(row, &app)?));
                }
                Ok(found)
            })
            .await
    }

    async fn rights(
        &self,
        identity: GlobalIdentity,
        after: Option<AppId>,
        limit: u32,
    ) -> Result<Option<(Device, RightsPage)>, StoreError> {
        self.database
            .read(move |c| {
                // One read transaction: device and grants of the same moment.
                let _snapshot = c.unchecked_transaction()?;
                let Some(device) = devices::find(c, &identity)?.map(|id| devices::load(c, id)).transpose()?
                else {
                    return Ok(None);
                };
                let Some(device) = device else { return Ok(None) };
                let page = page(c, device.id, after.as_ref(), limit)?;
                Ok(Some((device, page)))
            })
            .await
    }

    async fn right(
        &self,
        identity: GlobalIdentity,
        app: AppId,
    ) -> Result<Option<(Device, Option<GrantedApplication>)>, StoreError> {
        self.database
            .read(move |c| {
                let _snapshot = c.unchecked_transaction()?;
                let Some(Some(device)) =
                    devices::find(c, &identity)?.map(|id| devices::load(c, id)).transpose()?
                else {
                    return Ok(None);
                };
                let Some(application) = applications::load(c, &app)? else { return Ok(Some((device, None))) };
                let sql = format!("SELECT {COLUMNS} FROM grants g WHERE g.device = ?1 AND g.app = ?2");
                let grant = c
                    .prepare_cached(&sql)?
                    .query_row(params![device.id.0, app.as_str()], |row| Ok(read(row, &app)))
                    .optional()?
                    .transpose()?;
                Ok(Some((device, grant.map(|grant| GrantedApplication { grant, application }))))
            })
            .await
    }
}

/// Up to `limit` grants of the device behind that application.
pub(super) fn page(
    c: &Connection,
    device: DeviceId,
    after: Option<&AppId>,
    limit: u32,
) -> Result<RightsPage, StoreError> {
    let mut statement = c.prepare_cached(PAGE)?;
    let after = after.map_or("", AppId::as_str);
    let mut rows = statement.query(params![device.0, after, i64::from(limit) + 1])?;
    let mut page = RightsPage::default();
    while let Some(row) = rows.next()? {
        if page.grants.len() >= limit as usize {
            page.more = true;
            break;
        }
        let application = applications::read(row, WIDTH)?;
        page.grants.push(GrantedApplication { grant: read(row, &application.id)?, application });
    }
    Ok(page)
}

fn named(c: &Connection, id: DeviceId) -> Result<Option<(GlobalIdentity, Epoch)>, StoreError> {
    let device = devices::load(c, id)?;
    Ok(device.and_then(|device| Some((device.primary()?.clone(), device.epoch))))
}

/// [`COLUMNS`], then [`applications::COLUMNS`]: spelt out, because it runs for every vector.
const PAGE: &str = "
    SELECT g.device, g.lifetime, g.expires_at, g.settings, g.created_at,
           a.id, a.cert_names, a.ua_classes, a.settings, a.discloses_identity, a.state, a.created_at
    FROM grants g JOIN applications a ON a.id = g.app
    WHERE g.device = ?1 AND g.app > ?2 ORDER BY g.app LIMIT ?3";

/// Columns of `grants`, as [`read`] takes them, and how many.
const COLUMNS: &str = "g.device, g.lifetime, g.expires_at, g.settings, g.created_at";
const WIDTH: usize = 5;

fn read(row: &Row<'_>, app: &AppId) -> Result<Grant, StoreError> {
    Ok(Grant {
        device: DeviceId(row.get(0)?),
        app: app.clone(),
        lifetime: row.get::<_, Option<u32>>(1)?.and_then(Lifetime::from_seconds),
        expires_at: row.get::<_, Option<u64>>(2)?.map(UnixTime),
        settings: row.get(3)?,
        created_at: UnixTime(row.get(4)?),
    })
}
