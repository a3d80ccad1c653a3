//! What can be wrong with a key-encryption key, said so that somebody woken at night knows what to do.

use obf_files::SecretFileError;
use std::{fmt, path::PathBuf};

/// Why a key-encryption key cannot be had or used. Says what is wrong and what to do; never a key or a PIN.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KekError {
    /// A file cannot be read.
    #[error("key-encryption key: {} cannot be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: String,
    },
    /// Others may read a file that holds a secret.
    #[error(
        "key-encryption key: {path} has permissions {mode:04o}, so others may read it: chmod 600 {path}, and if they \
         could have read it, rotate",
        path = path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is neither 32 octets nor 64 hex digits.
    #[error("key-encryption key: {0}: 32 octets are needed, as they are or as 64 hex digits")]
    Malformed(String),
    /// The variable is not set, or is not UTF-8.
    #[error("key-encryption key: the environment has no {0}: set it where this server is started")]
    Unset(String),
    /// This program was built without PKCS#11.
    #[error(
        "key-encryption key: this program was built without PKCS#11 (the feature pkcs11), so it reaches no HSM: use one \
         that was built with it, or source = \"file\" or \"environment\""
    )]
    NotBuiltIn,
    /// The PIN cannot be had.
    #[error("HSM token {token:?}: no PIN: {reason}")]
    NoPin {
        /// The token.
        token: String,
        /// Why.
        reason: String,
    },
    /// The PKCS#11 module cannot be loaded.
    #[error(
        "HSM module {}: {error}: install the PKCS#11 module of the HSM, or set module_file to where it is",
        path.display()
    )]
    Module {
        /// The shared library.
        path: PathBuf,
        /// Why.
        error: String,
    },
    /// No slot has the token.
    #[error(
        "HSM token {wanted:?} is not there (there is: {present}): connect or start the HSM, or set token"
    )]
    NoToken {
        /// Its label.
        wanted: String,
        /// The labels of the tokens that are there.
        present: Labels,
    },
    /// The token has no such key.
    #[error(
        "HSM token {token:?} has no AES key labelled {key:?}: make it there (docs/kms.md shows how), or set key to the \
         label it has"
    )]
    NoKey {
        /// The token's label.
        token: String,
        /// The key's label.
        key: String,
    },
    /// The key is there and must not be used.
    #[error("HSM token {token:?}: the key {key:?} {reason}")]
    UnfitKey {
        /// The token's label.
        token: String,
        /// The key's label.
        key: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The HSM refused the PIN.
    #[error(
        "HSM token {token:?} refused the PIN from {from}. It is not tried again, because HSMs lock after a few wrong \
         PINs: put the right one there{remedy}"
    )]
    WrongPin {
        /// The token's label.
        token: String,
        /// Where the PIN came from.
        from: String,
        /// What else is to be done.
        remedy: &'static str,
    },
    /// The HSM takes no PIN any more, or has one attempt left.
    #[error("HSM token {token:?}: {state}: {remedy}")]
    PinGuard {
        /// The token's label.
        token: String,
        /// What it said.
        state: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// The HSM does not answer, or its connection is gone: it may come back.
    #[error(
        "HSM token {token:?} does not work at present ({reason}): see to the HSM and its connection; it is tried again by itself"
    )]
    Gone {
        /// The token's label.
        token: String,
        /// What the module said.
        reason: String,
    },
    /// What was wrapped does not unwrap under this key.
    #[error(
        "data key {id} does not open under the key-encryption key {kek}: it was wrapped under another key, or the \
         database was altered"
    )]
    DoesNotOpen {
        /// The data key.
        id: u32,
        /// The KEK's name.
        kek: String,
    },
    /// The system gave no random octets.
    #[error("no randomness: {0}")]
    NoRandomness(String),
}

impl KekError {
    /// Whether trying again later can help without anybody changing anything.
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Gone { .. } | Self::NoToken { .. } | Self::NoRandomness(_))
    }
}

impl From<SecretFileError> for KekError {
    fn from(error: SecretFileError) -> Self {
        match error {
            SecretFileError::Unreadable { path, error } => {
                Self::Unreadable { path, error: error.to_string() }
            }
            SecretFileError::Exposed { path, mode } => Self::Exposed { path, mode },
            other => Self::Malformed(other.path().display().to_string()),
        }
    }
}

/// Labels in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels(pub Vec<String>);

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no token at all");
        }
        for (index, label) in self.0.iter().enumerate() {
            write!(f, "{}{label:?}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
