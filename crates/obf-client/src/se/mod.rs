//! Secure elements behind one trait (SPEC R4, U13): keys are used by index and never leave it.

mod record;
mod software;

pub use obf_rpb::client::SeAnswer;
pub use record::BadRecord;
pub use software::SoftwareSe;

use obf_types::GlobalIdentity;
use std::{fmt, io, path::PathBuf};

/// Names a key inside a secure element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyIndex(pub u8);

impl KeyIndex {
    /// The subscriber key K, where there is one only.
    pub const SUBSCRIBER: Self = Self(1);
}

/// A USIM or what stands for one. Calls block: they may talk to a reader or write to a disk.
pub trait SecureElement: fmt::Debug + Send + Sync + 'static {
    /// The identity under which the element is registered; it goes to the Authentication Server unchanged.
    ///
    /// # Errors
    /// [`SeError`] if the element cannot be used.
    fn identity(&self) -> Result<GlobalIdentity, SeError>;

    /// AUTHENTICATE (TS 31.102 7.1.2) with the key of that index. When a response comes back, the element remembers
    /// for good that AUTN was used.
    ///
    /// # Errors
    /// [`SeError`]; then nothing about the challenge is known.
    fn authenticate(&self, key: KeyIndex, rand: &[u8; 16], autn: &[u8; 16]) -> Result<SeAnswer, SeError>;
}

/// Why a secure element gives no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SeError {
    /// Its file cannot be read, locked or written.
    #[error("secure element {}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// Its file is not what it must be.
    #[error("secure element {}: {reason}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: BadRecord,
    },
    /// There is no key of that index.
    #[error("the secure element has no key {}", .0.0)]
    NoSuchKey(KeyIndex),
    /// The key cannot serve for bootstrapping.
    #[error("key {} has CK and IK of more than 128 bits, which bootstrapping does not use", .0.0)]
    UnsuitableKey(KeyIndex),
}
