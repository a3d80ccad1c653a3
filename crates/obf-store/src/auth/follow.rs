//! What ended on any node, told to every node on this store.

use super::{AuthStore, device_of, id_of, integer, unsigned};
use crate::StoreError;
use obf_token::TokenId;
use obf_types::{Epoch, GlobalIdentity, UnixTime};
use rusqlite::Connection;

/// Changes of one answer at most.
const AT_ONCE: u32 = 1000;

/// Something about live tokens that every node must act on. Of one device they come in the order in which they happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Every token of the device bootstrapped under an older epoch has ended.
    DeviceEnded {
        /// The device.
        device: GlobalIdentity,
        /// Its epoch now.
        epoch: Epoch,
    },
    /// One token has ended.
    TokenEnded {
        /// The device.
        device: GlobalIdentity,
        /// Its id.
        id: TokenId,
    },
    /// Every token of the device but this one lives until `until` at most.
    Superseded {
        /// The device.
        device: GlobalIdentity,
        /// The token that replaced the others.
        by: TokenId,
        /// When they end.
        until: UnixTime,
    },
    /// The device's tokens have other rights now.
    RightsChanged {
        /// The device.
        device: GlobalIdentity,
    },
}

pub(super) const DEVICE_ENDED: u8 = 1;
pub(super) const TOKEN_ENDED: u8 = 2;
pub(super) const SUPERSEDED: u8 = 3;
pub(super) const RIGHTS_CHANGED: u8 = 4;

impl Change {
    /// Whether it may say something of this token of this device.
    pub fn concerns(&self, device: &GlobalIdentity, token: &TokenId) -> bool {
        match self {
            Self::DeviceEnded { device: of, .. } | Self::RightsChanged { device: of } => of == device,
            Self::TokenEnded { id, .. } => id == token,
            Self::Superseded { device: of, by, .. } => of == device && by != token,
        }
    }

    /// Whether applications may have been left notices with it.
    pub const fn leaves_notices(&self) -> bool {
        !matches!(self, Self::Superseded { .. })
    }
}

/// How far somebody has followed. What it consists of is the engine's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(i64);

/// What followed behind a cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// The changes.
    pub changes: Vec<Change>,
    /// The place behind them.
    pub cursor: Cursor,
    /// Whether there are more behind it already.
    pub more: bool,
}

impl AuthStore {
    /// The place behind everything that has happened.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn tip(&self) -> Result<Cursor, StoreError> {
        self.database
            .read(|connection| {
                let last = connection
                    .prepare_cached("SELECT coalesce(max(seq), 0) FROM changes")?
                    .query_row([], |row| row.get(0))?;
                Ok(Cursor(last))
            })
            .await
    }

    /// What happened behind `after`, at most 1,000 changes. Whatever was acknowledged before the call is among it, or among
    /// what [`Followed::more`] promises. A change may come twice, and none is left out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn follow(&self, after: Cursor) -> Result<Followed, StoreError> {
        self.database.read(move |connection| follow(connection, after)).await
    }
}

fn follow(connection: &Connection, after: Cursor) -> Result<Followed, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, kind, device, token, number FROM changes WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    )?;
    let mut rows = statement.query((after.0, AT_ONCE))?;
    let (mut changes, mut cursor) = (Vec::new(), after);
    while let Some(row) = rows.next()? {
        let device = device_of(row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?)?;
        let token: Option<Vec<u8>> = row.get(3)?;
        let token = token.as_deref().map(id_of).transpose()?;
        let number = unsigned(row.get(4)?);
        changes.push(match (row.get::<_, u8>(1)?, token) {
            (DEVICE_ENDED, _) => Change::DeviceEnded { device, epoch: Epoch(number) },
            (TOKEN_ENDED, Some(id)) => Change::TokenEnded { device, id },
            (SUPERSEDED, Some(by)) => Change::Superseded { device, by, until: UnixTime(number) },
            (RIGHTS_CHANGED, _) => Change::RightsChanged { device },
            (kind, _) => return Err(StoreError::Corrupt(format!("change of kind {kind}"))),
        });
        cursor = Cursor(row.get(0)?);
    }
    let more = changes.len() >= AT_ONCE as usize;
    Ok(Followed { changes, cursor, more })
}

pub(super) fn record(
    connection: &Connection,
    kind: u8,
    device: &[u8],
    token: Option<&[u8]>,
    number: u64,
    now: UnixTime,
) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT INTO changes (kind, device, token, number, at) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute((kind, device, token, integer(number), integer(now.0)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use obf_types::{Domain, IdentityKind};

    #[test]
    fn a_change_concerns_tokens_of_its_device_but_the_one_that_brought_it() {
        let device = |number| GlobalIdentity::new(IdentityKind::Imsi, &format!("00101{number:010}")).unwrap();
        let id = |number| TokenId::new([number; 16], Domain::new("rs.as.example").unwrap());
        let until = UnixTime(9);
        let superseded = Change::Superseded { device: device(1), by: id(1), until };
        let ended = Change::TokenEnded { device: device(1), id: id(1) };
        let of_device = Change::DeviceEnded { device: device(1), epoch: Epoch(2) };
        let rights = Change::RightsChanged { device: device(1) };
        let concerned = |change: &Change| {
            [(1, 1), (1, 2), (2, 2)].map(|(of, token)| change.concerns(&device(of), &id(token)))
        };
        assert_eq!(concerned(&superseded), [false, true, false]);
        assert_eq!(concerned(&ended), [true, false, false]);
        assert_eq!(concerned(&of_device), [true, true, false]);
        assert_eq!(concerned(&rights), [true, true, false]);
        assert!(!superseded.leaves_notices() && ended.leaves_notices());
    }
}
