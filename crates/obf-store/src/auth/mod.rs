//! What an Authentication Server keeps: tokens, spent challenges, each device's epoch, counter and minimum algorithm,
//! notices that applications have not acknowledged, and the sealing keys that its nodes share.
//!
//! [`TokenStore`] says what its nodes ask of it, [`AuthStore`] is one of whichever engine. `tables` is what the engines
//! share, `sqlite` and `postgres` what each keeps or says its own way. [`TokenStore::follow`] tells each node what others
//! ended. Keys come in wrapped and go out wrapped; this module never sees one in clear.

mod follow;
mod keys;
mod list;
mod notices;
mod postgres;
mod revoke;
mod rights;
mod sqlite;
mod store;
mod sweep;
mod tables;
mod tokens;

pub use follow::{Change, Cursor, Followed};
pub use keys::WrappedSealingKey;
pub use notices::{Notice, NoticeCursor};
pub use postgres::PostgresTokens;
pub use rights::RightsSet;
pub use sqlite::{SCHEMA, SqliteTokens};
pub use store::{AuthStore, TokenStore};
pub use tokens::{Bootstrap, Committed, Lookup, Spent, StoredToken, TokenFilter};

use crate::StoreError;
use obf_token::{Algorithm, TokenId};
use obf_types::{Domain, GlobalIdentity};
use tables::Tables;

/// Seconds that a token's id is remembered after its expiry, without its key: so that a fetch is told why, and no
/// challenge is answered twice, however short the token lived.
pub const REMEMBERED: u64 = 900;

/// Tokens of a device that live at once; of more, the oldest end at once.
pub const TOKENS_OF_A_DEVICE: usize = 16;

fn device_of(octets: &[u8]) -> Result<GlobalIdentity, StoreError> {
    GlobalIdentity::from_octets(octets)
        .ok_or_else(|| StoreError::Corrupt("a stored identity is malformed".into()))
}

/// The algorithm of a device's row.
fn minimum_of(number: u8) -> Result<Algorithm, StoreError> {
    let known = Algorithm::from_number(number);
    known.ok_or_else(|| StoreError::Corrupt(format!("a device's minimum algorithm is {number}")))
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

/// The engines' integers are signed; ours never come near.
fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
