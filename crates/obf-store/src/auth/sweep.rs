//! Forgetting: keys at expiry, what only explained a refusal some time after.

use super::{REMEMBERED, integer};
use crate::{
    StoreError,
    sql::{Session, values},
};
use obf_types::{Lifetime, UnixTime};

/// Rows that one job erases from a table: bounds how long it holds other writes up.
const PORTION: u32 = 500;
/// An instance of an application not heard for so many seconds is forgotten.
const INSTANCE: i64 = 30 * 86_400;

/// Rows of one kind to be erased.
#[derive(Clone, Copy, Debug)]
pub struct Sweep {
    /// Erases rows whose time is `?1` or before, at most `?2`; `{skip}` stands where a row that somebody else has locked
    /// is passed over.
    pub sql: &'static str,
    /// How long such a row is of use after its time, seconds.
    pub kept: u64,
}

/// The keys of expired tokens.
pub const KEYS: Sweep = Sweep {
    sql: "UPDATE tokens SET ks = NULL WHERE seq IN
          (SELECT seq FROM tokens WHERE ks IS NOT NULL AND expires <= ?1 LIMIT ?2{skip})",
    kept: 0,
};
/// Tokens that only explained a refusal.
pub const TOKENS: Sweep = Sweep {
    sql: "DELETE FROM tokens WHERE seq IN
          (SELECT seq FROM tokens WHERE ks IS NULL AND expires <= ?1 LIMIT ?2{skip})",
    kept: REMEMBERED,
};
/// Notices of tokens that would have expired by now.
pub const NOTICES: Sweep = Sweep {
    sql: "DELETE FROM notices WHERE seq IN (SELECT seq FROM notices WHERE expires <= ?1 LIMIT ?2{skip})",
    kept: 0,
};
/// Changes: the oldest come first; a node that was stopped for a day has no token in memory any more. The last stays, so
/// that an engine which numbers on from the highest that it has numbers no two alike.
pub const CHANGES: Sweep = Sweep {
    sql: "DELETE FROM changes WHERE seq IN
          (SELECT seq FROM changes WHERE at <= ?1 AND seq < (SELECT max(seq) FROM changes)
           ORDER BY seq LIMIT ?2{skip})",
    kept: Lifetime::CEILING.seconds() as u64 + REMEMBERED,
};

pub fn sweep(s: &mut dyn Session, sweeps: &[Sweep], now: UnixTime) -> Result<bool, StoreError> {
    let mut left_over = false;
    for Sweep { sql, kept } in sweeps {
        let sql = sql.replace("{skip}", s.passing_over());
        let before = integer(now.0) - integer(*kept);
        let erased = s.execute(&sql, values![before, PORTION])?;
        left_over |= erased >= u64::from(PORTION);
    }
    Ok(left_over)
}

pub fn hourly(s: &mut dyn Session, statements: &[&str], now: UnixTime) -> Result<(), StoreError> {
    s.execute("DELETE FROM cursors WHERE at <= ?1", values![integer(now.0) - INSTANCE])?;
    for sql in statements {
        s.execute(sql, &[])?;
    }
    Ok(())
}
