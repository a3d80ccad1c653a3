//! The key-encryption key, from a file.

use obf_token::SealingKey;
use obf_types::Secret;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Why the key-encryption key cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KekError {
    /// The file cannot be read.
    #[error("key-encryption key {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// It holds neither 32 octets nor 64 hex digits.
    #[error("key-encryption key {}: 32 octets are needed, as they are or as 64 hex digits", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

/// The key under which subscriber keys are kept. Its id in each envelope is a hash of the key, so that a wrong file
/// shows at once as "sealed under another key".
#[derive(Clone, Debug)]
pub struct KeyEncryptionKey(SealingKey);

impl KeyEncryptionKey {
    /// Reads 32 octets, or 64 hex digits and perhaps a line end.
    ///
    /// # Errors
    /// [`KekError`].
    pub fn from_file(path: &Path) -> Result<Self, KekError> {
        let octets = std::fs::read(path)
            .map(Zeroizing::new)
            .map_err(|error| KekError::Unreadable { path: path.into(), error })?;
        let key = Secret::from_slice(&octets).or_else(|| {
            let text = std::str::from_utf8(&octets).ok()?;
            super::material::secret_from_hex(text.trim_end())
        });
        Ok(Self::new(&key.ok_or_else(|| KekError::Malformed { path: path.into() })?))
    }

    /// From the key itself.
    pub fn new(key: &Secret<32>) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"obf key-encryption key id\0");
        hash.update(key.expose());
        let [a, b, c, d, ..] = <[u8; 32]>::from(hash.finalize());
        Self(SealingKey::new(u32::from_be_bytes([a, b, c, d]), key))
    }

    pub(super) const fn sealing(&self) -> &SealingKey {
        &self.0
    }
}
