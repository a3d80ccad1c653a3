//! Why a secure element gives no answer.

use super::KeyIndex;
use std::error::Error;

/// Why a secure element gives no answer. `element` names it as its driver does: a file, a reader.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SeError {
    /// It cannot be used now: it is not there, not readable, not writable, in the way of somebody else.
    #[error("secure element {element}: {reason}")]
    Unavailable {
        /// Which.
        element: String,
        /// What the system or the driver said.
        reason: Box<dyn Error + Send + Sync>,
    },
    /// What is on it is not what must be there. No secret is quoted.
    #[error("secure element {element}: {reason}")]
    Malformed {
        /// Which.
        element: String,
        /// What is wrong.
        reason: Box<dyn Error + Send + Sync>,
    },
    /// It has no identity to be registered under.
    #[error("the secure element has no identity")]
    NoIdentity,
    /// It has no AKA.
    #[error("the secure element cannot authenticate by AKA")]
    NoAka,
    /// There is no key of that index.
    #[error("the secure element has no key {}", .0.0)]
    NoSuchKey(KeyIndex),
    /// The key cannot serve for bootstrapping.
    #[error("key {} has CK and IK of more than 128 bits, which bootstrapping does not use", .0.0)]
    UnsuitableKey(KeyIndex),
    /// It derives by none of the schemas that are to be offered, or not by the one that the server chose.
    #[error("the secure element keeps Ks and derives no key by the schema that is wanted")]
    OtherSchema,
    /// The Ks of that bootstrap is no longer in it.
    #[error("the secure element no longer has the session key of that bootstrap")]
    KsGone,
}
