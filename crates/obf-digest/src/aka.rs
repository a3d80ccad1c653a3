//! What AKA puts into Digest: nonce, password, `auts` (RFC 3310, RFC 4169).

use crate::{Algorithm, Hash, Scheme};
use alloc::{string::String, vec::Vec};
use base64ct::{Base64, Encoding};
use core::fmt;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha2::{Sha256, Sha512_256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// An AKA nonce: base64(RAND ‖ AUTN ‖ server data) (RFC 3310 3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AkaNonce {
    /// RAND.
    pub rand: [u8; 16],
    /// AUTN.
    pub autn: [u8; 16],
    /// What the server appended, at most [`AkaNonce::MAX_SERVER_DATA`] octets; a client only echoes it.
    pub server_data: Vec<u8>,
}

impl AkaNonce {
    /// The most server data read, octets.
    pub const MAX_SERVER_DATA: usize = 256;

    /// Reads a nonce; `None` if it is not padded canonical base64 of 32 to 288 octets.
    pub fn parse(nonce: &[u8]) -> Option<Self> {
        if nonce.len() > (32 + Self::MAX_SERVER_DATA) * 4 / 3 {
            return None;
        }
        let octets = Base64::decode_vec(core::str::from_utf8(nonce).ok()?).ok()?;
        let (rand, rest) = octets.split_first_chunk::<16>()?;
        let (autn, server_data) = rest.split_first_chunk::<16>()?;
        Some(Self { rand: *rand, autn: *autn, server_data: server_data.into() })
    }

    /// The nonce text without server data: 44 characters.
    pub fn encode(rand: &[u8; 16], autn: &[u8; 16]) -> String {
        Base64::encode_string(&[rand.as_slice(), autn].concat())
    }
}

impl fmt::Display for AkaNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let octets = [self.rand.as_slice(), &self.autn, &self.server_data].concat();
        f.write_str(&Base64::encode_string(&octets))
    }
}

/// Octets of AUTS: SQN ⊕ AK (6) ‖ MAC-S (8).
pub const AUTS_LEN: usize = 14;

/// Reads `auts`: base64 of exactly 14 octets, else `None`.
pub fn parse_auts(text: &[u8]) -> Option<[u8; AUTS_LEN]> {
    let mut buffer = [0; 18];
    let octets = Base64::decode(text, &mut buffer).ok()?;
    octets.try_into().ok()
}

/// Writes `auts`: 20 characters.
pub fn encode_auts(auts: &[u8; AUTS_LEN]) -> String {
    Base64::encode_string(auts)
}

/// The password of one AKA run. Erased on drop, never printed.
#[derive(Clone, ZeroizeOnDrop)]
pub struct AkaPassword {
    octets: [u8; Self::MAX_LEN],
    len: usize,
}

impl AkaPassword {
    /// The longest: RES of TUAK (32 octets) or base64 of a 32-octet hash (44).
    pub const MAX_LEN: usize = 44;

    /// The empty password that goes with `auts` (RFC 3310 3.4).
    pub const EMPTY: Self = Self { octets: [0; Self::MAX_LEN], len: 0 };

    /// The password that `algorithm` uses after an AKA run: RES itself (AKAv1, RFC 3310 3.3) or
    /// base64(HMAC-H(RES ‖ IK ‖ CK, "http-digest-akav2-password")) (AKAv2, RFC 4169 3). `None` if the algorithm is no
    /// AKA, or if RES is not 4 to 32 octets or IK and CK are longer than 32.
    pub fn derive(algorithm: Algorithm, res: &[u8], ik: &[u8], ck: &[u8]) -> Option<Self> {
        if !(4..=32).contains(&res.len()) || ik.len() > 32 || ck.len() > 32 {
            return None;
        }
        match algorithm.scheme {
            Scheme::Password => None,
            Scheme::AkaV1 => Self::from_octets(res),
            Scheme::AkaV2 => {
                let mut mac = derive_v2(algorithm.hash, &[res, ik, ck], b"http-digest-akav2-password");
                let mut text = Zeroizing::new([0; Self::MAX_LEN]);
                let encoded = Base64::encode(mac.as_slice(), &mut *text).ok()?;
                let password = Self::from_octets(encoded.as_bytes());
                mac.zeroize();
                password
            }
        }
    }

    /// The password that a secure element gives out for `algorithm` instead of RES, IK and CK: RES itself (AKAv1), or the
    /// text that [`Self::derive`] makes of all three (AKAv2). `None` if it is not of the length that it must have.
    pub fn computed(algorithm: Algorithm, password: &[u8]) -> Option<Self> {
        let fits = match (algorithm.scheme, algorithm.hash) {
            (Scheme::Password, _) => false,
            (Scheme::AkaV1, _) => (4..=32).contains(&password.len()),
            (Scheme::AkaV2, Hash::Md5) => password.len() == 24,
            (Scheme::AkaV2, Hash::Sha256 | Hash::Sha512_256) => password.len() == 44,
        };
        if fits { Self::from_octets(password) } else { None }
    }

    /// The octets, to hash them.
    pub fn expose(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }

    fn from_octets(source: &[u8]) -> Option<Self> {
        let mut octets = [0; Self::MAX_LEN];
        octets.get_mut(..source.len())?.copy_from_slice(source);
        Some(Self { octets, len: source.len() })
    }
}

impl fmt::Debug for AkaPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AkaPassword<{} octets>", self.len)
    }
}

/// HMAC-H(pieces of the key, text), as the three derivations of RFC 4169 3 use it.
fn derive_v2(hash: Hash, key: &[&[u8]], text: &[u8]) -> Zeroizing<Vec<u8>> {
    fn run<M: KeyInit + Mac>(key: &[u8], text: &[u8]) -> Vec<u8> {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mut mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
        mac.update(text);
        mac.finalize().into_bytes().to_vec()
    }
    let key = Zeroizing::new(key.concat());
    Zeroizing::new(match hash {
        Hash::Md5 => run::<Hmac<Md5>>(&key, text),
        Hash::Sha256 => run::<Hmac<Sha256>>(&key, text),
        Hash::Sha512_256 => run::<Hmac<Sha512_256>>(&key, text),
    })
}
