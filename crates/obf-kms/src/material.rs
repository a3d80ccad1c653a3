//! A subscriber's key in clear, and how it is written inside an envelope.

use crate::KeyPart;
use obf_aka::{Algorithm, Milenage, Tuak, TuakKey, TuakSizes};
use obf_store::resource::{AkaAlgorithm, KECCAK_ITERATIONS};
use obf_types::Secret;
use zeroize::Zeroizing;

/// K with the operator's variant bound to it. `Debug` shows no octet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyMaterial {
    /// Milenage (TS 35.206).
    Milenage {
        /// K.
        k: Secret<16>,
        /// OPc.
        opc: Secret<16>,
    },
    /// TUAK (TS 35.231) with the sizes that RPB uses: MAC 64, RES 64, CK and IK 128 bits.
    Tuak {
        /// K of 128 or 256 bits.
        k: TuakKey,
        /// TOPc.
        topc: Secret<32>,
        /// How often Keccak is applied.
        iterations: u8,
    },
}

/// Which part of a key record is wrong. Never says the part itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MaterialError {
    /// A part has another length than these, in octets.
    #[error("{field}: {wanted} octets are needed, as hex digits")]
    Length {
        /// The part.
        field: &'static str,
        /// Octets it must have.
        wanted: &'static str,
    },
    /// The algorithm needs exactly one of two parts.
    #[error("exactly one of {0} and {1} is needed")]
    ExactlyOne(&'static str, &'static str),
    /// A part that there must be.
    #[error("{0}: is needed")]
    Missing(&'static str),
    /// A part where the HLR has the key.
    #[error("{0}: does not belong to a device whose source is hlr")]
    Elsewhere(&'static str),
    /// A part that belongs to the other algorithm.
    #[error("{field} does not belong to {algorithm}")]
    OtherAlgorithm {
        /// The part.
        field: &'static str,
        /// The algorithm named.
        algorithm: &'static str,
    },
}

impl KeyMaterial {
    /// Milenage from K and one of OPc and OP.
    ///
    /// # Errors
    /// [`MaterialError`] names the part.
    pub fn milenage(k: &KeyPart, opc: Option<&KeyPart>, op: Option<&KeyPart>) -> Result<Self, MaterialError> {
        let k = exactly(k.expose(), "k", "16")?;
        let opc = match (opc, op) {
            (Some(opc), None) => exactly(opc.expose(), "opc", "16")?,
            (None, Some(op)) => Milenage::with_op(&k, &exactly(op.expose(), "op", "16")?).opc().clone(),
            _ => return Err(MaterialError::ExactlyOne("opc", "op")),
        };
        Ok(Self::Milenage { k, opc })
    }

    /// TUAK from K and one of TOPc and TOP.
    ///
    /// # Errors
    /// [`MaterialError`] names the part.
    pub fn tuak(
        k: &KeyPart,
        topc: Option<&KeyPart>,
        top: Option<&KeyPart>,
        iterations: u8,
    ) -> Result<Self, MaterialError> {
        let k = tuak_key(k.expose())?;
        let topc = match (topc, top) {
            (Some(topc), None) => exactly(topc.expose(), "topc", "32")?,
            (None, Some(top)) => {
                let top = exactly(top.expose(), "top", "32")?;
                Tuak::with_top(k.clone(), &top, TuakSizes::DEFAULT, iterations).topc().clone()
            }
            _ => return Err(MaterialError::ExactlyOne("topc", "top")),
        };
        Ok(Self::Tuak { k, topc, iterations })
    }

    /// From a record of a key file.
    ///
    /// # Errors
    /// [`MaterialError`] names the part.
    pub fn from_key_record(record: &obf_keyfile::KeyRecord) -> Result<Self, MaterialError> {
        let (k, c) = (record.k.expose(), record.c.expose());
        match record.algorithm {
            obf_keyfile::Algorithm::Milenage => {
                Ok(Self::Milenage { k: exactly(k, "k", "16")?, opc: exactly(c, "opc", "16")? })
            }
            obf_keyfile::Algorithm::Tuak => {
                let (k, topc) = (tuak_key(k)?, exactly(c, "topc", "32")?);
                Ok(Self::Tuak { k, topc, iterations: KECCAK_ITERATIONS })
            }
        }
    }

    /// Ready to compute with.
    pub(super) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Milenage { k, opc } => Algorithm::milenage(k, opc),
            #[expect(clippy::expect_used, reason = "the default sizes have a MAC of 64 bits")]
            Self::Tuak { k, topc, iterations } => {
                let tuak = Tuak::new(k.clone(), topc, TuakSizes::DEFAULT, *iterations);
                Algorithm::tuak(tuak).expect("a 64-bit MAC")
            }
        }
    }

    /// Algorithm (1 or 2) ‖ K ‖ OPc or TOPc: the length tells K's.
    pub(super) fn to_octets(&self) -> Zeroizing<Vec<u8>> {
        let (algorithm, k, c): (u8, &[u8], &[u8]) = match self {
            Self::Milenage { k, opc } => (1, k.expose(), opc.expose()),
            Self::Tuak { k: TuakKey::Bits128(k), topc, .. } => (2, k.expose(), topc.expose()),
            Self::Tuak { k: TuakKey::Bits256(k), topc, .. } => (2, k.expose(), topc.expose()),
        };
        let mut octets = Zeroizing::new(Vec::with_capacity(1 + k.len() + c.len()));
        octets.push(algorithm);
        octets.extend_from_slice(k);
        octets.extend_from_slice(c);
        octets
    }

    /// From the octets of a key that the registry says is for that algorithm; `None` if they are not of such a key.
    pub(super) fn from_octets(octets: &[u8], algorithm: AkaAlgorithm) -> Option<Self> {
        match (octets.split_first()?, algorithm) {
            ((1, rest), AkaAlgorithm::Milenage) => {
                let (k, opc) = rest.split_at_checked(16)?;
                Some(Self::Milenage { k: Secret::from_slice(k)?, opc: Secret::from_slice(opc)? })
            }
            ((2, rest), AkaAlgorithm::Tuak { keccak_iterations: iterations }) => {
                let (k, topc) = rest.split_at_checked(rest.len().checked_sub(32)?)?;
                Some(Self::Tuak { k: TuakKey::from_slice(k)?, topc: Secret::from_slice(topc)?, iterations })
            }
            _ => None,
        }
    }
}

