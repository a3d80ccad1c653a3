//! Where vectors come from (SPEC R3, R9): a device's own key, which the [`obf_kms`] holds, or the existing HLR in
//! which the subscriber lives ([`hlr`]). Each device has exactly one of the two, and with it one authority over its
//! sequence numbers; identities and rights are ours in either case.

pub mod hlr;

pub use hlr::{Hlr, HlrError};

use crate::registry::envelope;
use obf_aka::{AkaVector, Sqn};
use obf_kms::{Kms, KmsError};
use obf_rpr::Resynchronisation;
use obf_store::resource::Device;
use obf_types::{GlobalIdentity, Refusal};

/// Both sources.
#[derive(Clone, Debug)]
pub struct Vectors {
    kms: Kms,
    hlr: Option<Hlr>,
}

/// Who says what SQN_HE becomes after a resynchronisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SqnAuthority {
    /// We do: MAC-S was right, and this is SQN_MS.
    Ours(Sqn),
    /// The HLR: it has the key, so it verifies MAC-S.
    Hlr,
}

impl Vectors {
    /// Own keys, and those of an HLR if there is one.
    pub const fn new(kms: Kms, hlr: Option<Hlr>) -> Self {
        Self { kms, hlr }
    }

    /// A vector for the device: for the SQN that it carries if its key is here; otherwise one of the HLR, which is told
    /// of the resynchronisation if there was one.
    ///
    /// # Errors
    /// What the Authentication Server is told; the log has the reason.
    pub async fn vector(
        &self,
        device: &Device,
        resynchronisation: Option<&Resynchronisation>,
    ) -> Result<AkaVector, Refusal> {
        if let Some(key) = envelope(device) {
            let vector = self.kms.vector(key, device.sqn, device.amf).await;
            return vector.map_err(|error| broken(&error));
        }
        let vector = match &self.hlr {
            Some(hlr) => {
                let resynchronisation = resynchronisation.map(|with| (with.rand, with.auts));
                hlr.vector(&device.identities, resynchronisation).await
            }
            None => Err(HlrError::NotConfigured),
        };
        vector.map_err(|error| refused(device, &error))
    }

    /// Whose SQN a resynchronisation moves. For an own key MAC-S is verified first.
    ///
    /// # Errors
    /// [`Refusal::BadResynchronisation`] if MAC-S is wrong; that of a key that cannot be used.
    pub async fn authority(
        &self,
        device: &Device,
        Resynchronisation { rand, auts }: &Resynchronisation,
    ) -> Result<SqnAuthority, Refusal> {
        let Some(key) = envelope(device) else { return Ok(SqnAuthority::Hlr) };
        let sqn_ms = self.kms.verify_auts(key, rand, auts).await.map_err(|error| broken(&error))?;
        sqn_ms.map(SqnAuthority::Ours).ok_or(Refusal::BadResynchronisation)
    }
}

fn broken(error: &KmsError) -> Refusal {
    tracing::error!(%error, "a subscriber key is unusable");
    Refusal::StorageFailed
}

fn refused(device: &Device, error: &HlrError) -> Refusal {
    let name = device.primary().map(GlobalIdentity::value).unwrap_or_default();
    if error.needs_attention() {
        tracing::warn!(device = name, %error, "no vector");
    } else {
        tracing::debug!(device = name, %error, "no vector");
    }
    error.refusal()
}
