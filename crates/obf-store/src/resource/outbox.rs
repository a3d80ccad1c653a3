//! Notices for Authentication Servers, kept until each has acknowledged them (WIRES "Notices").

use super::{ResourceDb, audit, device_rows};
use crate::{
    StoreError,
    sql::{Session, values},
};
use obf_types::{AppId, Epoch, GlobalIdentity, UnixTime};
use std::{future::Future, sync::Arc};

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

/// The notices waiting.
pub trait Outbox {
    /// Up to `limit` notices for that addressee with a greater id than `after`: first what ends tokens, the oldest of
    /// each kind first.
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
        self.engine
            .read(move |s| {
                s.all(
                    "SELECT id, kind, identity_kind, identity, epoch, app, at FROM notices
                     WHERE addressee = ?1 AND id > ?2 ORDER BY kind, id LIMIT ?3",
                    values![&addressee, after, limit],
                    |row| {
                        let device = match (row.maybe(2)?, row.text(3)?, row.maybe(4)?) {
                            (Some(kind), Some(value), Some(epoch)) => {
                                Some((device_rows::identity(kind, value)?, Epoch(epoch)))
                            }
                            _ => None,
                        };
                        let app = row.text(5)?.map(AppId::new).transpose();
                        Ok(Notice {
                            id: row.number(0)?,
                            addressee: addressee.clone(),
                            kind: if row.number(1)? == 1 {
                                NoticeKind::Disconnect
                            } else {
                                NoticeKind::Changed
                            },
                            device,
                            app: app.map_err(|error| StoreError::Corrupt(error.to_string()))?,
                            at: UnixTime(row.fitting(6)?),
                        })
                    },
                )
            })
            .await
    }

    async fn acknowledge_notice(&self, id: i64) -> Result<(), StoreError> {
        self.engine
            .write_statement(move |s| {
                s.execute("DELETE FROM notices WHERE id = ?1", values![id])?;
                Ok(())
            })
            .await
    }
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
        for addressee in self.addressees.iter() {
            s.execute(
                "INSERT INTO notices (addressee, kind, identity_kind, identity, epoch, app, at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                values![
                    addressee,
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

    /// Writes a notice about each device `d` for which `condition` holds (`?4` in it is `value`), for each addressee.
    pub(super) fn announce_devices(
        &self,
        s: &mut dyn Session,
        kind: NoticeKind,
        condition: &str,
        value: &str,
    ) -> Result<(), StoreError> {
        let sql = format!(
            "INSERT INTO notices (addressee, kind, identity_kind, identity, epoch, at)
             SELECT CAST(?1 AS TEXT), CAST(?2 AS BIGINT), d.identity_kind, d.identity, d.epoch, CAST(?3 AS BIGINT)
             FROM devices d WHERE {condition} ORDER BY d.id"
        );
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
        audit::append(s, self.at, &self.actor, action, object, &self.reason, detail)
    }
}
