//! The tokens of an Authentication Server in a PostgreSQL database: its nodes may run on any hosts.
//!
//! A bootstrap and a look at a token are one statement each, sent alone: one round trip, and the server's own group commit.
//! Bootstraps lock nothing but their device's row. What is rare and must be in order (notices) waits for its turn; what
//! is frequent (changes) is not ordered at all, and [`feed`] finds late ones.

mod feed;
mod schema;

use super::{
    Bootstrap, Committed, Cursor, Followed, RightsSet, Spent, TOKENS_OF_A_DEVICE, minimum_of,
    sweep::{self, Sweep},
    tables::Tables,
};
use crate::{
    Engine, OpenError, PostgresOptions, StoreError,
    postgres::{Listener, Pool},
    sql::{Row, Session, values},
};
use obf_token::{Method, TokenId};
use obf_types::{AppId, Epoch, GlobalIdentity, UnixTime};
use std::sync::Arc;

/// The store in a PostgreSQL database.
#[derive(Clone, Debug)]
pub struct PostgresTokens {
    engine: Engine,
    /// The same, for what each bootstrap passes.
    pool: Pool,
    /// A connection of the feed's own: what ended is heard however many bootstraps wait.
    feed: Pool,
    listener: Arc<Listener>,
}

impl PostgresTokens {
    /// Connects, and brings the tables to the newest version. Blocks.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn connect(options: &PostgresOptions) -> Result<Self, OpenError> {
        let pool = Pool::open(options, schema::OWNER, schema::MIGRATIONS)?;
        let feed = Pool::open(&options.clone().connections(1), schema::OWNER, schema::MIGRATIONS)?;
        let listener = Arc::new(Listener::start(options, schema::CHANNEL)?);
        Ok(Self { engine: Engine::Postgres(pool.clone()), pool, feed, listener })
    }
}

impl Tables for PostgresTokens {
    const HAS_APP: &'static str = "CAST(?4 AS TEXT) = ANY (apps)";
    const RAISE_EPOCH: &'static str =
        "INSERT INTO devices (device, epoch, counter, minimum) VALUES (?1, ?2, 0, 0)
         ON CONFLICT (device) DO UPDATE SET epoch = excluded.epoch WHERE devices.epoch < excluded.epoch";
    const SWEEPS: &'static [Sweep] = &[sweep::KEYS, sweep::TOKENS, sweep::NOTICES, sweep::CHANGES];
    const HOURLY: &'static [&'static str] = &[];

    fn engine(&self) -> &Engine {
        &self.engine
    }

    async fn commit_bootstrap(&self, new: Arc<Bootstrap>) -> Result<Committed, StoreError> {
        // Should the connection be lost before the answer came, the same is sent again: the function knows the token by its
        // wrapped key, which is drawn anew for each.
        self.pool.alone(move |s, _| commit(s, &new)).await
    }

    async fn spend_challenge(
        &self,
        id: TokenId,
        device: Option<(GlobalIdentity, Epoch)>,
        until: UnixTime,
    ) -> Result<Spent, StoreError> {
        let octets = device.as_ref().map(|(device, _)| device.to_octets());
        let epoch = device.map_or(0, |(_, epoch)| epoch.0);
        let spent = move |s: &mut dyn Session, again: bool| {
            let values = values![id.rand(), id.domain().as_str(), octets.as_ref(), epoch, until.0];
            match s.one("SELECT obf_spend(?1, ?2, ?3, ?4, ?5)", values, |row| row.number(0))? {
                Some(0) => Ok(Spent::Fresh),
                // By whom, cannot be told: perhaps by this very call, before the connection was lost.
                Some(1) if again => {
                    Err(StoreError::Io("the connection was lost while a challenge was spent".into()))
                }
                Some(1) => Ok(Spent::AlreadyUsed),
                Some(2) => Ok(Spent::Revoked),
                other => Err(unknown(other)),
            }
        };
        self.pool.alone(spent).await
    }

    async fn record_fetch(&self, id: TokenId, app: AppId) -> Result<bool, StoreError> {
        // The lock makes whoever ends the token meanwhile wait, and see this application; or this sees that it has ended.
        let sql = "WITH live AS (SELECT seq FROM tokens WHERE rand = ?1 AND ks IS NOT NULL FOR SHARE),
                        added AS (INSERT INTO fetched (token, app) SELECT seq, CAST(?2 AS TEXT) FROM live
                                  ON CONFLICT DO NOTHING)
                   SELECT seq FROM live";
        self.pool.alone(move |s, _| s.exists(sql, values![id.rand(), app.as_str()])).await
    }

    async fn feed_tip(&self) -> Result<Cursor, StoreError> {
        self.feed.alone(|s, _| feed::tip(s)).await
    }

    async fn feed_behind(&self, after: Cursor) -> Result<Followed, StoreError> {
        self.feed.alone(move |s, _| feed::behind(s, &after)).await
    }

    async fn feed_told(&self) {
        self.listener.heard().await;
    }

    fn live_tokens(
        s: &mut dyn Session,
        device: &[u8],
        epoch: u64,
        now: UnixTime,
    ) -> Result<Vec<i64>, StoreError> {
        s.all(
            "SELECT seq FROM tokens WHERE device = ?1 AND epoch < ?2 AND ks IS NOT NULL AND expires > ?3
             ORDER BY counter",
            values![device, epoch, now.0],
            |row| row.number(0),
        )
    }

    fn give_rights(s: &mut dyn Session, tokens: &[i64], rights: &RightsSet) -> Result<(), StoreError> {
        let (body, apps) = (rights.to_octets(), apps(rights));
        for token in tokens {
            s.execute(
                "UPDATE tokens SET rights = ?2, apps = string_to_array(?3, E'\\n') WHERE seq = ?1",
                values![*token, &body, &apps],
            )?;
        }
        Ok(())
    }
}

