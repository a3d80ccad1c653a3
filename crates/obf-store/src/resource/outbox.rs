//! Notices for Authentication Servers, kept until each has acknowledged them (WIRES "Notices").

use super::{ResourceDb, devices};
use crate::StoreError;
use obf_types::{AppId, Epoch, GlobalIdentity, UnixTime};
use rusqlite::{Connection, params};
use std::{future::Future, sync::Arc};

/// Who is told of a change, and when it happened.
#[derive(Clone, Debug)]
pub struct Change {
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

/// The notices waiting.
pub trait Outbox {
    /// Up to `limit` notices for that addressee with a greater id than `after`, oldest first.
    fn waiting_notices(
        &self,
        addressee: &str,
        after: i64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Notice>, StoreError>> + Send;

    /// Forgets a notice that was acknowledged.
    fn acknowledge_notice(&self, id: i64) -> impl Future<Output = Result<(), StoreError>> + Send;
}

impl Outbox for ResourceDb {
    async fn waiting_notices(
        &self,
        addressee: &str,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Notice>, StoreError> {
        let addressee = addressee.to_owned();
        self.database
            .read(move |c| {
                let mut statement = c.prepare_cached(
                    "SELECT id, kind, identity_kind, identity, epoch, app, at FROM notices
                     WHERE addressee = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
                )?;
                let mut rows = statement.query(params![addressee, after, limit])?;
                let mut notices = Vec::new();
                while let Some(row) = rows.next()? {
                    let device = match (row.get(2)?, row.get::<_, Option<String>>(3)?, row.get(4)?) {
                        (Some(kind), Some(value), Some(epoch)) => {
                            Some((devices::identity(kind, &value)?, Epoch(epoch)))
                        }
                        _ => None,
                    };
                    let app = row.get::<_, Option<String>>(5)?;
                    let app = app.map(|app| AppId::new(&app)).transpose();
                    notices.push(Notice {
                        id: row.get(0)?,
                        addressee: addressee.clone(),
                        kind: if row.get::<_, u8>(1)? == 1 {
                            NoticeKind::Disconnect
                        } else {
                            NoticeKind::Changed
                        },
                        device,
                        app: app.map_err(|error| StoreError::Corrupt(error.to_string()))?,
                        at: UnixTime(row.get(6)?),
                    });
                }
                Ok(notices)
            })
            .await
    }

    async fn acknowledge_notice(&self, id: i64) -> Result<(), StoreError> {
        self.database
            .write_statement(move |c| {
                c.prepare_cached("DELETE FROM notices WHERE id = ?1")?.execute([id])?;
                Ok(())
            })
            .await
    }
}

/// Writes a notice for each addressee of the change, in the transaction of the change itself.
pub(super) fn announce(
    c: &Connection,
    change: &Change,
    kind: NoticeKind,
    device: Option<(&GlobalIdentity, Epoch)>,
    app: Option<&AppId>,
) -> Result<(), StoreError> {
    let mut insert = c.prepare_cached(
        "INSERT INTO notices (addressee, kind, identity_kind, identity, epoch, app, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for addressee in change.addressees.iter() {
        insert.execute(params![
            addressee,
            kind as u8,
            device.map(|(identity, _)| identity.kind() as u8),
            device.map(|(identity, _)| identity.value()),
            device.map(|(_, epoch)| epoch.0),
            app.map(AppId::as_str),
            change.at.0,
        ])?;
    }
    Ok(())
}
