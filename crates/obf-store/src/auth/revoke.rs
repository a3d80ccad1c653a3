//! Ending tokens before their time.
//!
//! Locks, where several may write at once: first a row of the audit, where there is to be one; then the rows of the devices,
//! in the order of their octets; then those of their tokens; then the turn to leave notices. Whoever keeps to it waits in a line, never in a circle. What is read
//! behind a device's lock is what the transaction that had it before left.

use super::{
    RightsSet, Tables,
    follow::{self, DEVICE_ENDED, RIGHTS_CHANGED, TOKEN_ENDED},
    id_octets,
};
use crate::{
    StoreError,
    sql::{Session, values},
};
use obf_token::TokenId;
use obf_types::{AppId, Epoch, GlobalIdentity, UnixTime};
use std::collections::{BTreeMap, BTreeSet};

pub fn end_devices<T: Tables>(
    s: &mut dyn Session,
    devices: &[(GlobalIdentity, Epoch)],
    now: UnixTime,
) -> Result<usize, StoreError> {
    let mut ordered = BTreeMap::<Vec<u8>, u64>::new();
    for (device, epoch) in devices {
        let highest = ordered.entry(device.to_octets()).or_default();
        *highest = epoch.0.max(*highest);
    }
    let mut concerned = Vec::with_capacity(ordered.len());
    for (device, epoch) in ordered {
        let risen = s.execute(T::RAISE_EPOCH, values![&device, epoch])? > 0;
        let tokens = T::live_tokens(s, &device, epoch, now)?;
        if risen || !tokens.is_empty() {
            concerned.push((device, epoch, tokens));
        }
    }
    let mut count = 0;
    for (device, epoch, tokens) in concerned {
        for token in &tokens {
            end(s, *token, Some(epoch), now)?;
        }
        follow::record(s, DEVICE_ENDED, &device, None, epoch, 0, now)?;
        count += tokens.len();
    }
    Ok(count)
}

pub fn end_token(s: &mut dyn Session, id: &TokenId, now: UnixTime) -> Result<bool, StoreError> {
    let sql =
        "SELECT seq, device FROM tokens WHERE rand = ?1 AND domain = ?2 AND ks IS NOT NULL AND expires > ?3";
    let known = values![id.rand(), id.domain().as_str(), now.0];
    let Some(device) = s.one(sql, known, |row| Ok(row.blob(1)?.to_vec()))? else { return Ok(false) };
    lock(s, &device)?;
    // Somebody may have ended it before it was ours to end.
    let Some(token) = s.one(sql, known, |row| row.number(0))? else { return Ok(false) };
    end(s, token, None, now)?;
    follow::record(s, TOKEN_ENDED, &device, Some(&id_octets(id)), 0, 0, now)?;
    Ok(true)
}

pub fn set_rights<T: Tables>(
    s: &mut dyn Session,
    devices: &[(GlobalIdentity, Vec<AppId>)],
    rights: &RightsSet,
    now: UnixTime,
) -> Result<(), StoreError> {
    let mut ordered = BTreeMap::<Vec<u8>, &[AppId]>::new();
    for (device, lost) in devices {
        ordered.insert(device.to_octets(), lost);
    }
    let mut concerned = Vec::with_capacity(ordered.len());
    for (device, lost) in ordered {
        lock(s, &device)?;
        let tokens = T::live_tokens(s, &device, u64::MAX, now)?;
        for token in &tokens {
            // A fetch beyond the token's rights keeps the token's row locked while it is recorded: this waits before it
            // records anything itself, or the two would wait for each other.
            let row = format!("SELECT seq FROM tokens WHERE seq = ?1{}", s.locking());
            s.exists(&row, values![*token])?;
            // Who may hold a key is told when the token ends, whatever the rights say by then.
            s.execute(
                "INSERT INTO fetched (token, app) SELECT token, app FROM token_apps WHERE token = ?1
                 ON CONFLICT DO NOTHING",
                values![*token],
            )?;
        }
        T::give_rights(s, &tokens, rights)?;
        concerned.push((device, lost, tokens));
    }
    for (device, lost, tokens) in concerned {
        for token in tokens {
            lost.iter().try_for_each(|app| notice(s, app.as_str(), token, None, now))?;
        }
        follow::record(s, RIGHTS_CHANGED, &device, None, 0, 0, now)?;
    }
    Ok(())
}

pub fn apps_of_devices<T: Tables>(
    s: &mut dyn Session,
    devices: Vec<GlobalIdentity>,
    now: UnixTime,
) -> Result<Vec<(GlobalIdentity, Vec<AppId>)>, StoreError> {
    let mut found = Vec::new();
    for device in BTreeSet::from_iter(devices) {
        let mut apps = BTreeSet::new();
        for token in T::live_tokens(s, &device.to_octets(), u64::MAX, now)? {
            apps.extend(holders(s, token)?);
        }
        let apps: Vec<_> = apps.iter().filter_map(|app| AppId::new(app).ok()).collect();
        if !apps.is_empty() {
            found.push((device, apps));
        }
    }
    Ok(found)
}

/// Waits until nobody else changes the device's tokens, and keeps it so until the transaction ends.
fn lock(s: &mut dyn Session, device: &[u8]) -> Result<(), StoreError> {
    let sql = format!("SELECT epoch FROM devices WHERE device = ?1{}", s.locking());
    s.exists(&sql, values![device]).map(|_| ())
}

/// Erases a token's key and leaves its notices, which say `epoch` or else the token's.
pub fn end(s: &mut dyn Session, token: i64, epoch: Option<u64>, now: UnixTime) -> Result<(), StoreError> {
    // The key first: that locks the row, so that a fetch beyond the token's rights is either recorded by now, and told
    // below, or finds that the token has ended.
    s.execute("UPDATE tokens SET ks = NULL, revoked = 1 WHERE seq = ?1", values![token])?;
    for app in holders(s, token)? {
        notice(s, &app, token, epoch, now)?;
    }
    Ok(())
}

/// The applications that may have a key of the token: those with a right, and those that fetched one beyond.
fn holders(s: &mut dyn Session, token: i64) -> Result<Vec<String>, StoreError> {
    s.all(
        "SELECT app FROM token_apps WHERE token = ?1 UNION SELECT app FROM fetched WHERE token = ?1",
        values![token],
        |row| Ok(row.string(0)?.to_owned()),
    )
}

fn notice(
    s: &mut dyn Session,
    app: &str,
    token: i64,
    epoch: Option<u64>,
    now: UnixTime,
) -> Result<(), StoreError> {
    s.execute(
        "INSERT INTO notices (app, token, device, epoch, at, expires)
         SELECT CAST(?1 AS TEXT), id, device, coalesce(CAST(?4 AS BIGINT), epoch), CAST(?3 AS BIGINT), expires
         FROM stored_tokens WHERE seq = ?2",
        values![app, token, now.0, epoch],
    )?;
    Ok(())
}
