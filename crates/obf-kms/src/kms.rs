//! The key management system: wraps subscriber keys, and computes with them.

use crate::{
    BackupHeader, KekError, KeyMaterial, Settings, SubscriberKey,
    kek::{DataKeySecret, Kek},
    ring::Ring,
};
use obf_aka::{AkaVector, Amf, Sqn};
use obf_net::Clock;
use obf_store::{
    StoreError,
    resource::{AkaAlgorithm, DataKey, ResourceDb},
};
use obf_token::{SealingKey, envelope::NONCE_LEN};
use obf_types::{GlobalIdentity, Secret, UnixTime};
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
    pub(crate) ring: Arc<Ring>,
    /// Wakes the work at rotations; rung while that is busy, it is heard afterwards.
    pub(crate) rotating: Arc<tokio::sync::Notify>,
}

/// A subscriber key as it is kept: wrapped, and whose it is.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// The device's primary identity, which the key was wrapped for.
    pub primary: &'a GlobalIdentity,
    /// What the key is for.
    pub algorithm: AkaAlgorithm,
    /// What [`Sealer::wrap`] made.
    pub octets: &'a [u8],
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
    pub async fn is_key_of(&self, key: &SubscriberKey, kept: Envelope<'_>) -> Result<bool, KmsError> {
        Ok(key.0 == self.open_key(kept).await?)
    }

    /// A vector on fresh randomness for that SQN (48 bits) and that AMF, whose separation bit is cleared: a vector made
    /// here never opens an LTE network (TS 33.102 Annex H).
    ///
    /// # Errors
    /// [`KmsError`].
    pub async fn vector(&self, key: Envelope<'_>, sqn: u64, amf: [u8; 2]) -> Result<AkaVector, KmsError> {
        let algorithm = self.open_key(key).await?.algorithm();
        let sqn = Sqn::new(sqn).ok_or_else(|| KmsError::Damaged(key.name()))?;
        let amf = Amf::clearing_separation_bit(amf);
        Ok(obf_aka::generate_vector(&algorithm, &drawn()?, sqn, amf))
    }

    /// SQN_MS of a resynchronisation token whose MAC-S is right, otherwise `None` (TS 33.102 6.3.5).
    ///
    /// # Errors
    /// [`KmsError`].
    pub async fn verify_auts(
        &self,
        key: Envelope<'_>,
        rand: &[u8; 16],
        auts: &[u8; 14],
    ) -> Result<Option<Sqn>, KmsError> {
        let algorithm = self.open_key(key).await?.algorithm();
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
        let wrapped = self.ring.wrap(BACKUP_KEY, DataKeySecret::new(secret)).await?;
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
        Ok(self.ring.unwrap(&wrapped).await?.sealing_key(BACKUP_KEY))
    }

    async fn open_key(&self, key: Envelope<'_>) -> Result<KeyMaterial, KmsError> {
        let damaged = || KmsError::Damaged(key.name());
        let id = SealingKey::id_of(key.octets).ok_or_else(damaged)?;
        let opened = self.ring.key(id).await?.open(&associated(key.primary), key.octets);
        let octets = opened.map_err(|reason| KmsError::DoesNotOpen { identity: key.name(), reason })?;
        KeyMaterial::from_octets(&octets, key.algorithm).ok_or_else(damaged)
    }
}

impl Sealer {
    /// Wraps a key for the device of that primary identity.
    ///
    /// # Errors
    /// [`KmsError::NoRandomness`].
    pub fn wrap(&self, key: &SubscriberKey, primary: &GlobalIdentity) -> Result<Vec<u8>, KmsError> {
        let nonce = drawn::<NONCE_LEN>()?;
        Ok(self.0.seal(&nonce, &associated(primary), &key.0.to_octets()))
    }
}

impl Envelope<'_> {
    fn name(&self) -> String {
        self.primary.value().to_owned()
    }
}

pub(crate) fn name_of(primary: &GlobalIdentity) -> &str {
    primary.value()
}

/// What the envelope is for: `obf subscriber key`, a zero octet, kind, value.
pub(crate) fn associated(primary: &GlobalIdentity) -> Vec<u8> {
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
