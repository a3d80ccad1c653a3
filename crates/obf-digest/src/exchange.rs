//! The hashes of one exchange: A1, A2, response, rspauth (RFC 7616 3.4 and 3.5).

use crate::{Algorithm, Hash, NonceCount, Qop};
use core::fmt;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// What both ends know of one request and its answer, all values unescaped.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// The algorithm used.
    pub algorithm: Algorithm,
    /// The plain user name, also where `userhash` hides it on the wire (RFC 7616 3.4.4).
    pub username: &'a [u8],
    /// The realm.
    pub realm: &'a [u8],
    /// The nonce, as text.
    pub nonce: &'a [u8],
    /// The request target as the client wrote it.
    pub uri: &'a [u8],
    /// The quality of protection; `None` is the form of RFC 2069, without nc and cnonce.
    pub qop: Option<Qop>,
    /// The nonce count; only hashed with a `qop`.
    pub nc: NonceCount,
    /// The client's nonce; only hashed with a `qop` or a `-sess` algorithm.
    pub cnonce: &'a [u8],
}

impl Exchange<'_> {
    /// H(A1). Compute it once and use it for response and rspauth.
    pub fn ha1(&self, password: &[u8]) -> Ha1 {
        let hash = self.algorithm.hash;
        let plain = hash.hex(&[self.username, b":", self.realm, b":", password]);
        if !self.algorithm.session {
            return Ha1(plain);
        }
        let plain = Ha1(plain);
        Ha1(hash.hex(&[plain.0.as_bytes(), b":", self.nonce, b":", self.cnonce]))
    }

    /// The client's `response`. `body` is the entity body of the request (hashed with `auth-int` only).
    pub fn response(&self, ha1: &Ha1, method: &[u8], body: &[u8]) -> HexDigest {
        self.keyed(ha1, method, body)
    }

    /// The server's `rspauth`: like the response, with an empty method and the body of the answer (RFC 7616 3.5).
    pub fn rspauth(&self, ha1: &Ha1, body: &[u8]) -> HexDigest {
        self.keyed(ha1, b"", body)
    }

    fn keyed(&self, ha1: &Ha1, method: &[u8], body: &[u8]) -> HexDigest {
        let hash = self.algorithm.hash;
        let ha2 = match self.qop {
            Some(Qop::AuthInt) => {
                let body = hash.hex(&[body]);
                hash.hex(&[method, b":", self.uri, b":", body.as_bytes()])
            }
            Some(Qop::Auth) | None => hash.hex(&[method, b":", self.uri]),
        };
        match self.qop {
            None => hash.hex(&[ha1.0.as_bytes(), b":", self.nonce, b":", ha2.as_bytes()]),
            Some(qop) => hash.hex(&[
                ha1.0.as_bytes(),
                b":",
                self.nonce,
                b":",
                self.nc.as_bytes(),
                b":",
                self.cnonce,
                b":",
                qop.name().as_bytes(),
                b":",
                ha2.as_bytes(),
            ]),
        }
    }
}

/// `username` as `userhash=true` hides it: H(user ":" realm) (RFC 7616 3.4.4).
pub fn userhash(hash: Hash, username: &[u8], realm: &[u8]) -> HexDigest {
    hash.hex(&[username, b":", realm])
}

/// H(A1): as good as the password for its realm, so erased on drop and never printed.
#[derive(Clone)]
pub struct Ha1(HexDigest);

impl Ha1 {
    /// Takes over an H(A1) that was kept instead of a password: 32 or 64 lower-case hex digits, else `None`.
    pub fn from_hex(text: &[u8]) -> Option<Self> {
        HexDigest::from_hex(text).map(Self)
    }

    /// The hex digits, for keeping; treat them as the password.
    pub fn expose(&self) -> &str {
        self.0.as_str()
    }
}

impl Drop for Ha1 {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl ZeroizeOnDrop for Ha1 {}

impl fmt::Debug for Ha1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ha1")
    }
}

/// A hash in lower-case hex: 32 (MD5) or 64 digits, kept without an allocation.
#[derive(Clone, Copy)]
pub struct HexDigest {
    digits: [u8; 64],
    len: u8,
}

impl HexDigest {
    /// The hex form of at most 32 octets.
    pub(crate) fn of(octets: &[u8]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; 64];
        let digit = |value: u8| DIGITS.get(usize::from(value & 15)).copied().unwrap_or(b'0');
        for (pair, octet) in digits.chunks_exact_mut(2).zip(octets) {
            pair.copy_from_slice(&[digit(octet >> 4), digit(*octet)]);
        }
        Self { digits, len: (octets.len().min(32) * 2) as u8 }
    }

    fn from_hex(text: &[u8]) -> Option<Self> {
        let lower_hex = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if !matches!(text.len(), 32 | 64) || !text.iter().all(lower_hex) {
            return None;
        }
        let mut digits = [0; 64];
        digits.iter_mut().zip(text).for_each(|(to, from)| *to = *from);
        Some(Self { digits, len: text.len() as u8 })
    }

    /// The digits as octets of ASCII.
    pub fn as_bytes(&self) -> &[u8] {
        self.digits.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// The digits as text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// Whether `received` is exactly these digits, in time that does not depend on where they differ.
    pub fn matches(&self, received: &[u8]) -> bool {
        self.as_bytes().ct_eq(received).into()
    }
}

impl Zeroize for HexDigest {
    fn zeroize(&mut self) {
        self.digits.zeroize();
    }
}

impl fmt::Debug for HexDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HexDigest<{} digits>", self.len)
    }
}
