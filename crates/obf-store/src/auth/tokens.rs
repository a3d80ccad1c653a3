//! Tokens: committed by a bootstrap, found by id, listed for the administrator.

use super::{
    AuthStore, Facts, RightsSet, device_octets, device_of,
    device_row::{DeviceRow, TokenPlaces},
    id_octets, integer, revoke, unsigned,
};
use crate::StoreError;
use obf_token::{Algorithm, TokenId};
use obf_types::{AppId, Domain, Epoch, GlobalIdentity, UnixTime};
use rusqlite::{Connection, OptionalExtension, Row};
use std::sync::Arc;

/// A successful bootstrap, to be committed.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    /// The token's id.
    pub id: TokenId,
    /// The device's registered primary identity.
    pub device: GlobalIdentity,
    /// The user name as the UE wrote it.
    pub user_name: Vec<u8>,
    /// How it came about; the counter is chosen by the store and ignored here.
    pub facts: Facts,
    /// Ks, wrapped.
    pub wrapped_ks: Vec<u8>,
    /// What the device may do with the token.
    pub rights: Arc<RightsSet>,
    /// Tokens that the device had before live until then at most.
    pub former_until: UnixTime,
}

/// What became of a bootstrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// Committed, as the device's so-many-th; P6 of `obf-1`.
    Done {
        /// The device's bootstrap counter, from 1.
        counter: u64,
    },
    /// The challenge was used before.
    AlreadyUsed,
    /// The device's tokens were ended since the challenge was made.
    Revoked,
    /// The device has bootstrapped with a better algorithm before.
    BelowMinimum {
        /// The least it may use now.
        minimum: Algorithm,
    },
}

/// What became of a challenge answered by `auts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// It is spent now, and was not before.
    Fresh,
    /// It was used before.
    AlreadyUsed,
    /// The device's tokens were ended since the challenge was made.
    Revoked,
}

/// A token as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredToken {
    /// Its id.
    pub id: TokenId,
    /// The device's registered primary identity.
    pub device: GlobalIdentity,
    /// The user name as the UE wrote it.
    pub user_name: Vec<u8>,
    /// How it came about, and when it expires.
    pub facts: Facts,
    /// Ks, wrapped.
    pub wrapped_ks: Vec<u8>,
    /// What the device may do with it.
    pub rights: RightsSet,
}

/// What the store knows of a token id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// It lives.
    Live(StoredToken),
    /// Its time is over.
    Expired,
    /// It was ended.
    Revoked,
    /// Never heard of, or forgotten since.
    Unknown,
}

/// Which tokens to list; both `None`: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenFilter {
    /// Of this device.
    pub device: Option<GlobalIdentity>,
    /// With a right for this application that came with the token.
    pub app: Option<AppId>,
}

impl AuthStore {
    /// Commits a bootstrap: the challenge's RAND is spent and the token kept, or neither.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is kept then.
    pub async fn commit(&self, new: Arc<Bootstrap>) -> Result<Committed, StoreError> {
        self.database.write_checked(move |connection| commit(connection, &new)).await
    }

    /// Spends a challenge for a resynchronisation. `device` is whose challenge it is, and the epoch it was made under;
    /// `until` is when it is over.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is spent then.
    pub async fn spend(
        &self,
        id: TokenId,
        device: Option<(GlobalIdentity, Epoch)>,
        until: UnixTime,
    ) -> Result<Spent, StoreError> {
        self.database
            .write_statement(move |connection| {
                if is_spent(connection, &id)? {
                    return Ok(Spent::AlreadyUsed);
                }
                if let Some((device, epoch)) = device {
                    let newer = connection
                        .prepare_cached(
                            "SELECT EXISTS (SELECT 1 FROM devices WHERE device = ?1 AND epoch > ?2)",
                        )?
                        .query_row((device_octets(&device), integer(epoch.0)), |row| row.get(0))?;
                    if newer {
                        return Ok(Spent::Revoked);
                    }
                }
                connection
                    .prepare_cached("INSERT INTO spent (rand, until) VALUES (?1, ?2)")?
                    .execute((id.rand(), integer(until.0)))?;
                Ok(Spent::Fresh)
            })
            .await
    }

