//! Registered third-party applications (SPEC C4, C11).

use super::{Change, NoticeKind, ResourceDb, outbox};
use crate::StoreError;
use obf_types::{AppId, UnixTime};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::future::Future;

/// Whether an application gets keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplicationState {
    /// It does.
    Active = 0,
    /// Not until it is resumed.
    Suspended = 1,
}

/// An application as registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// Its FQDN.
    pub id: AppId,
    /// dNSNames of the certificates that may ask for its keys: its own servers' and its proxies'.
    pub cert_names: Vec<String>,
    /// Security protocols it speaks: `tls-psk`, `http-digest`, or a Ua id of 10 hex digits.
    pub ua_classes: Vec<String>,
    /// Security settings for users whose grant has none of its own, octets as registered.
    pub settings: Vec<u8>,
    /// Whether it is told the device's identity.
    pub discloses_identity: bool,
    /// Whether it gets keys.
    pub state: ApplicationState,
    /// When it was registered.
    pub created_at: UnixTime,
}

/// The registry of applications.
pub trait Applications {
    /// Adds it; false, and nothing changed, if one of that id is there.
    fn add_application(
        &self,
        application: Application,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// The application of that id.
    fn application(&self, id: AppId) -> impl Future<Output = Result<Option<Application>, StoreError>> + Send;

    /// Up to `limit` applications in order of their ids, after that one.
    fn list_applications(
        &self,
        after: Option<AppId>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Application>, StoreError>> + Send;

    /// Suspends or resumes it and tells the Authentication Servers; false if there is none of that id.
    fn set_application_state(
        &self,
        id: AppId,
        state: ApplicationState,
        change: Change,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Removes it with its grants and tells the Authentication Servers; false if there is none of that id.
    fn remove_application(
        &self,
        id: AppId,
        change: Change,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

impl Applications for ResourceDb {
    async fn add_application(&self, application: Application) -> Result<bool, StoreError> {
        self.database
            .write_statement(move |c| {
                let mut insert = c.prepare_cached(
                    "INSERT OR IGNORE INTO applications
                         (id, cert_names, ua_classes, settings, discloses_identity, state, created_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?;
                let added = insert.execute(params![
                    application.id.as_str(),
                    application.cert_names.join("\n"),
                    application.ua_classes.join("\n"),
                    application.settings,
                    application.discloses_identity,
                    application.state as u8,
                    application.created_at.0,
                ])?;
                Ok(added > 0)
            })
            .await
    }

    async fn application(&self, id: AppId) -> Result<Option<Application>, StoreError> {
        self.database.read(move |c| load(c, &id)).await
    }

    async fn list_applications(
        &self,
        after: Option<AppId>,
        limit: u32,
    ) -> Result<Vec<Application>, StoreError> {
        self.database
            .read(move |c| {
                let mut statement = c.prepare_cached(&select("WHERE id > ?1 ORDER BY id LIMIT ?2"))?;
                let after = after.as_ref().map_or("", AppId::as_str);
                let mut rows = statement.query(params![after, limit])?;
                let mut applications = Vec::new();
                while let Some(row) = rows.next()? {
                    applications.push(read(row, 0)?);
                }
                Ok(applications)
            })
            .await
    }

    async fn set_application_state(
        &self,
        id: AppId,
        state: ApplicationState,
        change: Change,
    ) -> Result<bool, StoreError> {
        self.database
            .write(move |c| {
                let sql = "UPDATE applications SET state = ?2 WHERE id = ?1";
                let found = c.prepare_cached(sql)?.execute(params![id.as_str(), state as u8])? > 0;
                announce(c, found, &id, &change)
            })
            .await
    }

    async fn remove_application(&self, id: AppId, change: Change) -> Result<bool, StoreError> {
        self.database
            .write(move |c| {
                let sql = "DELETE FROM applications WHERE id = ?1";
                let found = c.prepare_cached(sql)?.execute([id.as_str()])? > 0;
                announce(c, found, &id, &change)
            })
            .await
    }
}

fn announce(c: &Connection, found: bool, id: &AppId, change: &Change) -> Result<bool, StoreError> {
    if found {
        outbox::announce(c, change, NoticeKind::Changed, None, Some(id))?;
    }
    Ok(found)
}

/// Columns of `applications`, as [`read`] takes them.
pub(super) const COLUMNS: &str =
    "a.id, a.cert_names, a.ua_classes, a.settings, a.discloses_identity, a.state, a.created_at";

fn select(condition: &str) -> String {
    format!("SELECT {COLUMNS} FROM applications a {condition}")
}

pub(super) fn load(c: &Connection, id: &AppId) -> Result<Option<Application>, StoreError> {
    let mut statement = c.prepare_cached(&select("WHERE id = ?1"))?;
    statement.query_row([id.as_str()], |row| Ok(read(row, 0))).optional()?.transpose()
}

/// An application from a row whose columns begin at `first`.
pub(super) fn read(row: &Row<'_>, first: usize) -> Result<Application, StoreError> {
    let id: String = row.get(first)?;
    let lines = |text: String| text.lines().map(str::to_owned).collect();
    Ok(Application {
        id: AppId::new(&id).map_err(|error| StoreError::Corrupt(format!("application {id}: {error}")))?,
        cert_names: lines(row.get(first + 1)?),
        ua_classes: lines(row.get(first + 2)?),
        settings: row.get(first + 3)?,
        discloses_identity: row.get(first + 4)?,
        state: match row.get::<_, u8>(first + 5)? {
            0 => ApplicationState::Active,
            _ => ApplicationState::Suspended,
        },
        created_at: UnixTime(row.get(first + 6)?),
    })
}
