//! Tokens found by id, and listed for the administrator.

use super::{Lookup, StoredToken, Tables, TokenFilter, device_of, id_of, rights::RightsSet};
use crate::{
    StoreError,
    sql::{Row, Session, Value, values},
};
use obf_token::{TokenFacts, TokenId, facts::read_origin};
use obf_types::{Epoch, GlobalIdentity, UnixTime};

const TOKENS: &str =
    "SELECT id, device, user_name, how, epoch, counter, bootstrapped, expires, rights_at, ks, body, revoked
                      FROM stored_tokens";

pub fn find(s: &mut dyn Session, id: &TokenId, now: UnixTime) -> Result<Lookup, StoreError> {
    let sql = format!("{TOKENS} WHERE rand = ?1 AND domain = ?2");
    let found = s.one(&sql, values![id.rand(), id.domain().as_str()], |row| {
        if row.number(11)? != 0 {
            return Ok(Lookup::Revoked);
        }
        Ok(match stored(row)? {
            Some(token) if token.facts.expires > now => Lookup::Live(token),
            _ => Lookup::Expired,
        })
    })?;
    Ok(found.unwrap_or(Lookup::Unknown))
}

pub fn list<T: Tables>(
    s: &mut dyn Session,
    filter: &TokenFilter,
    after: Option<&TokenId>,
    limit: u32,
    now: UnixTime,
) -> Result<Vec<StoredToken>, StoreError> {
    let after: &[u8] = after.map_or(&[], |id| id.rand());
    if let Some(device) = &filter.device {
        return of_device::<T>(s, device, filter, after, now);
    }
    let mut sql = format!("{TOKENS} WHERE ks IS NOT NULL AND expires > ?1 AND rand > ?2");
    let mut values: Vec<Value<'_>> = vec![now.0.into(), after.into(), limit.into()];
    if let Some(app) = &filter.app {
        values.push(app.as_str().into());
        sql += &format!(" AND {}", T::HAS_APP);
    }
    if let Some(domains) = &filter.domains {
        let places = domains.iter().map(|domain| {
            values.push(domain.as_str().into());
            format!("?{}", values.len())
        });
        let places: Vec<String> = places.collect();
        if places.is_empty() {
            return Ok(Vec::new());
        }
        sql += &format!(" AND domain IN ({})", places.join(", "));
    }
    let tokens = s.all(&(sql + " ORDER BY rand LIMIT ?3"), &values, stored)?;
    Ok(tokens.into_iter().flatten().collect())
}

/// A device has few tokens.
fn of_device<T: Tables>(
    s: &mut dyn Session,
    device: &GlobalIdentity,
    filter: &TokenFilter,
    after: &[u8],
    now: UnixTime,
) -> Result<Vec<StoredToken>, StoreError> {
    let sql = format!("{TOKENS} WHERE seq = ?1");
    let mut tokens = Vec::new();
    for token in T::live_tokens(s, &device.to_octets(), u64::MAX, now)? {
        tokens.extend(s.one(&sql, values![token], stored)?.flatten());
    }
    tokens.retain(|token| {
        token.id.rand().as_slice() > after
            && filter.app.as_ref().is_none_or(|app| token.rights.find(app).is_some())
            && filter.domains.as_ref().is_none_or(|domains| domains.contains(token.id.domain()))
    });
    tokens.sort_by(|a, b| a.id.rand().cmp(b.id.rand()));
    Ok(tokens)
}

/// The token of a row, or `None` if its key is gone.
fn stored(row: &dyn Row) -> Result<Option<StoredToken>, StoreError> {
    let Some(wrapped_ks) = row.octets(9)? else { return Ok(None) };
    let device = device_of(row.blob(1)?)?;
    let origin: u32 = row.fitting(3)?;
    let (schema, method, technology) = read_origin(origin.to_be_bytes())
        .ok_or_else(|| StoreError::Corrupt(format!("a token's origin is {origin:08x}")))?;
    let rights = RightsSet::from_octets(row.blob(10)?);
    Ok(Some(StoredToken {
        id: id_of(row.blob(0)?)?,
        user_name: row.octets(2)?.unwrap_or_else(|| device.value().as_bytes()).to_vec(),
        device,
        facts: TokenFacts {
            schema,
            method,
            technology,
            epoch: Epoch(row.fitting(4)?),
            counter: row.fitting(5)?,
            bootstrapped_at: UnixTime(row.fitting(6)?),
            expires: UnixTime(row.fitting(7)?),
            rights_at: UnixTime(row.fitting(8)?),
        },
        wrapped_ks: wrapped_ks.to_vec(),
        rights: rights.ok_or_else(|| StoreError::Corrupt("stored rights are none".into()))?,
    }))
}
