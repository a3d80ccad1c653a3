//! What leaves memory: Ks and sealing keys, wrapped under the deployment's key encryption key.

use crate::random::draw;
use obf_token::{Ks, SealingKey, TokenId};
use obf_types::Secret;

/// The id of the key that wraps. There is only one, as it cannot be rotated yet.
const KEK_ID: u32 = 1;

/// Wraps and unwraps. What is wrapped as one thing does not unwrap as another.
#[derive(Debug)]
pub struct Vault(SealingKey);

impl Vault {
    /// A vault under a key encryption key of 32 octets.
    pub fn new(kek: &Secret<32>) -> Self {
        Self(SealingKey::new(KEK_ID, kek))
    }

    /// Ks of a token, as the store keeps it.
    pub fn wrap_ks(&self, id: &TokenId, ks: &Ks) -> Vec<u8> {
        self.0.seal(&draw(), &of_token(id), ks.expose())
    }

    /// `None`: altered, of another token, or wrapped under another key.
    pub(crate) fn unwrap_ks(&self, id: &TokenId, wrapped: &[u8]) -> Option<Ks> {
        Ks::from_slice(&self.0.open(&of_token(id), wrapped).ok()?)
    }

    pub(crate) fn wrap_sealing_key(&self, id: u32, key: &Secret<32>) -> Vec<u8> {
        self.0.seal(&draw(), &of_sealing_key(id), key.expose())
    }

    pub(crate) fn unwrap_sealing_key(&self, id: u32, wrapped: &[u8]) -> Option<Secret<32>> {
        Secret::from_slice(&self.0.open(&of_sealing_key(id), wrapped).ok()?)
    }
}

fn of_token(id: &TokenId) -> Vec<u8> {
    [b"obf-auth ks\0".as_slice(), id.rand(), id.domain().as_str().as_bytes()].concat()
}

fn of_sealing_key(id: u32) -> Vec<u8> {
    [b"obf-auth sealing\0".as_slice(), &id.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use obf_types::Domain;

    #[test]
    fn what_is_wrapped_as_one_thing_does_not_unwrap_as_another() {
        let vault = Vault::new(&Secret::new([5; 32]));
        let id = |number| TokenId::new([number; 16], Domain::new("rs.as.example").unwrap());
        let wrapped = vault.wrap_ks(&id(1), &Ks::new([9; 32]));
        assert_eq!(vault.unwrap_ks(&id(1), &wrapped), Some(Ks::new([9; 32])));
        assert_eq!(vault.unwrap_ks(&id(2), &wrapped), None);
        assert_eq!(vault.unwrap_sealing_key(1, &wrapped), None);
        assert_eq!(Vault::new(&Secret::new([6; 32])).unwrap_ks(&id(1), &wrapped), None);
        let wrapped = vault.wrap_sealing_key(7, &Secret::new([8; 32]));
        assert_eq!(vault.unwrap_sealing_key(7, &wrapped), Some(Secret::new([8; 32])));
        assert_eq!(vault.unwrap_sealing_key(8, &wrapped), None);
    }
}