fn commit(s: &mut dyn Session, new: &Bootstrap) -> Result<Committed, StoreError> {
    let facts = &new.facts;
    let Method::Aka(algorithm) = facts.method;
    let device = new.device.to_octets();
    let user_name = (new.user_name != new.device.value().as_bytes()).then_some(&new.user_name);
    let answer = |row: &dyn Row| Ok((row.number(0)?, row.maybe::<u64>(1)?));
    let committed = s.one(
        "SELECT answer, value FROM obf_commit(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        values![
            new.id.rand(),
            new.id.domain().as_str(),
            &device,
            user_name,
            u32::from_be_bytes(facts.origin()),
            algorithm as u8,
            facts.epoch.0,
            facts.bootstrapped_at.0,
            facts.expires.0,
            facts.rights_at.0,
            &new.wrapped_ks,
            &new.rights.to_octets(),
            &apps(&new.rights),
            new.former_until.0,
            TOKENS_OF_A_DEVICE,
        ],
        answer,
    )?;
    match committed {
        Some((0, Some(counter))) => Ok(Committed::Done { counter }),
        Some((1, _)) => Ok(Committed::AlreadyUsed),
        Some((2, _)) => Ok(Committed::Revoked),
        Some((3, Some(minimum))) => {
            Ok(Committed::BelowMinimum { minimum: minimum_of(u8::try_from(minimum).unwrap_or(u8::MAX))? })
        }
        other => Err(unknown(other.map(|(answer, _)| answer))),
    }
}

/// The applications of a set of rights, a line each: no id has a line end in it.
fn apps(rights: &RightsSet) -> String {
    rights.iter().map(|right| right.app.as_str()).collect::<Vec<_>>().join("\n")
}

fn unknown(answer: Option<i64>) -> StoreError {
    StoreError::Other(format!("a function of the database answers {answer:?}: is it of another version?"))
}
