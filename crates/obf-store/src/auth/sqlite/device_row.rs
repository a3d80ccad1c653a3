//! What a device's row says: its epoch, its counter, and which tokens it holds.

use super::super::{TOKENS_OF_A_DEVICE, integer, unsigned};
use crate::{
    StoreError,
    sql::{Session, values},
};
use obf_types::UnixTime;
use rusqlite::{Connection, OptionalExtension, Row};

/// A device's row.
pub(super) struct DeviceRow {
    pub(super) epoch: u64,
    pub(super) counter: u64,
    pub(super) minimum: u8,
    pub(super) tokens: TokenPlaces,
}

impl DeviceRow {
    /// The tokens of a device (`kind octet ‖ text`); none if it never bootstrapped.
    pub(super) fn places(s: &mut dyn Session, device: &[u8]) -> Result<TokenPlaces, StoreError> {
        let sql = "SELECT tokens FROM devices WHERE device = ?1";
        let found = s.one(sql, values![device], |row| Ok(TokenPlaces::from_octets(row.blob(0)?)))?;
        Ok(found.unwrap_or_default())
    }

    /// The row of a device (`kind octet ‖ text`), if it ever bootstrapped or was revoked, and whether that RAND was spent by a resynchronisation.
    pub(super) fn read_with_spent(
        connection: &Connection,
        device: &[u8],
        rand: &[u8; 16],
    ) -> Result<(Option<Self>, bool), StoreError> {
        let known = connection
            .prepare_cached(
                "SELECT epoch, counter, minimum, tokens, EXISTS (SELECT 1 FROM spent WHERE rand = ?2)
                 FROM devices WHERE device = ?1",
            )?
            .query_row((device, rand), |row| Ok((Self::of(row)?, row.get(4)?)))
            .optional()?;
        if let Some((known, spent)) = known {
            return Ok((Some(known), spent));
        }
        let spent = connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM spent WHERE rand = ?1)")?
            .query_row([rand], |row| row.get(0))?;
        Ok((None, spent))
    }

    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            epoch: unsigned(row.get(0)?),
            counter: unsigned(row.get(1)?),
            minimum: row.get(2)?,
            tokens: TokenPlaces::from_octets(row.get_ref(3)?.as_blob()?),
        })
    }
}

/// The places of a device's tokens and when each expires, oldest first. One that was ended early is still in here; one
/// whose time is over may be forgotten by the table, and its place taken, so that it is never followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TokenPlaces(Vec<(i64, UnixTime)>);

impl TokenPlaces {
    fn from_octets(octets: &[u8]) -> Self {
        let (entries, _) = octets.as_chunks::<16>();
        Self(entries.iter().map(|entry| read(u128::from_be_bytes(*entry))).collect())
    }

    pub(super) fn to_octets(&self) -> Vec<u8> {
        self.0.iter().flat_map(|(seq, expires)| write(*seq, *expires).to_be_bytes()).collect()
    }

    pub(super) fn add(&mut self, seq: i64, expires: UnixTime) {
        self.0.push((seq, expires));
    }

    /// Places of tokens that may live at `now`.
    pub(super) fn live(&self, now: UnixTime) -> impl Iterator<Item = i64> {
        self.0.iter().filter(move |(_, expires)| *expires > now).map(|(seq, _)| *seq)
    }

    /// Lets no token live longer than `until`, nor more than [`TOKENS_OF_A_DEVICE`] with the one to come. Returns those that are to
    /// live shorter than before, with their new expiry; forgets those whose time is over.
    pub(super) fn supersede(&mut self, until: UnixTime, now: UnixTime) -> Vec<(i64, UnixTime)> {
        self.0.retain(|(_, expires)| *expires > now);
        let too_many = (self.0.len() + 1).saturating_sub(TOKENS_OF_A_DEVICE);
        let mut shortened: Vec<_> = self.0.drain(..too_many).map(|(seq, _)| (seq, now)).collect();
        for (seq, expires) in self.0.iter_mut().filter(|(_, expires)| *expires > until) {
            *expires = until;
            shortened.push((*seq, until));
        }
        shortened
    }
}

fn write(seq: i64, expires: UnixTime) -> u128 {
    u128::from(unsigned(seq)) << 64 | u128::from(expires.0)
}

fn read(entry: u128) -> (i64, UnixTime) {
    (integer((entry >> 64) as u64), UnixTime(entry as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_holds_few_tokens_and_the_former_end_soon() {
        let at = UnixTime;
        let mut held = TokenPlaces::default();
        held.add(1, at(1000));
        assert_eq!(held.supersede(at(160), at(100)), [(1, at(160))]);
        held.add(2, at(1100));
        assert_eq!(TokenPlaces::from_octets(&held.to_octets()), held);
        // Shortened once, it is not made longer.
        assert_eq!(held.supersede(at(180), at(120)), [(2, at(180))]);
        held.add(3, at(1120));
        assert_eq!(held.live(at(170)).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(held.supersede(at(300), at(240)), [(3, at(300))]);
        assert_eq!(held.live(at(240)).collect::<Vec<_>>(), [3]);
        for seq in 4..40 {
            let shortened = held.supersede(at(300), at(240));
            held.add(seq, at(1240));
            assert!(held.0.len() <= TOKENS_OF_A_DEVICE);
            if seq > 20 {
                assert_eq!(shortened.first().map(|(_, until)| *until), Some(at(240)));
            }
        }
    }
}
