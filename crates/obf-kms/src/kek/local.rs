//! Key-encryption keys that this process holds: from a file or the environment.

use super::{DataKeySecret, Kek, KekError, associated, drawn};
use obf_files::SecretFile;
use obf_token::SealingKey;
use obf_types::Secret;
use sha2::{Digest, Sha256};
use std::path::Path;
use zeroize::Zeroizing;

/// A key-encryption key in this process's memory. Named by a hash of itself, so that the same key has the same name
/// wherever it comes from, and a wrong one shows at once.
#[derive(Clone)]
pub struct LocalKek {
    name: String,
    key: SealingKey,
}

impl LocalKek {
    /// Reads 32 octets, or 64 hex digits with whitespace around them, from a file that only its owner may read.
    ///
    /// # Errors
    /// [`KekError::Unreadable`], [`KekError::Exposed`], [`KekError::Malformed`].
    pub fn from_file(path: &Path) -> Result<Self, KekError> {
        Ok(Self::new(&SecretFile::open_private(path)?.key()?))
    }

    /// Reads 64 hex digits from a variable of the environment.
    ///
    /// # Errors
    /// [`KekError::Unset`], [`KekError::Malformed`].
    pub fn from_environment(variable: &str) -> Result<Self, KekError> {
        let text =
            std::env::var(variable).map(Zeroizing::new).map_err(|_| KekError::Unset(variable.into()))?;
        let key = obf_files::key(text.as_bytes());
        let key = key.ok_or_else(|| KekError::Malformed(format!("${variable}")))?;
        Ok(Self::new(&key))
    }

    /// From the key itself.
    pub fn new(key: &Secret<32>) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"obf key-encryption key id\0");
        hash.update(key.expose());
        let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(hash.finalize());
        let id = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        Self { name: format!("local:{id:016x}"), key: SealingKey::new(u32::from_be_bytes([a, b, c, d]), key) }
    }
}

impl Kek for LocalKek {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_remote(&self) -> bool {
        false
    }

    fn wrap(&self, id: u32, key: &DataKeySecret) -> Result<Vec<u8>, KekError> {
        Ok(self.key.seal(&drawn()?, &associated(id), key.expose()))
    }

    fn unwrap(&self, id: u32, wrapped: &[u8]) -> Result<DataKeySecret, KekError> {
        let opened = self.key.open(&associated(id), wrapped).ok();
        let key = opened.and_then(|octets| Secret::from_slice(&octets)).map(DataKeySecret::new);
        key.ok_or_else(|| KekError::DoesNotOpen { id, kek: self.name.clone() })
    }
}

impl std::fmt::Debug for LocalKek {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LocalKek({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs::{self, Permissions},
        os::unix::fs::PermissionsExt as _,
    };

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    #[test]
    fn r8_a_key_file_must_be_private_and_its_faults_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kek");
        let missing = LocalKek::from_file(&path).unwrap_err().to_string();
        assert!(missing.contains("cannot be read") && missing.contains("kek"), "{missing}");
        fs::write(&path, HEX).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let exposed = LocalKek::from_file(&path).unwrap_err().to_string();
        assert!(exposed.contains("0640") && exposed.contains("chmod 600"), "{exposed}");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let from_hex = LocalKek::from_file(&path).unwrap();
        fs::write(&path, (0..32).collect::<Vec<u8>>()).unwrap();
        assert_eq!(LocalKek::from_file(&path).unwrap().name(), from_hex.name());
        for bad in [&HEX[1..], "", &"0".repeat(300)] {
            fs::write(&path, bad).unwrap();
            let error = LocalKek::from_file(&path).unwrap_err().to_string();
            assert!(error.contains("64 hex digits") && !error.contains("0102"), "{error}");
        }
    }

    #[test]
    fn r8_a_data_key_opens_under_its_kek_and_number_only() {
        let (kek, other) = (LocalKek::new(&Secret::new([1; 32])), LocalKek::new(&Secret::new([2; 32])));
        let key = DataKeySecret::new(Secret::new([7; 32]));
        let wrapped = kek.wrap(5, &key).unwrap();
        assert_eq!(kek.unwrap(5, &wrapped).unwrap(), key);
        let refused = KekError::DoesNotOpen { id: 6, kek: kek.name().into() };
        assert_eq!(kek.unwrap(6, &wrapped).unwrap_err(), refused);
        assert!(other.unwrap(5, &wrapped).is_err());
        assert_ne!(kek.name(), other.name());
        assert_eq!(format!("{kek:?}"), format!("LocalKek({})", kek.name()));
    }

    #[test]
    fn r8_a_variable_that_is_not_set_is_named() {
        let error = LocalKek::from_environment("OBF_NO_SUCH_KEK").unwrap_err().to_string();
        assert!(error.contains("OBF_NO_SUCH_KEK"), "{error}");
    }
}
