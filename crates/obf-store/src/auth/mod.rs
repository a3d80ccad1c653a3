//! What an Authentication Server keeps: tokens, spent challenges, each device's epoch, counter and minimum algorithm,
//! notices that applications have not acknowledged, and the sealing keys that its nodes share.
//!
//! Several Authentication Server nodes may have one file open; [`AuthStore::follow`] tells each what others ended.
//! Keys come in wrapped and go out wrapped; this module never sees one in clear.

mod device_row;
mod facts;
mod follow;
mod keys;
mod notices;
mod revoke;
mod sweep;
mod tokens;

pub use device_row::TOKENS_OF_A_DEVICE;
pub use facts::{Facts, Right, RightsSet};
pub use follow::{Change, Cursor, Followed};
pub use keys::WrappedSealingKey;
pub use notices::{Notice, NoticeCursor};
pub use tokens::{Bootstrap, Committed, Lookup, Spent, StoredToken, TokenFilter};

use crate::{Database, OpenError, Options, Schema, StoreError};
use obf_token::TokenId;
use obf_types::{Domain, GlobalIdentity, IdentityKind};

/// Seconds that a token's id is remembered after its expiry, without its key: so that a fetch is told why, and no
/// challenge is answered twice, however short the token lived.
pub const REMEMBERED: u64 = 900;

/// "OBFA".
const APPLICATION_ID: i32 = 0x4F42_4641;

/// The tables. Identities are `kind octet ‖ text`, token ids `RAND ‖ domain`, times seconds since 1970. Tokens lie in the
/// order in which they came, so that a commit of many touches few pages; a device's row says which are its own.
pub const SCHEMA: Schema = Schema {
    application_id: APPLICATION_ID,
    migrations: &["
        CREATE TABLE devices (
            device BLOB PRIMARY KEY,
            epoch INTEGER NOT NULL,
            counter INTEGER NOT NULL,
            minimum INTEGER NOT NULL,
            tokens BLOB NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE spent (rand BLOB PRIMARY KEY, until INTEGER NOT NULL) STRICT, WITHOUT ROWID;
        CREATE INDEX spent_until ON spent (until);
        CREATE TABLE rights (id INTEGER PRIMARY KEY, body BLOB NOT NULL UNIQUE) STRICT;
        CREATE TABLE rights_apps (
            app TEXT NOT NULL,
            rights INTEGER NOT NULL REFERENCES rights ON DELETE CASCADE,
            PRIMARY KEY (app, rights)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX rights_apps_rights ON rights_apps (rights);
        CREATE TABLE tokens (
            seq INTEGER PRIMARY KEY,
            rand BLOB NOT NULL UNIQUE,
            domain TEXT NOT NULL,
            device BLOB NOT NULL,
            user_name BLOB,
            how INTEGER NOT NULL,
            epoch INTEGER NOT NULL,
            counter INTEGER NOT NULL,
            bootstrapped INTEGER NOT NULL,
            expires INTEGER NOT NULL,
            ks BLOB,
            rights INTEGER NOT NULL,
            rights_at INTEGER NOT NULL,
            revoked INTEGER NOT NULL DEFAULT 0
        ) STRICT;
        CREATE INDEX tokens_due ON tokens (expires) WHERE ks IS NOT NULL;
        CREATE INDEX tokens_gone ON tokens (expires) WHERE ks IS NULL;
        CREATE TABLE fetched (token INTEGER NOT NULL, app TEXT NOT NULL, PRIMARY KEY (token, app)) STRICT, WITHOUT ROWID;
        CREATE TABLE changes (
            seq INTEGER PRIMARY KEY,
            kind INTEGER NOT NULL,
            device BLOB NOT NULL,
            token BLOB,
            number INTEGER NOT NULL,
            at INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE notices (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            app TEXT NOT NULL,
            token BLOB NOT NULL,
            device BLOB NOT NULL,
            epoch INTEGER NOT NULL,
            at INTEGER NOT NULL,
            expires INTEGER NOT NULL
        ) STRICT;
        CREATE INDEX notices_app ON notices (app, seq);
        CREATE INDEX notices_expires ON notices (expires);
        CREATE TABLE cursors (
            app TEXT NOT NULL,
            peer TEXT NOT NULL,
            seq INTEGER NOT NULL,
            at INTEGER NOT NULL,
            PRIMARY KEY (app, peer)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE sealing_keys (id INTEGER PRIMARY KEY, wrapped BLOB NOT NULL, created INTEGER NOT NULL) STRICT;
    "],
};

/// The store of an Authentication Server; clones are the same store.
#[derive(Clone, Debug)]
pub struct AuthStore {
    database: Database,
}

impl AuthStore {
    /// Opens the file, creating it if it is not there.
    ///
    /// # Errors
    /// [`OpenError`] as [`Database::open`].
    pub fn open(options: &Options) -> Result<Self, OpenError> {
        Ok(Self { database: Database::open(options, &SCHEMA)? })
    }

    /// The database below, for its statistics.
    pub const fn database(&self) -> &Database {
        &self.database
    }
}

/// `kind octet ‖ text`.
fn device_octets(device: &GlobalIdentity) -> Vec<u8> {
    let mut octets = Vec::with_capacity(1 + device.value().len());
    octets.push(device.kind() as u8);
    octets.extend_from_slice(device.value().as_bytes());
    octets
}

fn device_of(octets: &[u8]) -> Result<GlobalIdentity, StoreError> {
    let identity = octets.split_first().and_then(|(kind, value)| {
        GlobalIdentity::new(IdentityKind::from_number(*kind)?, std::str::from_utf8(value).ok()?).ok()
    });
    identity.ok_or_else(|| StoreError::Corrupt("a stored identity is none".into()))
}

/// `RAND ‖ domain`.
fn id_octets(id: &TokenId) -> Vec<u8> {
    let mut octets = Vec::with_capacity(16 + id.domain().as_str().len());
    octets.extend_from_slice(id.rand());
    octets.extend_from_slice(id.domain().as_str().as_bytes());
    octets
}

fn id_of(octets: &[u8]) -> Result<TokenId, StoreError> {
    let id = octets.split_first_chunk::<16>().and_then(|(rand, domain)| {
        Some(TokenId::new(*rand, Domain::new(std::str::from_utf8(domain).ok()?).ok()?))
    });
    id.ok_or_else(|| StoreError::Corrupt("a stored token id is none".into()))
}

/// SQLite's integers are signed; ours never come near.
fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests;
