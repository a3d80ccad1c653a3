//! Credentials: what a device authenticates with. Its identities stand in other tables and stay when a credential is
//! replaced by another: for a change of provider a device has two keys of one mode at once, active and staged.

use super::DeviceId;
use crate::{
    StoreError,
    sql::{Row, Session, values},
};
use obf_token::{Algorithm, Mode, Technology};
use std::fmt;

/// The number of the one key that a device has whose record does not say otherwise: as at the device's end.
pub const FIRST_KEY_INDEX: u8 = 1;
/// The iterations of Keccak that TUAK has where nothing else is said (TS 35.231 6.1).
pub const KECCAK_ITERATIONS: u8 = 1;

/// What a device authenticates with in one mode of RPB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Which key of the device's secure element it is.
    pub key_index: u8,
    /// The technology that it authenticates as (P4 of `obf-1`). It is the credential's and not the device's: a device of
    /// a 3GPP network may have a certificate of its provider's own besides.
    pub technology: Technology,
    /// Whether it is used.
    pub state: CredentialState,
    /// Where its key is.
    pub source: Source,
    /// What else its mode needs.
    pub parameters: Parameters,
}

/// Where a credential stands. A device has at most one of each in one mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CredentialState {
    /// It is what the device authenticates with.
    Active = 1,
    /// It waits to take the place of the active one.
    Staged = 2,
}

/// Where a credential's key is, and with it who makes its vectors and who has its sequence numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Our key management system: the key is here, wrapped.
    Kms(KeyEnvelope),
    /// The HLR of that name: the key is there.
    Hlr(HlrName),
}

impl Source {
    /// Whether key and sequence numbers are ours.
    pub const fn is_ours(&self) -> bool {
        match self {
            Self::Kms(_) => true,
            Self::Hlr(_) => false,
        }
    }
}

/// A subscriber key, wrapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEnvelope {
    /// What it is for.
    pub algorithm: AkaAlgorithm,
    /// The envelope; its first four octets are the number of the data key that opens it.
    pub wrapped: Vec<u8>,
}

/// What a key of AKA is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AkaAlgorithm {
    /// TS 35.206.
    Milenage,
    /// TS 35.231.
    Tuak {
        /// How often Keccak is applied, at least once.
        keccak_iterations: u8,
    },
}

/// The name of an HLR, as the configuration has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HlrName(Box<str>);

/// A text that names no HLR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of an HLR has 1 to 63 of a-z, 0-9 and '-', and neither begins nor ends with '-'")]
pub struct HlrNameError;

impl HlrName {
    /// The name of the one that has no other.
    pub const DEFAULT: &'static str = "default";

    /// That name.
    ///
    /// # Errors
    /// [`HlrNameError`].
    pub fn new(name: &str) -> Result<Self, HlrNameError> {
        let well_formed = (1..=63).contains(&name.len())
            && name.bytes().all(|octet| matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'-'))
            && !name.starts_with('-')
            && !name.ends_with('-');
        if well_formed { Ok(Self(name.into())) } else { Err(HlrNameError) }
    }

    /// As text.
    pub const fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for HlrName {
    fn default() -> Self {
        Self(Self::DEFAULT.into())
    }
}

impl fmt::Display for HlrName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a credential's mode needs besides its key: one variant for each mode that is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parameters {
    /// HTTP Digest AKA.
    Aka(AkaParameters),
}

/// What AKA needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AkaParameters {
    /// The AMF of its vectors.
    pub amf: [u8; 2],
    /// The weakest algorithm that may be bootstrapped with.
    pub minimum_algorithm: Algorithm,
    /// The last SQN used when it was added, SEQ ‖ IND, 48 bits.
    pub initial_sqn: u64,
    /// The last SQN handed out; means nothing where the source has the sequence numbers.
    pub sqn: u64,
}

impl Credential {
    /// The mode that it is for.
    pub const fn mode(&self) -> Mode {
        match self.parameters {
            Parameters::Aka(_) => Mode::Aka,
        }
    }

    /// What it has for AKA.
    pub const fn aka(&self) -> &AkaParameters {
        let Parameters::Aka(aka) = &self.parameters;
        aka
    }

    /// Its envelope, if its key is here.
    pub const fn envelope(&self) -> Option<&KeyEnvelope> {
        match &self.source {
            Source::Kms(envelope) => Some(envelope),
            Source::Hlr(_) => None,
        }
    }

    /// With that SQN as the last one handed out.
    pub(super) fn at_sqn(mut self, sqn: u64) -> Self {
        let Parameters::Aka(aka) = &mut self.parameters;
        aka.sqn = sqn;
        self
    }
}

// Numbers in the table. Whoever adds one adds it to the reader below.
const KMS: u8 = 1;
const HLR: u8 = 2;
const MILENAGE: u8 = 1;
const TUAK: u8 = 2;

/// The columns of [`read`], of a table `k`.
macro_rules! columns {
    () => {
        "k.mode, k.state, k.key_index, k.technology, k.source, k.hlr, k.algorithm, k.keccak_iterations,
         k.wrapped_key, k.amf, k.minimum_algorithm, k.initial_sqn, k.sqn"
    };
}
pub(super) use columns;

