//! Key management (SPEC C1, C2, R8): the only place where a subscriber key is in clear.
//!
//! Subscriber keys come in as [`KeyMaterial`], are kept as envelopes under a data key with the device's primary identity
//! as associated data (so that an envelope moved to another device does not open), and go out only as vectors. Data keys
//! are kept wrapped under a key-encryption key ([`kek`]: a file, the environment, an HSM) and are lent in clear for a
//! time (`ring`). [`rotation`] wraps everything anew while the node serves.

#![forbid(unsafe_code)]

mod header;
pub mod kek;
mod material;
mod ring;
pub mod rotation;

pub use header::{BackupHeader, NotABackup};
#[cfg(feature = "pkcs11")]
pub use kek::HsmKek;
pub use kek::{HsmConfig, HsmMechanism, Kek, KekConfig, KekError, LocalKek, PinConfig};
pub use material::{HexSecret, KeyMaterial, MaterialError};
pub use ring::Settings;

use obf_aka::{AkaVector, Amf, Sqn};
use obf_net::Clock;
use obf_store::{
    StoreError,
    resource::{AkaAlgorithm, DataKey, Device, ResourceDb},
};
use obf_token::{SealingKey, envelope::NONCE_LEN};
use obf_types::{GlobalIdentity, Secret, UnixTime};
use ring::Ring;
use std::sync::Arc;

/// What a backup's key is wrapped as: the number of no data key in use.
const BACKUP_KEY: u32 = 0;

/// Why a key could not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KmsError {
    /// The envelope was altered, or belongs to another device.
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
    /// The key-encryption key is not to be had, or does not work.
    #[error(transparent)]
    Kek(#[from] KekError),
    /// A data key is under a key-encryption key that the configuration does not name.
    #[error(
        "data key {id} is wrapped under {kek}, which the configuration does not name: is it the key-encryption key that \
         this database was made with? After a change of it, name the old one as [[resource.kms.former]] until \
         `obf kms rotate` is done"
    )]
    UnknownKek {
        /// Its name.
        kek: String,
        /// The data key.
        id: u32,
    },
    /// A rotation leads to a key-encryption key that this node does not use.
    #[error(
        "a rotation to the key-encryption key {kek} is under way, and this server's is {own}: it does nothing. Send this to \
         a server that has {kek}, or make that the first key-encryption key here and start it anew"
    )]
    OtherKek {
        /// Where the rotation leads.
        kek: String,
        /// This node's.
        own: String,
    },
    /// An envelope is under a data key that is not in the store.
    #[error("there is no data key {0} in the database: it is damaged, or was restored in part")]
    UnknownDataKey(u32),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gave no random octets.
    #[error("no randomness: {0}")]
    NoRandomness(String),
}

impl KmsError {
    /// Whether trying again later can help without anybody changing anything.
    pub const fn is_temporary(&self) -> bool {
        match self {
            Self::Kek(error) => error.is_temporary(),
            Self::Store(_) | Self::NoRandomness(_) => true,
            _ => false,
        }
    }
}

/// The key management system. Clones share it.
#[derive(Clone, Debug)]
pub struct Kms {
    ring: Arc<Ring>,
    rotating: Arc<tokio::sync::Notify>,
}

/// Wraps subscriber keys under one data key: one for each batch.
#[derive(Debug)]
pub struct Sealer(Arc<SealingKey>);

impl Kms {
    /// On these key-encryption keys, the current one first, and the data keys of the store. Every data key is unwrapped
    /// once, so that a wrong KEK shows now.
    ///
    /// # Errors
    /// [`KmsError`].
    pub async fn open(
        store: ResourceDb,
        clock: Arc<dyn Clock>,
        keks: Vec<Arc<dyn Kek>>,
        settings: Settings,
    ) -> Result<Self, KmsError> {
        let ring = Ring::new(store, clock, keks, settings);
        ring.current_kek()?;
        ring.renew().await?;
        ring.adopt_newest().await?;
        Ok(Self { ring: Arc::new(ring), rotating: Arc::default() })
    }

    /// What wraps the keys of so many new records.
    ///
    /// # Errors
    /// [`KmsError`].
    pub async fn sealer(&self, records: usize) -> Result<Sealer, KmsError> {
        Ok(Sealer(self.ring.for_new(records as u64).await?))
    }

