//! Notices to applications, kept until every instance of the application has acknowledged them or the token they are
//! about would have expired anyway.
//!
//! An instance is what its NAS-Identifier names: of an application on several hosts each keeps keys of its own, so one
//! that was away must hear what the others acknowledged long ago.

use super::{device_of, id_of};
use crate::{
    StoreError,
    sql::{Session, values},
};
use obf_token::TokenId;
use obf_types::{AppId, Epoch, GlobalIdentity, UnixTime};

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

pub fn behind(
    s: &mut dyn Session,
    app: &AppId,
    after: NoticeCursor,
    limit: u32,
    now: UnixTime,
) -> Result<Vec<Notice>, StoreError> {
    s.all(
        "SELECT seq, token, device, epoch, at FROM notices
         WHERE app = ?1 AND seq > ?2 AND expires > ?3 ORDER BY seq LIMIT ?4",
        values![app.as_str(), after.0, now.0, limit],
        |row| {
            Ok(Notice {
                place: NoticeCursor(row.number(0)?),
                app: app.clone(),
                token: id_of(row.blob(1)?)?,
                device: device_of(row.blob(2)?)?,
                epoch: Epoch(row.fitting(3)?),
                at: UnixTime(row.fitting(4)?),
            })
        },
    )
}

pub fn acknowledged(s: &mut dyn Session, app: &AppId, instance: &str) -> Result<NoticeCursor, StoreError> {
    let sql = "SELECT seq FROM cursors WHERE app = ?1 AND peer = ?2";
    let found = s.one(sql, values![app.as_str(), instance], |row| Ok(NoticeCursor(row.number(0)?)))?;
    Ok(found.unwrap_or_default())
}

pub fn acknowledge(
    s: &mut dyn Session,
    app: &AppId,
    instance: &str,
    place: NoticeCursor,
    now: UnixTime,
) -> Result<(), StoreError> {
    s.execute(
        "INSERT INTO cursors (app, peer, seq, at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (app, peer) DO UPDATE
         SET seq = CASE WHEN excluded.seq > cursors.seq THEN excluded.seq ELSE cursors.seq END, at = excluded.at",
        values![app.as_str(), instance, place.0, now.0],
    )?;
    Ok(())
}
