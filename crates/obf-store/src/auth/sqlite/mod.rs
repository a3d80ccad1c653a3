//! The tokens of an Authentication Server in a SQLite file: one writer at a time, so nothing needs a lock, and what one
//! transaction numbers is in the order in which it commits.

mod commit;
mod device_row;
mod schema;

pub use schema::SCHEMA;

use super::{
    Bootstrap, Committed, Cursor, Followed, RightsSet, Spent,
    follow::{self, AT_ONCE, Place},
    integer,
    sweep::{self, Sweep},
    tables::Tables,
};
use crate::{
    Database, Engine, OpenError, Options, StoreError,
    sql::{Session, values},
};
use device_row::DeviceRow;
use obf_token::TokenId;
use obf_types::{AppId, Epoch, GlobalIdentity, UnixTime};
use rusqlite::{Connection, OptionalExtension};
use std::sync::Arc;

/// The store in a file.
#[derive(Clone, Debug)]
pub struct SqliteTokens {
    engine: Engine,
    /// The same, for what each bootstrap passes.
    database: Database,
}

impl SqliteTokens {
    /// Opens the file, creating it if it is not there.
    ///
    /// # Errors
    /// [`OpenError`] as [`Database::open`].
    pub fn open(options: &Options) -> Result<Self, OpenError> {
        let database = Database::open(options, &SCHEMA)?;
        Ok(Self { engine: Engine::Sqlite(database.clone()), database })
    }
}

impl Tables for SqliteTokens {
    const HAS_APP: &'static str = "rights IN (SELECT rights FROM rights_apps WHERE app = ?4)";
    const RAISE_EPOCH: &'static str =
        "INSERT INTO devices (device, epoch, counter, minimum, tokens) VALUES (?1, ?2, 0, 0, x'')
         ON CONFLICT (device) DO UPDATE SET epoch = excluded.epoch WHERE devices.epoch < excluded.epoch";
    const SWEEPS: &'static [Sweep] = &[
        sweep::KEYS,
        Sweep {
            sql: "DELETE FROM fetched WHERE token IN
                  (SELECT seq FROM tokens WHERE ks IS NULL AND expires <= ?1 LIMIT ?2)",
            ..sweep::TOKENS
        },
        sweep::TOKENS,
        Sweep {
            sql: "DELETE FROM spent WHERE rand IN (SELECT rand FROM spent WHERE until <= ?1 LIMIT ?2)",
            ..sweep::TOKENS
        },
        sweep::NOTICES,
        sweep::CHANGES,
    ];
    const HOURLY: &'static [&'static str] =
        &["DELETE FROM rights WHERE id NOT IN (SELECT rights FROM tokens)"];

    fn engine(&self) -> &Engine {
        &self.engine
    }

    async fn commit_bootstrap(&self, new: Arc<Bootstrap>) -> Result<Committed, StoreError> {
        self.database.write_checked(move |connection| commit::commit(connection, &new)).await
    }

    async fn spend_challenge(
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
                        .query_row((device.to_octets(), integer(epoch.0)), |row| row.get(0))?;
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

    async fn record_fetch(&self, id: TokenId, app: AppId) -> Result<bool, StoreError> {
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

    async fn feed_tip(&self) -> Result<Cursor, StoreError> {
        let last = "SELECT coalesce(max(seq), 0) FROM changes";
        let last = self.engine.read_alone(move |s| s.one(last, &[], |row| row.number(0))).await?;
        Ok(Cursor(Place::Number(last.unwrap_or(0))))
    }

    async fn feed_behind(&self, after: Cursor) -> Result<Followed, StoreError> {
        let Place::Number(after) = after.0 else {
            return Err(StoreError::Other("a cursor of another engine".into()));
        };
        let rows = self
            .engine
            .read_alone(move |s| {
                s.all(
                    "SELECT seq, kind, device, token, number, counter FROM changes
                     WHERE seq > ?1 ORDER BY seq LIMIT ?2",
                    values![after, AT_ONCE],
                    |row| Ok((row.number(0)?, follow::read(row, 1)?)),
                )
            })
            .await?;
        let last = rows.last().map_or(after, |(number, _)| *number);
        let more = rows.len() >= AT_ONCE;
        let changes = rows.into_iter().map(|(_, change)| change).collect();
        Ok(Followed { changes, cursor: Cursor(Place::Number(last)), more })
    }

    async fn feed_told(&self) {
        // Other processes cannot say so.
        std::future::pending().await
    }

    fn live_tokens(
        s: &mut dyn Session,
        device: &[u8],
        epoch: u64,
        now: UnixTime,
    ) -> Result<Vec<i64>, StoreError> {
        let held = DeviceRow::places(s, device)?;
        let mut live = Vec::new();
        for seq in held.live(now) {
            // One whose time was over may be forgotten, and its number taken.
            let lives = s.exists(
                "SELECT 1 FROM tokens WHERE seq = ?1 AND device = ?2 AND epoch < ?3 AND ks IS NOT NULL AND expires > ?4",
                values![seq, device, epoch, now.0],
            )?;
            if lives {
                live.push(seq);
            }
        }
        Ok(live)
    }

    fn give_rights(s: &mut dyn Session, tokens: &[i64], rights: &RightsSet) -> Result<(), StoreError> {
        if tokens.is_empty() {
            return Ok(());
        }
        let rights = commit::rights_id(s, rights)?;
        for token in tokens {
            s.execute("UPDATE tokens SET rights = ?2 WHERE seq = ?1", values![*token, rights])?;
        }
        Ok(())
    }
}

/// A challenge is spent if its RAND resynchronised, or became a token.
fn is_spent(connection: &Connection, id: &TokenId) -> Result<bool, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM spent WHERE rand = ?1) OR EXISTS (SELECT 1 FROM tokens WHERE rand = ?1)",
        )?
        .query_row([id.rand()], |row| row.get(0))?)
}
