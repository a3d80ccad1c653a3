//! Secure elements behind one trait (SPEC R4, U13, N1), asked by capability: what an element cannot do, it does not offer. Keys
//! are named by index and never leave it.

mod error;
mod identities;
mod record;
mod software;

pub use error::SeError;
pub use identities::Identities;
pub use obf_rpb::client::AkaAnswer;
pub use record::BadRecord;
pub use software::SoftwareSe;

use obf_token::{Algorithm, AppKey, Derivation};
use obf_types::KeySchema;
use std::fmt;

/// Names a key inside a secure element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyIndex(pub u8);

impl KeyIndex {
    /// The subscriber key K, where there is one only.
    pub const SUBSCRIBER: Self = Self(1);
}

/// A card, a chip, or what stands for one. Which capabilities it has, it says at once; calls that may fail may block, because
/// they talk to a reader or write to a disk, and the client makes them on threads of their own. Threads share an element, and
/// processes may: it puts their calls in order itself.
///
/// A capability that the client has no use for yet (signing, ciphering by key index, updates) comes as another method like
/// [`Self::aka`], which an element that lacks it need not write.
pub trait SecureElement: fmt::Debug + Send + Sync + 'static {
    /// What it says it is.
    ///
    /// # Errors
    /// [`SeError`] if the element cannot be used.
    fn identities(&self) -> Result<Identities, SeError>;

    /// Authentication and key agreement, if it has a key for that.
    fn aka(&self) -> Option<&dyn Aka> {
        None
    }
}

/// Capability: authentication and key agreement (TS 33.102).
pub trait Aka {
    /// AUTHENTICATE (TS 31.102 7.1.2) with the key of that index. When it is answered by [`AkaAnswer::HandedOut`] or
    /// [`AkaAnswer::Kept`], the element remembers for good that AUTN was used. `algorithm` is whose password an element
    /// computes that keeps CK and IK; others need not look at it.
    ///
    /// # Errors
    /// [`SeError`]; then nothing about the challenge is known.
    fn authenticate(
        &self,
        key: KeyIndex,
        rand: &[u8; 16],
        autn: &[u8; 16],
        algorithm: Algorithm,
    ) -> Result<AkaAnswer, SeError>;

    /// How application keys are had, if the element can keep Ks (TS 33.220 clause 5); only then may it answer with
    /// [`AkaAnswer::Kept`].
    fn kept_ks(&self) -> Option<&dyn KeptKs> {
        None
    }
}

/// Capability: Ks stays in the element, which derives the keys of applications.
///
/// For each key index there is one Ks, that of the last AUTHENTICATE which succeeded, whoever asked for it; RAND of the bootstrap
/// says which. It survives the client, and may survive a loss of power.
pub trait KeptKs {
    /// The strongest algorithm whose Digest password it computes. A UICC in its GBA security context answers with RES alone,
    /// so [`Algorithm::AkaV1Md5`]: AKAv2's password needs CK and IK besides (RFC 4169 3).
    fn strongest(&self) -> Algorithm;

    /// The schemas it derives by. A UICC's NAF derivation takes NAF_Id and IMPI only (TS 31.102 7.1.2.2), so
    /// [`KeySchema::GbaMe`]; `obf-1` is for applets that know it.
    fn schemas(&self) -> &[KeySchema];

    /// Whether the Ks of the bootstrap with that RAND is still in it.
    ///
    /// # Errors
    /// [`SeError`] if the element cannot be used.
    fn has(&self, key: KeyIndex, rand: &[u8; 16]) -> Result<bool, SeError>;

    /// The key of an application from the Ks of the bootstrap with that RAND.
    ///
    /// # Errors
    /// [`SeError::KsGone`] if the element has another Ks or none, never a key of another; other [`SeError`]s.
    fn derive(&self, key: KeyIndex, derivation: &Derivation<'_>) -> Result<AppKey, SeError>;
}
