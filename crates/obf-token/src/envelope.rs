//! Sealed envelopes: XChaCha20-Poly1305 with a key id, safe with random nonces across nodes (192-bit nonce).
//!
//! Used for the challenge in `opaque` (WIRES "RPB"), Ks at rest and subscriber keys at rest; what an envelope is
//! for stands in its associated data.

use alloc::vec::Vec;
use chacha20poly1305::{AeadInOut, KeyInit, Tag, XChaCha20Poly1305, XNonce};
use core::fmt;
use obf_types::Secret;
use zeroize::Zeroizing;

/// Octets of the random nonce that the caller draws for each envelope.
pub const NONCE_LEN: usize = 24;
/// Octets of the authentication tag.
pub const TAG_LEN: usize = 16;
const ID_LEN: usize = 4;
/// Octets that an envelope is longer than its content: key id, nonce, tag.
pub const OVERHEAD: usize = ID_LEN + NONCE_LEN + TAG_LEN;

/// Why an envelope did not open. It never says more: a forger must not learn which part was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// Too short to be an envelope, or sealed under another key id.
    NotOurs,
    /// Altered, or sealed with other associated data.
    Altered,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOurs => "sealed under another key",
            Self::Altered => "sealed content was altered or belongs elsewhere",
        })
    }
}

impl core::error::Error for OpenError {}

/// A sealing key with its id, which travels in clear at the head of each envelope.
#[derive(Clone)]
pub struct SealingKey {
    id: u32,
    cipher: XChaCha20Poly1305,
}

impl SealingKey {
    /// A key of 32 octets and the id it is found by.
    pub fn new(id: u32, key: &Secret<32>) -> Self {
        Self { id, cipher: XChaCha20Poly1305::new(key.expose().into()) }
    }

    /// The id.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// The id of the key an envelope was sealed under; `None` if it is too short to be one.
    pub fn id_of(envelope: &[u8]) -> Option<u32> {
        (envelope.len() >= OVERHEAD).then_some(())?;
        envelope.first_chunk().copied().map(u32::from_be_bytes)
    }

    /// Seals: key id ‖ nonce ‖ ciphertext ‖ tag. `nonce` is drawn at random for each call.
    pub fn seal(&self, nonce: &[u8; NONCE_LEN], associated: &[u8], content: &[u8]) -> Vec<u8> {
        let mut envelope = Vec::with_capacity(OVERHEAD + content.len());
        envelope.extend_from_slice(&self.id.to_be_bytes());
        envelope.extend_from_slice(nonce);
        envelope.extend_from_slice(content);
        let (_, body) = envelope.split_at_mut(ID_LEN + NONCE_LEN);
        let tag = self.seal_detached(nonce, associated, body);
        envelope.extend_from_slice(&tag);
        envelope
    }

    /// Opens an envelope sealed under this key with the same associated data.
    ///
    /// # Errors
    /// [`OpenError`], without a hint of what differs.
    pub fn open(&self, associated: &[u8], envelope: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        if Self::id_of(envelope) != Some(self.id) {
            return Err(OpenError::NotOurs);
        }
        let (_, rest) = envelope.split_at_checked(ID_LEN).ok_or(OpenError::NotOurs)?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>().ok_or(OpenError::NotOurs)?;
        let (body, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or(OpenError::NotOurs)?;
        let mut content = Zeroizing::new(body.to_vec());
        self.open_detached(nonce, associated, &mut content, tag)?;
        Ok(content)
    }

    /// Encrypts `content` in place and returns the tag, for records that keep nonce and key id elsewhere.
    /// A nonce must never be used twice under one key.
    pub fn seal_detached(
        &self,
        nonce: &[u8; NONCE_LEN],
        associated: &[u8],
        content: &mut [u8],
    ) -> [u8; TAG_LEN] {
        #[expect(
            clippy::expect_used,
            reason = "content is bounded by memory, far below the cipher's 256 GiB"
        )]
        self.cipher
            .encrypt_inout_detached(&XNonce::from(*nonce), associated, content.into())
            .expect("content below 256 GiB")
            .into()
    }

    /// Decrypts in place what [`SealingKey::seal_detached`] made.
    ///
    /// # Errors
    /// [`OpenError::Altered`]; `content` is then worthless.
    pub fn open_detached(
        &self,
        nonce: &[u8; NONCE_LEN],
        associated: &[u8],
        content: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), OpenError> {
        self.cipher
            .decrypt_inout_detached(&XNonce::from(*nonce), associated, content.into(), &Tag::from(*tag))
            .map_err(|_| OpenError::Altered)
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey(id {})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use proptest::prelude::*;

    fn key(id: u32) -> SealingKey {
        SealingKey::new(id, &Secret::new([0x42; 32]))
    }

    /// draft-irtf-cfrg-xchacha-03 A.3.1: the construction is XChaCha20-Poly1305 and nothing else.
    #[test]
    fn xchacha_draft_a_3_1() {
        let octets: alloc::vec::Vec<u8> = (0x80..=0x9f).collect();
        let key = SealingKey::new(0, &Secret::from_slice(&octets).unwrap());
        let nonce: [u8; 24] = core::array::from_fn(|i| 0x40 + i as u8);
        let aad = [0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7];
        let mut content = *b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
        let tag = key.seal_detached(&nonce, &aad, &mut content);
        assert_eq!(content[..4], [0xbd, 0x6d, 0x17, 0x9d]);
        assert_eq!(
            tag,
            [0xc0, 0x87, 0x59, 0x24, 0xc1, 0xc7, 0x98, 0x79, 0x47, 0xde, 0xaf, 0xd8, 0x78, 0x0a, 0xcf, 0x49]
        );
    }

    #[test]
    fn keys_are_found_by_id_and_not_printed() {
        let envelope = key(7).seal(&[1; 24], b"a", b"content");
        assert_eq!(SealingKey::id_of(&envelope), Some(7));
        assert_eq!(key(8).open(b"a", &envelope), Err(OpenError::NotOurs));
        assert_eq!(key(7).open(b"b", &envelope), Err(OpenError::Altered));
        assert_eq!(key(7).open(b"a", &envelope[..OVERHEAD - 1]), Err(OpenError::NotOurs));
        assert_eq!(format!("{:?}", key(7)), "SealingKey(id 7)");
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_and_any_altered_octet_shows(
            content: alloc::vec::Vec<u8>, nonce: [u8; 24], place: prop::sample::Index, flip in 1u8..
        ) {
            let mut envelope = key(1).seal(&nonce, b"for this", &content);
            prop_assert_eq!(&**key(1).open(b"for this", &envelope).unwrap(), &content);
            let place = place.index(envelope.len());
            envelope[place] ^= flip;
            prop_assert!(key(1).open(b"for this", &envelope).is_err());
        }
    }
}
