//! A subscriber's key on its way into the registry.

use crate::{KeyMaterial, KeyPart, MaterialError};
use obf_admin::resource::devices::{AlgorithmName, DeviceRecord, Source};
use obf_store::resource::{AkaAlgorithm, KECCAK_ITERATIONS};
use std::fmt;

/// A subscriber's key in clear. It can be wrapped ([`crate::Sealer::wrap`]) and compared with one that is kept
/// ([`crate::Kms::is_key_of`]), and nothing else: no other crate makes one of octets or sees one of its octets.
pub struct SubscriberKey(pub(crate) KeyMaterial);

impl SubscriberKey {
    /// The key that a record describes; `None` where the HLR of the network has it.
    ///
    /// # Errors
    /// [`MaterialError`] names the part that is wrong.
    pub fn of_record(record: &DeviceRecord<KeyPart>) -> Result<Option<Self>, MaterialError> {
        let DeviceRecord { k, op, opc, top, topc, .. } = record;
        if record.source == Some(Source::Hlr) {
            let parts = [("k", k), ("op", op), ("opc", opc), ("top", top), ("topc", topc)];
            return match parts.iter().find(|(_, part)| part.is_some()) {
                Some((field, _)) => Err(MaterialError::Elsewhere(field)),
                None => Ok(None),
            };
        }
        let k = k.as_ref().ok_or(MaterialError::Missing("k"))?;
        let foreign = |field, algorithm| Err(MaterialError::OtherAlgorithm { field, algorithm });
        let material = match record.algorithm {
            AlgorithmName::Milenage if top.is_some() => foreign("top", "milenage"),
            AlgorithmName::Milenage if topc.is_some() => foreign("topc", "milenage"),
            AlgorithmName::Tuak if op.is_some() => foreign("op", "tuak"),
            AlgorithmName::Tuak if opc.is_some() => foreign("opc", "tuak"),
            AlgorithmName::Milenage => KeyMaterial::milenage(k, opc.as_ref(), op.as_ref()),
            AlgorithmName::Tuak => KeyMaterial::tuak(k, topc.as_ref(), top.as_ref(), KECCAK_ITERATIONS),
        };
        material.map(|material| Some(Self(material)))
    }

    pub(crate) fn of_key_record(record: &obf_keyfile::KeyRecord) -> Result<Self, MaterialError> {
        KeyMaterial::from_key_record(record).map(Self)
    }

    /// Which algorithm it is for.
    pub const fn algorithm(&self) -> AkaAlgorithm {
        match self.0 {
            KeyMaterial::Milenage { .. } => AkaAlgorithm::Milenage,
            KeyMaterial::Tuak { iterations, .. } => AkaAlgorithm::Tuak { keccak_iterations: iterations },
        }
    }
}

impl fmt::Debug for SubscriberKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubscriberKey({:?})", self.algorithm())
    }
}
