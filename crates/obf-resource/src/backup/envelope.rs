//! How a backup is encrypted: under a key of its own, which stands in front of it wrapped under the key-encryption key.
//!
//! `OBF backup 1\n`, then length 2 ‖ name of the KEK, length 2 ‖ wrapped key; then frames, length 4 ‖ envelope
//! ([`SealingKey`]). Associated data of a frame: a digest of all that stands before the first frame, the frame's number
//! from 0, and 1 in the last one: frames cannot be left out, reordered, or cut off unnoticed.

use obf_kms::{BackupHeader, NotABackup};
use obf_token::{SealingKey, envelope::NONCE_LEN};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The longest frame, octets: a block of the store's is far shorter.
const MAX_FRAME: usize = 16 * 1024 * 1024;

/// What is wrong with a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// This is not a backup.
    #[error(transparent)]
    NoBackup(#[from] NotABackup),
    /// A part of it was altered, left out, or put elsewhere.
    #[error("the backup was altered or is damaged")]
    Altered,
    /// Its end is missing.
    #[error("the backup is cut short")]
    CutShort,
}

/// Seals or opens the frames of one backup, in order.
pub struct Frames {
    key: SealingKey,
    digest: [u8; 32],
    number: u64,
    ended: bool,
}

impl Frames {
    /// Behind that header, under the key that it has wrapped.
    pub fn new(header: &BackupHeader, key: SealingKey) -> Self {
        Self { key, digest: Sha256::digest(header.to_octets()).into(), number: 0, ended: false }
    }

    /// The next frame, with its length; `nonce` is drawn at random for each.
    pub fn seal(&mut self, nonce: &[u8; NONCE_LEN], block: &[u8], last: bool) -> Vec<u8> {
        let sealed = self.key.seal(nonce, &self.associated(last), block);
        self.number += 1;
        let mut frame = u32::try_from(sealed.len()).unwrap_or(u32::MAX).to_be_bytes().to_vec();
        frame.extend_from_slice(&sealed);
        frame
    }

    /// Takes the next frame off the front of `octets` and opens it; `None` if more of them are needed.
    ///
    /// # Errors
    /// [`EnvelopeError::Altered`].
    pub fn open(&mut self, octets: &mut Vec<u8>) -> Result<Option<Zeroizing<Vec<u8>>>, EnvelopeError> {
        if self.ended {
            return if octets.is_empty() { Ok(None) } else { Err(EnvelopeError::Altered) };
        }
        let Some((length, rest)) = octets.split_first_chunk::<4>() else { return Ok(None) };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length > MAX_FRAME {
            return Err(EnvelopeError::Altered);
        }
        let Some((sealed, _)) = rest.split_at_checked(length) else { return Ok(None) };
        let opened = self.key.open(&self.associated(false), sealed).or_else(|_| {
            let opened = self.key.open(&self.associated(true), sealed)?;
            self.ended = true;
            Ok::<_, obf_token::OpenError>(opened)
        });
        let block = opened.map_err(|_| EnvelopeError::Altered)?;
        octets.drain(..4 + length);
        self.number += 1;
        Ok(Some(block))
    }

    /// Whether the last frame was there.
    ///
    /// # Errors
    /// [`EnvelopeError::CutShort`].
    pub fn finish(&self) -> Result<(), EnvelopeError> {
        if self.ended { Ok(()) } else { Err(EnvelopeError::CutShort) }
    }

    fn associated(&self, last: bool) -> Vec<u8> {
        let mut octets = b"obf backup\0".to_vec();
        octets.extend_from_slice(&self.digest);
        octets.extend_from_slice(&self.number.to_be_bytes());
        octets.push(last.into());
        octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use obf_types::Secret;

    fn header() -> BackupHeader {
        BackupHeader { kek: "file:4b".into(), wrapped: vec![7; 60] }
    }

    fn frames() -> Frames {
        Frames::new(&header(), SealingKey::new(0, &Secret::new([9; 32])))
    }

    fn sealed(blocks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut frames = frames();
        let last = blocks.len() - 1;
        let seal = |(n, block): (usize, &&[u8])| frames.seal(&[n as u8; NONCE_LEN], block, n == last);
        blocks.iter().enumerate().map(seal).collect()
    }

    fn opened(octets: &[u8]) -> Result<Vec<Vec<u8>>, EnvelopeError> {
        let (mut frames, mut blocks, mut buffer) = (frames(), Vec::new(), Vec::new());
        for octet in octets {
            buffer.push(*octet);
            while let Some(block) = frames.open(&mut buffer)? {
                blocks.push(block.to_vec());
            }
        }
        frames.finish().map(|()| blocks)
    }

    #[test]
    fn frames_left_out_reordered_altered_or_cut_off_are_noticed() {
        let frames = sealed(&[b"one", b"two", b""]);
        assert_eq!(opened(&frames.concat()).unwrap(), [&b"one"[..], b"two", b""]);
        let [one, two, last] = frames.as_slice() else { panic!() };
        let mut altered = one.clone();
        altered[40] ^= 1;
        for bad in [
            [two, last].map(|frame| frame.clone()).concat(),
            [one, last].map(|frame| frame.clone()).concat(),
            [two, one, last].map(|frame| frame.clone()).concat(),
            [&altered, two, last].map(|frame| frame.clone()).concat(),
            [one, two, last, last].map(|frame| frame.clone()).concat(),
            vec![0xFF; 8],
        ] {
            assert_eq!(opened(&bad), Err(EnvelopeError::Altered));
        }
        assert_eq!(opened(&[one.clone(), two.clone()].concat()), Err(EnvelopeError::CutShort));
        assert_eq!(opened(&frames.concat()[..frames.concat().len() - 1]), Err(EnvelopeError::CutShort));
    }
}