fn tuak_key(k: &[u8]) -> Result<TuakKey, MaterialError> {
    TuakKey::from_slice(k).ok_or(MaterialError::Length { field: "k", wanted: "16 or 32" })
}

fn exactly<const N: usize>(
    part: &[u8],
    field: &'static str,
    wanted: &'static str,
) -> Result<Secret<N>, MaterialError> {
    Secret::from_slice(part).ok_or(MaterialError::Length { field, wanted })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(octet: u8, length: usize) -> KeyPart {
        KeyPart::of(octet, length)
    }

    #[test]
    fn key_records_read_back_for_the_algorithm_that_they_are_for() {
        let tuak = |keccak_iterations| AkaAlgorithm::Tuak { keccak_iterations };
        let all = [
            (AkaAlgorithm::Milenage, KeyMaterial::milenage(&hex(1, 16), Some(&hex(2, 16)), None).unwrap()),
            (AkaAlgorithm::Milenage, KeyMaterial::milenage(&hex(1, 16), None, Some(&hex(2, 16))).unwrap()),
            (tuak(1), KeyMaterial::tuak(&hex(1, 16), Some(&hex(2, 32)), None, 1).unwrap()),
            (tuak(1), KeyMaterial::tuak(&hex(1, 32), None, Some(&hex(2, 32)), 1).unwrap()),
            (tuak(7), KeyMaterial::tuak(&hex(1, 32), None, Some(&hex(2, 32)), 7).unwrap()),
        ];
        for (algorithm, material) in &all {
            assert_eq!(KeyMaterial::from_octets(&material.to_octets(), *algorithm).as_ref(), Some(material));
            assert_eq!(all.iter().filter(|(_, other)| other == material).count(), 1);
            let other = if *algorithm == AkaAlgorithm::Milenage { tuak(1) } else { AkaAlgorithm::Milenage };
            assert_eq!(KeyMaterial::from_octets(&material.to_octets(), other), None);
        }
        assert_eq!(KeyMaterial::from_octets(&[], AkaAlgorithm::Milenage), None);
        assert_eq!(KeyMaterial::from_octets(&[1; 32], AkaAlgorithm::Milenage), None);
        assert_eq!(KeyMaterial::from_octets(&[2; 20], tuak(1)), None);
    }

    #[test]
    fn key_parts_of_a_wrong_length_or_number_are_named() {
        let k = hex(1, 16);
        let short = KeyMaterial::milenage(&hex(1, 15), Some(&k), None).unwrap_err();
        assert_eq!(short.to_string(), "k: 16 octets are needed, as hex digits");
        let none = KeyMaterial::milenage(&k, None, None).unwrap_err();
        assert_eq!(none.to_string(), "exactly one of opc and op is needed");
        assert!(KeyMaterial::milenage(&k, Some(&k), Some(&k)).is_err());
        assert!(KeyMaterial::tuak(&hex(1, 24), Some(&hex(1, 32)), None, 1).is_err());
    }
}
