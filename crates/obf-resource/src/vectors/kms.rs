//! Vectors of keys that our key management system holds.

use super::{SqnAuthority, VectorSource};
use crate::registry::envelope;
use obf_aka::AkaVector;
use obf_kms::{Envelope, Kms, KmsError};
use obf_rpr::Resynchronisation;
use obf_store::resource::Subscriber;
use obf_types::Refusal;

/// Our own keys. Sequence numbers are ours too: the store has taken one before a vector is asked for.
#[derive(Clone, Debug)]
pub struct OwnKeys {
    kms: Kms,
}

impl OwnKeys {
    /// Those of that key management system.
    pub const fn new(kms: Kms) -> Self {
        Self { kms }
    }
}

impl VectorSource for OwnKeys {
    async fn vector(
        &self,
        subscriber: &Subscriber,
        _: Option<&Resynchronisation>,
    ) -> Result<AkaVector, Refusal> {
        let aka = subscriber.credential.aka();
        let vector = self.kms.vector(key_of(subscriber)?, aka.sqn, aka.amf).await;
        vector.map_err(|error| unusable(&error))
    }

    async fn authority(
        &self,
        subscriber: &Subscriber,
        Resynchronisation { rand, auts }: &Resynchronisation,
    ) -> Result<SqnAuthority, Refusal> {
        let sqn_ms = self.kms.verify_auts(key_of(subscriber)?, rand, auts).await;
        sqn_ms.map_err(|error| unusable(&error))?.map(SqnAuthority::Ours).ok_or(Refusal::BadResynchronisation)
    }
}

fn key_of(subscriber: &Subscriber) -> Result<Envelope<'_>, Refusal> {
    envelope(&subscriber.device, &subscriber.credential).ok_or_else(|| {
        tracing::error!("a credential whose source is the key management system has no key");
        Refusal::StorageFailed
    })
}

fn unusable(error: &KmsError) -> Refusal {
    tracing::error!(%error, "a subscriber key is unusable");
    Refusal::StorageFailed
}