/// The credential whose columns begin at `first`; `None` if they are empty. Whatever is not known is an error: nothing
/// is taken for something else.
pub(super) fn read(row: &dyn Row, first: usize) -> Result<Option<Credential>, StoreError> {
    let Some(mode) = row.maybe::<u8>(first)? else { return Ok(None) };
    let parameters = match Mode::from_number(mode) {
        Some(Mode::Aka) => Parameters::Aka(AkaParameters {
            amf: row.fitting::<u16>(first + 9)?.to_be_bytes(),
            minimum_algorithm: known(
                "algorithm of Digest AKA",
                row.fitting(first + 10)?,
                Algorithm::from_number,
            )?,
            initial_sqn: row.fitting(first + 11)?,
            sqn: row.fitting(first + 12)?,
        }),
        _ => return Err(unknown("mode", mode)),
    };
    Ok(Some(Credential {
        key_index: row.fitting(first + 2)?,
        technology: known("technology", row.fitting(first + 3)?, Technology::from_number)?,
        state: known("state of a credential", row.fitting(first + 1)?, CredentialState::from_number)?,
        source: source(row, first)?,
        parameters,
    }))
}

fn source(row: &dyn Row, first: usize) -> Result<Source, StoreError> {
    match row.fitting(first + 4)? {
        KMS => {
            let algorithm = match row.fitting(first + 6)? {
                MILENAGE => AkaAlgorithm::Milenage,
                TUAK => AkaAlgorithm::Tuak { keccak_iterations: row.fitting(first + 7)? },
                other => return Err(unknown("algorithm of AKA", other)),
            };
            Ok(Source::Kms(KeyEnvelope { algorithm, wrapped: row.blob(first + 8)?.to_vec() }))
        }
        HLR => {
            let name = HlrName::new(row.string(first + 5)?);
            Ok(Source::Hlr(name.map_err(|error| StoreError::Corrupt(error.to_string()))?))
        }
        other => Err(unknown("source of credentials", other)),
    }
}

impl CredentialState {
    const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Active),
            2 => Some(Self::Staged),
            _ => None,
        }
    }
}

fn known<T>(what: &str, number: u8, of: impl FnOnce(u8) -> Option<T>) -> Result<T, StoreError> {
    of(number).ok_or_else(|| unknown(what, number))
}

fn unknown(what: &str, number: u8) -> StoreError {
    StoreError::Corrupt(format!("no {what} has the number {number}"))
}

/// Adds one to a device, with `sqn` as the last SQN handed out.
pub(super) fn insert(
    s: &mut dyn Session,
    device: i64,
    credential: &Credential,
    sqn: u64,
) -> Result<(), StoreError> {
    let (source, envelope, hlr) = match &credential.source {
        Source::Kms(envelope) => (KMS, Some(envelope), None),
        Source::Hlr(name) => (HLR, None, Some(name.as_str())),
    };
    let algorithm = envelope.map(|envelope| match envelope.algorithm {
        AkaAlgorithm::Milenage => (MILENAGE, None),
        AkaAlgorithm::Tuak { keccak_iterations } => (TUAK, Some(keccak_iterations)),
    });
    let aka = credential.aka();
    s.execute(
        "INSERT INTO credentials (device, mode, state, key_index, technology, source, hlr, algorithm,
                                  keccak_iterations, wrapped_key, amf, minimum_algorithm, initial_sqn, sqn)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        values![
            device,
            credential.mode() as u8,
            credential.state as u8,
            credential.key_index,
            credential.technology as u8,
            source,
            hlr,
            algorithm.map(|(number, _)| number),
            algorithm.and_then(|(_, iterations)| iterations),
            envelope.map(|envelope| &envelope.wrapped),
            u16::from_be_bytes(aka.amf),
            aka.minimum_algorithm as u8,
            aka.initial_sqn,
            sqn
        ],
    )?;
    Ok(())
}

/// Whether these can be the credentials of one device: of each mode at most one active and one staged, each with a key
/// index of its own. The table's key enforces the first.
pub(super) fn fit_together(credentials: &[Credential]) -> bool {
    credentials.iter().enumerate().all(|(place, one)| {
        credentials.iter().take(place).all(|other| {
            other.key_index != one.key_index && (other.mode(), other.state) != (one.mode(), one.state)
        })
    })
}

/// Sets the weakest algorithm that the device may bootstrap with by AKA, with whichever key.
pub(super) fn set_minimum_algorithm(
    s: &mut dyn Session,
    device: DeviceId,
    minimum: Algorithm,
) -> Result<(), StoreError> {
    s.execute(
        "UPDATE credentials SET minimum_algorithm = ?3 WHERE device = ?1 AND mode = ?2 AND minimum_algorithm <> ?3",
        values![device.0, Mode::Aka as u8, minimum as u8],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_hlr_is_an_id() {
        for name in ["default", "a", "hlr-2", &"x".repeat(63)] {
            assert_eq!(HlrName::new(name).unwrap().as_str(), name);
        }
        for bad in ["", "-a", "a-", "HLR", "a b", "ä", &"x".repeat(64)] {
            assert_eq!(HlrName::new(bad), Err(HlrNameError), "{bad}");
        }
        assert_eq!(HlrName::default().as_str(), HlrName::DEFAULT);
    }
}
