//! Ending tokens before their time.

use super::{
    AuthStore, RightsSet, device_octets,
    device_row::DeviceRow,
    follow::{self, DEVICE_ENDED, RIGHTS_CHANGED, SUPERSEDED, TOKEN_ENDED},
    id_octets, integer, tokens,
};
use crate::StoreError;
use obf_token::TokenId;
use obf_types::{AppId, Epoch, GlobalIdentity, UnixTime};
use rusqlite::{Connection, OptionalExtension};
use std::{collections::BTreeSet, sync::Arc};

impl AuthStore {
    /// Ends every token of the devices bootstrapped under an epoch before the one stated with each, for good: a challenge
    /// sealed under an older one no longer counts either. Leaves a notice for every application concerned. Idempotent.
    /// Returns how many tokens it ended.
    ///
    /// # Errors
    /// [`StoreError`]; nothing has ended then.
    pub async fn end_devices(
        &self,
        devices: Vec<(GlobalIdentity, Epoch)>,
        now: UnixTime,
    ) -> Result<usize, StoreError> {
        self.database
            .write(move |connection| {
                devices.iter().map(|(device, epoch)| end_device(connection, device, *epoch, now)).sum()
            })
            .await
    }

    /// Ends one token and leaves a notice for every application concerned; `false` if no such token lives.
    ///
    /// # Errors
    /// [`StoreError`]; it has not ended then.
    pub async fn end_token(&self, id: TokenId, now: UnixTime) -> Result<bool, StoreError> {
        self.database
            .write(move |connection| {
                let found: Option<(i64, Vec<u8>)> = connection
                    .prepare_cached(
                        "SELECT seq, device FROM tokens
                         WHERE rand = ?1 AND domain = ?2 AND ks IS NOT NULL AND expires > ?3",
                    )?
                    .query_row((id.rand(), id.domain().as_str(), integer(now.0)), |row| {
                        Ok((row.get(0)?, row.get(1)?))
                    })
                    .optional()?;
                let Some((seq, device)) = found else { return Ok(false) };
                end(connection, seq, None, now)?;
                follow::record(connection, TOKEN_ENDED, &device, Some(&id_octets(&id)), 0, now)?;
                Ok(true)
            })
            .await
    }

    /// Gives the devices' live tokens other rights, and leaves a notice for every application that stands with a device:
    /// it lost its right.
    ///
    /// # Errors
    /// [`StoreError`]; nothing has changed then.
    pub async fn set_rights(
        &self,
        devices: Vec<(GlobalIdentity, Vec<AppId>)>,
        rights: Arc<RightsSet>,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        self.database
            .write(move |connection| {
                let rights = tokens::rights_id(connection, &rights)?;
                devices
                    .iter()
                    .try_for_each(|(device, lost)| set_rights(connection, device, rights, lost, now))
            })
            .await
    }

    /// Of these devices those whose live tokens may have given keys out, each with the applications that may have
    /// them: those with a right, and those that fetched one beyond. Each device once.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn apps_of_devices(
        &self,
        devices: Vec<GlobalIdentity>,
        now: UnixTime,
    ) -> Result<Vec<(GlobalIdentity, Vec<AppId>)>, StoreError> {
        self.database
            .read(move |connection| {
                let mut found = Vec::new();
                for device in BTreeSet::from_iter(devices) {
                    let mut apps = BTreeSet::new();
                    for token in live(connection, &device_octets(&device), u64::MAX, now)? {
                        apps.extend(holders(connection, token)?);
                    }
                    let apps: Vec<_> = apps.iter().filter_map(|app| AppId::new(app).ok()).collect();
                    if !apps.is_empty() {
                        found.push((device, apps));
                    }
                }
                Ok(found)
            })
            .await
    }
}

