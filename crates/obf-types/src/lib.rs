//! The words of the Open Bootstrap Framework, shared by every crate and owning no behaviour of their own.
//!
//! Reading order: [`identity`] (global identities, unchanged: SPEC R9), [`name`] (domains and application
//! ids), [`ua`] (security protocol ids), [`right`] (what a device may do), [`state`] (where a registered object stands),
//! [`technology`] (of whose network a credential is), [`secret`] (keys), [`hex`] (octets as digits), [`percent`] (octets in URIs and
//! headers), [`time`] (points in time and lifetimes), [`refusal`] (why something was
//! refused, with its stable code).
//!
//! No clock, no randomness, no I/O: callers pass them in.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod config;
pub mod hex;
pub mod identity;
pub mod name;
pub mod percent;
pub mod refusal;
pub mod right;
pub mod secret;
pub mod state;
pub mod technology;
pub mod time;
pub mod ua;

pub use config::ConfigError;
pub use identity::{GlobalIdentity, IdentityError, IdentityKind, MncLength};
pub use name::{AppId, Domain, NameError};
pub use refusal::Refusal;
pub use right::{MAX_SETTINGS, Right};
pub use secret::{Secret, SecretBytes};
pub use state::State;
pub use technology::Technology;
pub use time::{Lifetime, UnixTime};
pub use ua::{NafId, UaClass, UaId, UnknownUaClass};

/// The security schema a token's keys are derived with, fixed at bootstrap (WIRES "Keys and vectors").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum KeySchema {
    /// Ks_NAF exactly as TS 33.220 Annex B; what a stock 3GPP UE or NAF derives.
    GbaMe = 1,
    /// HMAC-SHA-256 over identity, technology, AS domain and counter as well (SPEC T).
    Obf1 = 2,
}

impl KeySchema {
    /// Every schema, by number.
    pub const ALL: [Self; 2] = [Self::GbaMe, Self::Obf1];

    /// The name used on the wires: `gba-me` or `obf-1`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::GbaMe => "gba-me",
            Self::Obf1 => "obf-1",
        }
    }

    /// The schema of that wire name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|schema| schema.name() == name)
    }

    /// The schema of that wire number (`OBF-Schema`), if there is one.
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::GbaMe),
            2 => Some(Self::Obf1),
            _ => None,
        }
    }
}

/// A device's revocation epoch: rises by one whenever its tokens are ended; an authentication begun under
/// an older epoch is not valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch(pub u64);

/// The registered number of an Authentication Server node (0..=31): selects the SQN's IND (TS 33.102 C.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeNumber(u8);

impl NodeNumber {
    /// Nodes a deployment can number: IND has 5 bits.
    pub const COUNT: u8 = 32;

    /// A node number, or `None` above 31.
    pub const fn new(number: u8) -> Option<Self> {
        if number < Self::COUNT { Some(Self(number)) } else { None }
    }

    /// The number, 0..=31.
    pub const fn value(self) -> u8 {
        self.0
    }
}
