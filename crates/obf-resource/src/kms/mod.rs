//! Key management (SPEC C1, C2, R8): the only place where a subscriber key is in clear.
//!
//! Keys come in as [`KeyMaterial`], are kept as envelopes under the key-encryption key with the device's primary
//! identity as associated data (so that an envelope moved to another device does not open), and go out only as
//! vectors.

mod kek;
mod material;

pub use kek::{KekError, KeyEncryptionKey};
pub(crate) use material::octets_32_from_hex;
pub use material::{HexSecret, KeyMaterial, MaterialError};

use obf_aka::{AkaVector, Amf, Sqn};
use obf_store::resource::{AkaAlgorithm, Device};
use obf_types::GlobalIdentity;

/// Why a key could not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KmsError {
    /// The envelope was made under another key-encryption key, was altered, or belongs to another device.
    #[error("the key of {identity} does not open: {reason}")]
    DoesNotOpen {
        /// The device's primary identity.
        identity: String,
        /// What the envelope said.
        reason: obf_token::OpenError,
    },
    /// The device's key is in an HLR.
    #[error("the key of {0} is not here: an HLR has it")]
    Elsewhere(String),
    /// The record behind the envelope is not one of ours.
    #[error("the key record of {0} is damaged")]
    Damaged(String),
    /// The system gave no random octets.
    #[error("no randomness: {0}")]
    NoRandomness(String),
}

/// The key management system.
#[derive(Clone, Debug)]
pub struct Kms {
    kek: KeyEncryptionKey,
}

impl Kms {
    /// On that key-encryption key.
    pub const fn new(kek: KeyEncryptionKey) -> Self {
        Self { kek }
    }

    /// Wraps a key for the device of that primary identity.
    ///
    /// # Errors
    /// [`KmsError::NoRandomness`].
    pub fn wrap(&self, material: &KeyMaterial, primary: &GlobalIdentity) -> Result<Vec<u8>, KmsError> {
        let nonce = drawn::<{ obf_token::envelope::NONCE_LEN }>()?;
        Ok(self.kek.sealing().seal(&nonce, &associated(primary), &material.to_octets()))
    }

    /// Whether a device has this very key (compared in constant time).
    ///
    /// # Errors
    /// The device's own key does not open.
    pub fn is_key_of(&self, material: &KeyMaterial, device: &Device) -> Result<bool, KmsError> {
        Ok(*material == self.open(device)?)
    }

    /// A vector on fresh randomness for the SQN that `device` carries. The AMF's separation bit is cleared: a vector
    /// made here never opens an LTE network (TS 33.102 Annex H).
    ///
    /// # Errors
    /// [`KmsError`].
    pub fn vector(&self, device: &Device) -> Result<AkaVector, KmsError> {
        let algorithm = self.open(device)?.algorithm();
        let damaged = || KmsError::Damaged(name(device));
        let sqn = Sqn::new(device.sqn).ok_or_else(damaged)?;
        let amf = Amf::clearing_separation_bit(device.amf);
        Ok(obf_aka::generate_vector(&algorithm, &drawn()?, sqn, amf))
    }

    /// SQN_MS of a resynchronisation token whose MAC-S is right, otherwise `None` (TS 33.102 6.3.5).
    ///
    /// # Errors
    /// [`KmsError`].
    pub fn verify_auts(
        &self,
        device: &Device,
        rand: &[u8; 16],
        auts: &[u8; 14],
    ) -> Result<Option<Sqn>, KmsError> {
        let algorithm = self.open(device)?.algorithm();
        Ok(obf_aka::verify_auts(&algorithm, rand, auts))
    }

    fn open(&self, device: &Device) -> Result<KeyMaterial, KmsError> {
        let primary = device.primary().ok_or_else(|| KmsError::Damaged(name(device)))?;
        let key = device.key.as_ref().ok_or_else(|| KmsError::Elsewhere(name(device)))?;
        let opened = self.kek.sealing().open(&associated(primary), &key.wrapped);
        let octets = opened.map_err(|reason| KmsError::DoesNotOpen { identity: name(device), reason })?;
        KeyMaterial::from_octets(&octets).ok_or_else(|| KmsError::Damaged(name(device)))
    }
}

impl KeyMaterial {
    /// For the registry: which algorithm it is for.
    pub const fn kind(&self) -> AkaAlgorithm {
        match self {
            Self::Milenage { .. } => AkaAlgorithm::Milenage,
            Self::Tuak { .. } => AkaAlgorithm::Tuak,
        }
    }
}

fn name(device: &Device) -> String {
    device.primary().map_or_else(|| "a device without identity".to_owned(), ToString::to_string)
}

/// What the envelope is for: `obf subscriber key`, a zero octet, kind, value.
fn associated(primary: &GlobalIdentity) -> Vec<u8> {
    let mut octets = b"obf subscriber key\0".to_vec();
    octets.push(primary.kind() as u8);
    octets.extend_from_slice(primary.value().as_bytes());
    octets
}

fn drawn<const N: usize>() -> Result<[u8; N], KmsError> {
    let mut octets = [0; N];
    getrandom::fill(&mut octets).map_err(|error| KmsError::NoRandomness(error.to_string()))?;
    Ok(octets)
}
