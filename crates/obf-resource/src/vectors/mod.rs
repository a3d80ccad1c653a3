//! Where vectors come from (SPEC R3, R9): each credential names its source, and with it the one authority over its
//! sequence numbers. Identities and rights are ours whatever the source.
//!
//! A source is a [`VectorSource`] in a file of its own: [`kms`], our own keys, and [`hlr`], an existing HLR. To add one: a
//! variant of [`obf_store::resource::Source`], its file here, and its arm in [`Vectors`].

pub mod hlr;
pub mod kms;

pub use hlr::{Hlr, HlrError};
pub use kms::OwnKeys;

use obf_aka::{AkaVector, Sqn};
use obf_kms::Kms;
use obf_rpr::Resynchronisation;
use obf_store::resource::{HlrName, Source, Subscriber};
use obf_types::Refusal;
use std::{collections::HashMap, future::Future, sync::Arc};

/// What makes vectors for subscribers whose credential names it.
pub trait VectorSource {
    /// A vector for the subscriber; for the SQN that its credential carries if sequence numbers are ours. The source is
    /// told of the resynchronisation if there was one.
    ///
    /// # Errors
    /// What the Authentication Server is told; the log has the reason.
    fn vector(
        &self,
        subscriber: &Subscriber,
        resynchronisation: Option<&Resynchronisation>,
    ) -> impl Future<Output = Result<AkaVector, Refusal>> + Send;

    /// Whose SQN a resynchronisation moves. Where it is ours, MAC-S is verified first.
    ///
    /// # Errors
    /// [`Refusal::BadResynchronisation`] if MAC-S is wrong; that of a key that cannot be used.
    fn authority(
        &self,
        subscriber: &Subscriber,
        resynchronisation: &Resynchronisation,
    ) -> impl Future<Output = Result<SqnAuthority, Refusal>> + Send;
}

/// Who says what SQN_HE becomes after a resynchronisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SqnAuthority {
    /// We do: MAC-S was right, and this is SQN_MS.
    Ours(Sqn),
    /// The source: it has the key, so it verifies MAC-S.
    Source,
}

/// Every source of this node.
#[derive(Clone, Debug)]
pub struct Vectors {
    own: OwnKeys,
    hlrs: Arc<HashMap<HlrName, Hlr>>,
}

impl Vectors {
    /// Own keys, and those of these HLRs.
    pub fn new(kms: Kms, hlrs: HashMap<HlrName, Hlr>) -> Self {
        Self { own: OwnKeys::new(kms), hlrs: Arc::new(hlrs) }
    }

    fn hlr(&self, subscriber: &Subscriber, name: &HlrName) -> Result<&Hlr, Refusal> {
        let found = self.hlrs.get(name).ok_or_else(|| HlrError::NotConfigured(name.clone()));
        found.map_err(|error| hlr::refused(subscriber, &error))
    }
}

/// The source that the credential names.
impl VectorSource for Vectors {
    async fn vector(
        &self,
        subscriber: &Subscriber,
        resynchronisation: Option<&Resynchronisation>,
    ) -> Result<AkaVector, Refusal> {
        match &subscriber.credential.source {
            Source::Kms(_) => self.own.vector(subscriber, resynchronisation).await,
            Source::Hlr(name) => self.hlr(subscriber, name)?.vector(subscriber, resynchronisation).await,
        }
    }

    async fn authority(
        &self,
        subscriber: &Subscriber,
        resynchronisation: &Resynchronisation,
    ) -> Result<SqnAuthority, Refusal> {
        match &subscriber.credential.source {
            Source::Kms(_) => self.own.authority(subscriber, resynchronisation).await,
            Source::Hlr(name) => self.hlr(subscriber, name)?.authority(subscriber, resynchronisation).await,
        }
    }
}
