//! What a record of a key file says: a secure element's identities and its key.

use crate::fault::RecordFault;
use obf_types::{GlobalIdentity, IdentityKind, SecretBytes, Technology};
use std::fmt;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// TS 35.206: K of 16 octets, OPc of 16.
    Milenage,
    /// TS 35.231: K of 16 or 32 octets, TOPc of 32.
    Tuak,
}

impl Algorithm {
    /// Its lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Milenage => "milenage",
            Self::Tuak => "tuak",
        }
    }

    /// The one of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Milenage, Self::Tuak].into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Octets of OPc or TOPc.
    pub const fn c_len(self) -> usize {
        match self {
            Self::Milenage => 16,
            Self::Tuak => 32,
        }
    }

    fn check(self, k: &[u8], c: &[u8]) -> Result<(), RecordFault> {
        let (k_wanted, c_field, fits) = match self {
            Self::Milenage => ("16", "opc", k.len() == 16),
            Self::Tuak => ("16 or 32", "topc", matches!(k.len(), 16 | 32)),
        };
        if !fits {
            return Err(RecordFault::KeyLength { field: "k", wanted: k_wanted, found: k.len() });
        }
        if c.len() != self.c_len() {
            let wanted = if self.c_len() == 16 { "16" } else { "32" };
            return Err(RecordFault::KeyLength { field: c_field, wanted, found: c.len() });
        }
        Ok(())
    }
}

/// A secure element and its key. `Debug` shows no octet of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its identities, unchanged (SPEC R9), the primary one first; never empty.
    pub identities: Vec<GlobalIdentity>,
    /// What the key is for.
    pub algorithm: Algorithm,
    /// K.
    pub k: SecretBytes,
    /// OPc or TOPc.
    pub c: SecretBytes,
    /// Whose key it is: of a 3GPP network, which is what a file means that does not say, or its provider's own.
    pub technology: Technology,
    /// AMF, if the file says.
    pub amf: Option<[u8; 2]>,
    /// The last SQN used, if the file says.
    pub sqn: Option<[u8; 6]>,
}

impl KeyRecord {
    /// A record whose parts fit together, of a key of a 3GPP network.
    ///
    /// # Errors
    /// [`RecordFault`] names the part that does not.
    pub fn new(
        identities: Vec<GlobalIdentity>,
        algorithm: Algorithm,
        k: SecretBytes,
        c: SecretBytes,
    ) -> Result<Self, RecordFault> {
        algorithm.check(k.expose(), c.expose())?;
        if identities.iter().all(|identity| identity.kind() == IdentityKind::Imei) {
            return Err(RecordFault::NoIdentity);
        }
        Ok(Self { identities, algorithm, k, c, technology: Technology::ThreeGpp, amf: None, sqn: None })
    }

    /// The identity of that kind.
    pub fn identity(&self, kind: IdentityKind) -> Option<&GlobalIdentity> {
        self.identities.iter().find(|identity| identity.kind() == kind)
    }
}

/// The order of identities: the first is the primary one.
pub(crate) fn rank(identity: &GlobalIdentity) -> u8 {
    match identity.kind() {
        IdentityKind::Imsi => 0,
        IdentityKind::Impi => 1,
        IdentityKind::Iccid => 2,
        IdentityKind::Eid => 3,
        IdentityKind::DevEui => 4,
        IdentityKind::Imei => 5,
    }
}

/// An identity of that kind, or what is wrong with it.
pub(crate) fn identity(kind: IdentityKind, value: &str) -> Result<GlobalIdentity, RecordFault> {
    GlobalIdentity::new(kind, value).map_err(|error| RecordFault::Identity { field: kind.name(), error })
}

/// The technology of that name, if keys of AKA are of it.
pub(crate) fn technology(field: &'static str, name: &str) -> Result<Technology, RecordFault> {
    match Technology::from_name(name) {
        Some(technology @ (Technology::ThreeGpp | Technology::Standalone)) => Ok(technology),
        _ => Err(RecordFault::Field { field, wanted: "3gpp or standalone, for a key of AKA" }),
    }
}

/// Hex digits, for a message or a file.
pub(crate) struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}