pub(super) fn end_device(
    connection: &Connection,
    device: &GlobalIdentity,
    epoch: Epoch,
    now: UnixTime,
) -> Result<usize, StoreError> {
    let octets = device_octets(device);
    let risen = connection
        .prepare_cached(
            "INSERT INTO devices (device, epoch, counter, minimum, tokens) VALUES (?1, ?2, 0, 0, x'')
             ON CONFLICT (device) DO UPDATE SET epoch = excluded.epoch WHERE epoch < excluded.epoch",
        )?
        .execute((&octets, integer(epoch.0)))?;
    let ended = live(connection, &octets, epoch.0, now)?;
    for token in &ended {
        end(connection, *token, Some(epoch), now)?;
    }
    if risen > 0 || !ended.is_empty() {
        follow::record(connection, DEVICE_ENDED, &octets, None, epoch.0, now)?;
    }
    Ok(ended.len())
}

fn set_rights(
    connection: &Connection,
    device: &GlobalIdentity,
    rights: i64,
    lost: &[AppId],
    now: UnixTime,
) -> Result<(), StoreError> {
    let octets = device_octets(device);
    for token in live(connection, &octets, u64::MAX, now)? {
        // Who may hold a key is told when the token ends, whatever the rights say by then.
        connection
            .prepare_cached(
                "INSERT INTO fetched (token, app) SELECT seq, app FROM tokens JOIN rights_apps USING (rights)
                 WHERE seq = ?1 ON CONFLICT DO NOTHING",
            )?
            .execute([token])?;
        connection
            .prepare_cached("UPDATE tokens SET rights = ?2 WHERE seq = ?1")?
            .execute((token, rights))?;
        for app in lost {
            notice(connection, app.as_str(), token, None, now)?;
        }
    }
    follow::record(connection, RIGHTS_CHANGED, &octets, None, 0, now)
}

/// The device's other tokens live until `until` at most from now on.
pub(super) fn superseded(
    connection: &Connection,
    device: &[u8],
    by: &[u8],
    until: UnixTime,
    now: UnixTime,
) -> Result<(), StoreError> {
    follow::record(connection, SUPERSEDED, device, Some(by), until.0, now)
}

/// The device's live tokens of an epoch before `epoch`.
fn live(connection: &Connection, device: &[u8], epoch: u64, now: UnixTime) -> Result<Vec<i64>, StoreError> {
    let held = DeviceRow::read(connection, device)?.map(|known| known.tokens).unwrap_or_default();
    let mut statement = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM tokens
                        WHERE seq = ?1 AND device = ?2 AND epoch < ?3 AND ks IS NOT NULL AND expires > ?4)",
    )?;
    let mut live = Vec::new();
    for seq in held.live(now) {
        if statement.query_row((seq, device, integer(epoch), integer(now.0)), |row| row.get(0))? {
            live.push(seq);
        }
    }
    Ok(live)
}

/// Erases a token's key and leaves its notices, which say `epoch` or else the token's.
fn end(connection: &Connection, token: i64, epoch: Option<Epoch>, now: UnixTime) -> Result<(), StoreError> {
    for app in holders(connection, token)? {
        notice(connection, &app, token, epoch, now)?;
    }
    connection.prepare_cached("UPDATE tokens SET ks = NULL, revoked = 1 WHERE seq = ?1")?.execute([token])?;
    Ok(())
}

/// The applications that may have a key of the token: those with a right, and those that fetched one beyond.
fn holders(connection: &Connection, token: i64) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT app FROM tokens JOIN rights_apps USING (rights) WHERE seq = ?1
         UNION SELECT app FROM fetched WHERE token = ?1",
    )?;
    let apps = statement.query_map([token], |row| row.get(0))?;
    Ok(apps.collect::<Result<_, _>>()?)
}

fn notice(
    connection: &Connection,
    app: &str,
    token: i64,
    epoch: Option<Epoch>,
    now: UnixTime,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO notices (app, token, device, epoch, at, expires)
             SELECT ?1, CAST(rand || domain AS BLOB), device, coalesce(?4, epoch), ?3, expires
             FROM tokens WHERE seq = ?2",
        )?
        .execute((app, token, integer(now.0), epoch.map(|epoch| integer(epoch.0))))?;
    Ok(())
}