    /// What is known of a token.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn token(&self, id: TokenId, now: UnixTime) -> Result<Lookup, StoreError> {
        self.database.read(move |connection| find(connection, &id, now)).await
    }

    /// Live tokens in the order of their ids, from behind `after`, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(
        &self,
        filter: TokenFilter,
        after: Option<TokenId>,
        limit: u32,
        now: UnixTime,
    ) -> Result<Vec<StoredToken>, StoreError> {
        self.database.read(move |connection| list(connection, &filter, after.as_ref(), limit, now)).await
    }

    /// Remembers that an application outside the token's own rights fetches a key of it, so that it is told when the
    /// token ends. Those within are told anyway. False if the token has ended: then nobody would be told.
    ///
    /// # Errors
    /// [`StoreError`]; the key must not be given out then.
    pub async fn fetched(&self, id: TokenId, app: AppId) -> Result<bool, StoreError> {
        self.database
            .write_statement(move |connection| {
                let token: Option<i64> = connection
                    .prepare_cached("SELECT seq FROM tokens WHERE rand = ?1 AND ks IS NOT NULL")?
                    .query_row([id.rand()], |row| row.get(0))
                    .optional()?;
                let Some(token) = token else { return Ok(false) };
                connection
                    .prepare_cached(
                        "INSERT INTO fetched (token, app) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                    )?
                    .execute((token, app.as_str()))?;
                Ok(true)
            })
            .await
    }
}

fn commit(connection: &Connection, new: &Bootstrap) -> Result<Committed, StoreError> {
    let device = device_octets(&new.device);
    let (known, spent) = DeviceRow::read_with_spent(connection, &device, new.id.rand())?;
    let (epoch, counter, minimum) =
        known.as_ref().map_or((new.facts.epoch.0, 0, 0), |known| (known.epoch, known.counter, known.minimum));
    let usual = epoch == new.facts.epoch.0 && minimum <= new.facts.algorithm as u8;
    // Usually the insertion below says whether it became a token.
    if spent || !usual && is_spent(connection, &new.id)? {
        return Ok(Committed::AlreadyUsed);
    }
    if epoch > new.facts.epoch.0 {
        return Ok(Committed::Revoked);
    }
    if minimum > new.facts.algorithm as u8 {
        let minimum = Algorithm::from_number(minimum).unwrap_or(Algorithm::AkaV2Sha256);
        return Ok(Committed::BelowMinimum { minimum });
    }
    let counter = counter + 1;
    let Some(seq) = insert(connection, new, &device, counter)? else { return Ok(Committed::AlreadyUsed) };
    let now = new.facts.bootstrapped_at;
    let was_known = known.is_some();
    let mut held = known.map(|known| known.tokens).unwrap_or_default();
    if epoch < new.facts.epoch.0 {
        // The Resource Server ended this device's tokens and we missed its notice.
        revoke::end_device(connection, &new.device, new.facts.epoch, now)?;
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
        new.facts.algorithm as u8,
        held.to_octets(),
    ))?;
    if !shortened.is_empty() {
        revoke::superseded(connection, &device, &id_octets(&new.id), new.former_until, now)?;
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
            new.facts.how(),
            integer(new.facts.epoch.0),
            integer(counter),
            integer(new.facts.bootstrapped_at.0),
            integer(new.facts.expires.0),
            &new.wrapped_ks,
            rights_id(connection, &new.rights)?,
            integer(new.facts.rights_at.0),
        ])?;
    Ok((inserted > 0).then(|| connection.last_insert_rowid()))
}

/// A challenge is spent if its RAND resynchronised, or became a token.
fn is_spent(connection: &Connection, id: &TokenId) -> Result<bool, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM spent WHERE rand = ?1) OR EXISTS (SELECT 1 FROM tokens WHERE rand = ?1)",
        )?
        .query_row([id.rand()], |row| row.get(0))?)
}

pub(super) fn rights_id(connection: &Connection, rights: &RightsSet) -> Result<i64, StoreError> {
    let body = rights.to_octets();
    let known = connection
        .prepare_cached("SELECT id FROM rights WHERE body = ?1")?
        .query_row([&body], |row| row.get(0))
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    connection.prepare_cached("INSERT INTO rights (body) VALUES (?1)")?.execute([&body])?;
    let id = connection.last_insert_rowid();
    let mut insert = connection.prepare_cached("INSERT INTO rights_apps (app, rights) VALUES (?1, ?2)")?;
    for right in rights.iter() {
        insert.execute((right.app.as_str(), id))?;
    }
    Ok(id)
}

const COLUMNS: &str = "rand, domain, device, user_name, how, epoch, counter, bootstrapped, expires, ks, body, revoked, rights_at";

