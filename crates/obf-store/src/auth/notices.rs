//! Notices to applications, kept until every instance of the application has acknowledged them or the token they are
//! about would have expired anyway.
//!
//! An instance is what its NAS-Identifier names: of an application on several hosts each keeps keys of its own, so one
//! that was away must hear what the others acknowledged long ago.

use super::{AuthStore, device_of, id_of, integer, unsigned};
use crate::StoreError;
use obf_token::TokenId;
use obf_types::{AppId, Epoch, GlobalIdentity, UnixTime};
use rusqlite::Row;

/// A place in the order of all notices; the default is before the first. What it consists of is the engine's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct NoticeCursor(i64);

/// A token has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Its place in the order of all notices.
    pub place: NoticeCursor,
    /// The application it is for.
    pub app: AppId,
    /// The token.
    pub token: TokenId,
    /// The device's registered primary identity.
    pub device: GlobalIdentity,
    /// The device's epoch since then.
    pub epoch: Epoch,
    /// When it ended.
    pub at: UnixTime,
}

impl AuthStore {
    /// Notices for one application behind `after` whose tokens would still live, oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn notices(
        &self,
        app: AppId,
        after: NoticeCursor,
        limit: u32,
        now: UnixTime,
    ) -> Result<Vec<Notice>, StoreError> {
        self.database
            .read(move |connection| {
                let mut statement = connection.prepare_cached(
                    "SELECT seq, app, token, device, epoch, at FROM notices
                     WHERE app = ?1 AND seq > ?2 AND expires > ?3 ORDER BY seq LIMIT ?4",
                )?;
                let mut rows = statement.query((app.as_str(), after.0, integer(now.0), limit))?;
                let mut notices = Vec::new();
                while let Some(row) = rows.next()? {
                    notices.push(notice(row)?);
                }
                Ok(notices)
            })
            .await
    }

    /// The last notice that this instance of the application has acknowledged, all before it included.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn acknowledged(&self, app: AppId, instance: String) -> Result<NoticeCursor, StoreError> {
        self.database
            .read(move |connection| {
                Ok(connection
                    .prepare_cached("SELECT coalesce(max(seq), 0) FROM cursors WHERE app = ?1 AND peer = ?2")?
                    .query_row((app.as_str(), instance), |row| Ok(NoticeCursor(row.get(0)?)))?)
            })
            .await
    }

    /// This instance of the application has acknowledged every notice up to `place`.
    ///
    /// # Errors
    /// [`StoreError`]; it will be sent them again.
    pub async fn acknowledge(
        &self,
        app: AppId,
        instance: String,
        place: NoticeCursor,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        self.database
            .write_statement(move |connection| {
                connection
                    .prepare_cached(
                        "INSERT INTO cursors (app, peer, seq, at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (app, peer)
                         DO UPDATE SET seq = max(seq, excluded.seq), at = excluded.at",
                    )?
                    .execute((app.as_str(), instance, place.0, integer(now.0)))?;
                Ok(())
            })
            .await
    }
}

fn notice(row: &Row<'_>) -> Result<Notice, StoreError> {
    let app: String = row.get(1)?;
    Ok(Notice {
        place: NoticeCursor(row.get(0)?),
        app: AppId::new(&app).map_err(|error| StoreError::Corrupt(error.to_string()))?,
        token: id_of(row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?)?,
        device: device_of(row.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?)?,
        epoch: Epoch(unsigned(row.get(4)?)),
        at: UnixTime(unsigned(row.get(5)?)),
    })
}