    /// Whether a device has this very key (compared in constant time).
    ///
    /// # Errors
    /// The device's own key does not open.
    pub async fn is_key_of(&self, material: &KeyMaterial, device: &Device) -> Result<bool, KmsError> {
        Ok(*material == self.open_key(device).await?)
    }

    /// A vector on fresh randomness for the SQN that `device` carries. The AMF's separation bit is cleared: a vector
    /// made here never opens an LTE network (TS 33.102 Annex H).
    ///
    /// # Errors
    /// [`KmsError`].
    pub async fn vector(&self, device: &Device) -> Result<AkaVector, KmsError> {
        let algorithm = self.open_key(device).await?.algorithm();
        let damaged = || KmsError::Damaged(name(device));
        let sqn = Sqn::new(device.sqn).ok_or_else(damaged)?;
        let amf = Amf::clearing_separation_bit(device.amf);
        Ok(obf_aka::generate_vector(&algorithm, &drawn()?, sqn, amf))
    }

    /// SQN_MS of a resynchronisation token whose MAC-S is right, otherwise `None` (TS 33.102 6.3.5).
    ///
    /// # Errors
    /// [`KmsError`].
    pub async fn verify_auts(
        &self,
        device: &Device,
        rand: &[u8; 16],
        auts: &[u8; 14],
    ) -> Result<Option<Sqn>, KmsError> {
        let algorithm = self.open_key(device).await?.algorithm();
        Ok(obf_aka::verify_auts(&algorithm, rand, auts))
    }

    /// A fresh key for a backup, and how it stands wrapped in front of it.
    ///
    /// # Errors
    /// [`KmsError`].
    pub async fn new_backup_key(&self) -> Result<(BackupHeader, SealingKey), KmsError> {
        let secret = Secret::new(drawn()?);
        let key = SealingKey::new(BACKUP_KEY, &secret);
        let kek = self.ring.current_kek()?.name().to_owned();
        let wrapped = self.ring.wrap(BACKUP_KEY, secret).await?;
        Ok((BackupHeader { kek, wrapped }, key))
    }

    /// The key of a backup.
    ///
    /// # Errors
    /// [`KmsError::UnknownKek`] if the backup was made under a key-encryption key that the configuration does not name.
    pub async fn backup_key(&self, header: &BackupHeader) -> Result<SealingKey, KmsError> {
        let wrapped = DataKey {
            id: BACKUP_KEY,
            kek: header.kek.clone(),
            wrapped: header.wrapped.clone(),
            created_at: UnixTime(0),
        };
        Ok(SealingKey::new(BACKUP_KEY, &self.ring.unwrap(&wrapped).await?))
    }

    async fn open_key(&self, device: &Device) -> Result<KeyMaterial, KmsError> {
        let damaged = || KmsError::Damaged(name(device));
        let primary = device.primary().ok_or_else(damaged)?;
        let key = device.key.as_ref().ok_or_else(|| KmsError::Elsewhere(name(device)))?;
        let id = SealingKey::id_of(&key.wrapped).ok_or_else(damaged)?;
        let opened = self.ring.key(id).await?.open(&associated(primary), &key.wrapped);
        let octets = opened.map_err(|reason| KmsError::DoesNotOpen { identity: name(device), reason })?;
        KeyMaterial::from_octets(&octets).ok_or_else(damaged)
    }
}

impl Sealer {
    /// Wraps a key for the device of that primary identity.
    ///
    /// # Errors
    /// [`KmsError::NoRandomness`].
    pub fn wrap(&self, material: &KeyMaterial, primary: &GlobalIdentity) -> Result<Vec<u8>, KmsError> {
        let nonce = drawn::<NONCE_LEN>()?;
        Ok(self.0.seal(&nonce, &associated(primary), &material.to_octets()))
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

fn name_of(primary: &GlobalIdentity) -> &str {
    primary.value()
}

/// What the envelope is for: `obf subscriber key`, a zero octet, kind, value.
fn associated(primary: &GlobalIdentity) -> Vec<u8> {
    let mut octets = b"obf subscriber key\0".to_vec();
    octets.push(primary.kind() as u8);
    octets.extend_from_slice(primary.value().as_bytes());
    octets
}

/// Octets of the system's randomness.
///
/// # Errors
/// [`KmsError::NoRandomness`].
pub fn drawn<const N: usize>() -> Result<[u8; N], KmsError> {
    let mut octets = [0; N];
    getrandom::fill(&mut octets).map_err(|error| KmsError::NoRandomness(error.to_string()))?;
    Ok(octets)
}