fn find(connection: &Connection, id: &TokenId, now: UnixTime) -> Result<Lookup, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM tokens JOIN rights ON rights.id = tokens.rights WHERE rand = ?1 AND domain = ?2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query((id.rand(), id.domain().as_str()))?;
    let Some(row) = rows.next()? else { return Ok(Lookup::Unknown) };
    if row.get::<_, bool>("revoked")? {
        return Ok(Lookup::Revoked);
    }
    match stored(row)? {
        Some(token) if token.facts.expires > now => Ok(Lookup::Live(token)),
        _ => Ok(Lookup::Expired),
    }
}

fn list(
    connection: &Connection,
    filter: &TokenFilter,
    after: Option<&TokenId>,
    limit: u32,
    now: UnixTime,
) -> Result<Vec<StoredToken>, StoreError> {
    let after: &[u8] = after.map_or(&[], |id| id.rand());
    if let Some(device) = &filter.device {
        return of_device(connection, device, filter.app.as_ref(), after, now);
    }
    let sql = format!(
        "SELECT {COLUMNS} FROM tokens JOIN rights ON rights.id = tokens.rights
         WHERE ks IS NOT NULL AND expires > ?1 AND rand > ?2 {} ORDER BY rand LIMIT ?3",
        if filter.app.is_some() {
            "AND rights IN (SELECT rights FROM rights_apps WHERE app = ?4)"
        } else {
            "AND ?4 IS NULL"
        },
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query((integer(now.0), after, limit, filter.app.as_ref().map(AppId::as_str)))?;
    let mut tokens = Vec::new();
    while let Some(row) = rows.next()? {
        tokens.extend(stored(row)?);
    }
    Ok(tokens)
}

/// A device has few tokens.
fn of_device(
    connection: &Connection,
    device: &GlobalIdentity,
    app: Option<&AppId>,
    after: &[u8],
    now: UnixTime,
) -> Result<Vec<StoredToken>, StoreError> {
    let octets = device_octets(device);
    let held = DeviceRow::read(connection, &octets)?.map(|known| known.tokens).unwrap_or_default();
    let sql = format!(
        "SELECT {COLUMNS} FROM tokens JOIN rights ON rights.id = tokens.rights WHERE seq = ?1 AND device = ?2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut tokens = Vec::new();
    for seq in held.live(now) {
        let mut rows = statement.query((seq, &octets))?;
        if let Some(row) = rows.next()? {
            tokens.extend(stored(row)?);
        }
    }
    tokens.retain(|token| {
        token.facts.expires > now
            && token.id.rand().as_slice() > after
            && app.is_none_or(|app| token.rights.find(app).is_some())
    });
    tokens.sort_by(|a, b| a.id.rand().cmp(b.id.rand()));
    Ok(tokens)
}

/// The token of a row, or `None` if its key is gone.
fn stored(row: &Row<'_>) -> Result<Option<StoredToken>, StoreError> {
    let Some(wrapped_ks) = row.get("ks")? else { return Ok(None) };
    let device = device_of(row.get_ref("device")?.as_blob().map_err(rusqlite::Error::from)?)?;
    let user_name: Option<Vec<u8>> = row.get("user_name")?;
    let (schema, mode, algorithm, technology) = Facts::of_how(row.get("how")?);
    Ok(Some(StoredToken {
        id: id_in(row)?,
        user_name: user_name.unwrap_or_else(|| device.value().as_bytes().to_vec()),
        device,
        facts: Facts {
            schema,
            mode,
            algorithm,
            technology,
            epoch: Epoch(unsigned(row.get("epoch")?)),
            counter: unsigned(row.get("counter")?),
            bootstrapped_at: UnixTime(unsigned(row.get("bootstrapped")?)),
            expires: UnixTime(unsigned(row.get("expires")?)),
            rights_at: UnixTime(unsigned(row.get("rights_at")?)),
        },
        wrapped_ks,
        rights: rights_of(row.get_ref("body")?.as_blob().map_err(rusqlite::Error::from)?)?,
    }))
}

fn rights_of(octets: &[u8]) -> Result<RightsSet, StoreError> {
    RightsSet::from_octets(octets).ok_or_else(|| StoreError::Corrupt("stored rights are none".into()))
}

fn id_in(row: &Row<'_>) -> Result<TokenId, StoreError> {
    let domain: String = row.get("domain")?;
    let domain = Domain::new(&domain).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    Ok(TokenId::new(row.get("rand")?, domain))
}
