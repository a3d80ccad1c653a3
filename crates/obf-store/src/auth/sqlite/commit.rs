//! A bootstrap becomes a token.

use super::{
    super::{
        Bootstrap, Committed, RightsSet,
        follow::{self, SUPERSEDED},
        id_octets, integer, minimum_of, revoke,
    },
    SqliteTokens,
    device_row::{DeviceRow, TokenPlaces},
    is_spent,
};
use crate::{
    StoreError,
    sql::{Session, values},
    sqlite::SqliteSession,
};
use obf_token::Method;
use rusqlite::Connection;

pub fn commit(connection: &Connection, new: &Bootstrap) -> Result<Committed, StoreError> {
    let device = new.device.to_octets();
    let (known, spent) = DeviceRow::read_with_spent(connection, &device, new.id.rand())?;
    let (epoch, counter, minimum) =
        known.as_ref().map_or((new.facts.epoch.0, 0, 0), |known| (known.epoch, known.counter, known.minimum));
    let Method::Aka(algorithm) = new.facts.method;
    let usual = epoch == new.facts.epoch.0 && minimum <= algorithm as u8;
    // Usually the insertion below says whether it became a token.
    if spent || !usual && is_spent(connection, &new.id)? {
        return Ok(Committed::AlreadyUsed);
    }
    if epoch > new.facts.epoch.0 {
        return Ok(Committed::Revoked);
    }
    if minimum > algorithm as u8 {
        let minimum = minimum_of(minimum)?;
        return Ok(Committed::BelowMinimum { minimum });
    }
    let counter = counter + 1;
    let Some(seq) = insert(connection, new, &device, counter)? else { return Ok(Committed::AlreadyUsed) };
    let now = new.facts.bootstrapped_at;
    let was_known = known.is_some();
    let mut held = known.map(|known| known.tokens).unwrap_or_default();
    if epoch < new.facts.epoch.0 {
        // The Resource Server ended this device's tokens and we missed its notice.
        let devices = [(new.device.clone(), new.facts.epoch)];
        revoke::end_devices::<SqliteTokens>(&mut SqliteSession(connection), &devices, now)?;
        held = TokenPlaces::default();
    }
    let shortened = held.supersede(new.former_until, now);
    for (former, until) in &shortened {
        connection
            .prepare_cached(
                "UPDATE tokens SET expires = ?2 WHERE seq = ?1 AND device = ?3 AND ks IS NOT NULL",
            )?
            .execute((former, integer(until.0), &device))?;
    }
    held.add(seq, new.facts.expires);
    let write = if was_known {
        "UPDATE devices SET epoch = ?2, counter = ?3, minimum = ?4, tokens = ?5 WHERE device = ?1"
    } else {
        "INSERT INTO devices (device, epoch, counter, minimum, tokens) VALUES (?1, ?2, ?3, ?4, ?5)"
    };
    connection.prepare_cached(write)?.execute((
        &device,
        integer(new.facts.epoch.0),
        integer(counter),
        algorithm as u8,
        held.to_octets(),
    ))?;
    if !shortened.is_empty() {
        let (s, id) = (&mut SqliteSession(connection), id_octets(&new.id));
        follow::record(s, SUPERSEDED, &device, Some(&id), new.former_until.0, counter, now)?;
    }
    Ok(Committed::Done { counter })
}

/// The new token's row, or `None` if its challenge became one before.
fn insert(
    connection: &Connection,
    new: &Bootstrap,
    device: &[u8],
    counter: u64,
) -> Result<Option<i64>, StoreError> {
    let same_name = new.user_name == new.device.value().as_bytes();
    let inserted = connection
        .prepare_cached(
            "INSERT INTO tokens (rand, domain, device, user_name, how, epoch, counter, bootstrapped, expires, ks,
                                 rights, rights_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT (rand) DO NOTHING",
        )?
        .execute(rusqlite::params![
            new.id.rand(),
            new.id.domain().as_str(),
            device,
            (!same_name).then_some(&new.user_name),
            u32::from_be_bytes(new.facts.origin()),
            integer(new.facts.epoch.0),
            integer(counter),
            integer(new.facts.bootstrapped_at.0),
            integer(new.facts.expires.0),
            &new.wrapped_ks,
            rights_id(&mut SqliteSession(connection), &new.rights)?,
            integer(new.facts.rights_at.0),
        ])?;
    Ok((inserted > 0).then(|| connection.last_insert_rowid()))
}

/// The row of a set of rights: many tokens have the same.
pub fn rights_id(s: &mut dyn Session, rights: &RightsSet) -> Result<i64, StoreError> {
    let body = rights.to_octets();
    let known = "SELECT id FROM rights WHERE body = ?1";
    if let Some(id) = s.one(known, values![&body], |row| row.number(0))? {
        return Ok(id);
    }
    s.execute("INSERT INTO rights (body) VALUES (?1)", values![&body])?;
    let id = s.one("SELECT last_insert_rowid()", &[], |row| row.number(0))?;
    let id = id.ok_or_else(|| StoreError::Corrupt("a row that was just written is not there".into()))?;
    for right in rights.iter() {
        s.execute("INSERT INTO rights_apps (app, rights) VALUES (?1, ?2)", values![right.app.as_str(), id])?;
    }
    Ok(id)
}
