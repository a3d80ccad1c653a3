//! What ended on any node, told to every node on this store.

use super::{device_of, id_of};
use crate::{
    StoreError,
    sql::{Row, Session, values},
};
use obf_token::TokenId;
use obf_types::{Epoch, GlobalIdentity, UnixTime};

/// Changes of one answer at most.
pub const AT_ONCE: usize = 1000;

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
    /// Every token that the device had before this one lives until `until` at most.
    Superseded {
        /// The device.
        device: GlobalIdentity,
        /// The token that replaced the others.
        by: TokenId,
        /// Its bootstrap counter: those of lower ones are meant. One that came later may be in memory already.
        counter: u64,
        /// When they end.
        until: UnixTime,
    },
    /// The device's tokens have other rights now.
    RightsChanged {
        /// The device.
        device: GlobalIdentity,
    },
}

pub const DEVICE_ENDED: u8 = 1;
pub const TOKEN_ENDED: u8 = 2;
pub const SUPERSEDED: u8 = 3;
pub const RIGHTS_CHANGED: u8 = 4;

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
pub struct Cursor(pub(super) Place);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Every change up to this number: where one writes after the other.
    Number(i64),
    /// Every change whose transaction this snapshot saw, as PostgreSQL writes one; and, on the way through those that
    /// a later snapshot saw besides, which one that is and the last number.
    Seen { snapshot: String, towards: Option<(String, i64)> },
}

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

/// The change that a row says from column `at` on: kind, device, token, number, counter.
pub fn read(row: &dyn Row, at: usize) -> Result<Change, StoreError> {
    let device = device_of(row.blob(at + 1)?)?;
    let token = row.octets(at + 2)?.map(id_of).transpose()?;
    Ok(match (row.fitting::<u8>(at)?, token) {
        (DEVICE_ENDED, _) => Change::DeviceEnded { device, epoch: Epoch(row.fitting(at + 3)?) },
        (TOKEN_ENDED, Some(id)) => Change::TokenEnded { device, id },
        (SUPERSEDED, Some(by)) => Change::Superseded {
            device,
            by,
            counter: row.fitting(at + 4)?,
            until: UnixTime(row.fitting(at + 3)?),
        },
        (RIGHTS_CHANGED, _) => Change::RightsChanged { device },
        (kind, _) => return Err(StoreError::Corrupt(format!("change of kind {kind}"))),
    })
}

/// Keeps a change for those who follow; the device's row is locked.
pub fn record(
    s: &mut dyn Session,
    kind: u8,
    device: &[u8],
    token: Option<&[u8]>,
    number: u64,
    counter: u64,
    now: UnixTime,
) -> Result<(), StoreError> {
    s.execute(
        "INSERT INTO changes (kind, device, token, number, counter, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        values![kind, device, token, number, counter, now.0],
    )?;
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
        let superseded = Change::Superseded { device: device(1), by: id(1), counter: 1, until: UnixTime(9) };
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
