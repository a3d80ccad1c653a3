//! What `algorithm=` and `qop=` name.

use crate::exchange::HexDigest;
use core::fmt;
use md5::Md5;
use sha2::{Digest, Sha256, Sha512_256};

/// The hash below a digest algorithm (RFC 7616 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hash {
    /// MD5: 32 hex digits. Only for peers that know nothing better (RFC 7616 5.14).
    Md5,
    /// SHA-256: 64 hex digits.
    Sha256,
    /// SHA-512/256 with its own initial value (FIPS 180-4; RFC 7616 erratum 4897): 64 hex digits.
    Sha512_256,
}

/// Where the password comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// A password that both ends keep (RFC 7616).
    Password,
    /// RES octets of an AKA run (RFC 3310).
    AkaV1,
    /// A text derived from RES, IK and CK (RFC 4169).
    AkaV2,
}

/// A digest algorithm: `MD5`, `SHA-256-sess`, `AKAv1-MD5`, `AKAv2-SHA-256`, …
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Algorithm {
    /// Where the password comes from.
    pub scheme: Scheme,
    /// The hash.
    pub hash: Hash,
    /// `-sess`: A1 also binds nonce and cnonce (RFC 7616 3.4.2).
    pub session: bool,
}

impl Algorithm {
    /// `MD5`: also what an absent `algorithm` means (RFC 7616 3.3).
    pub const MD5: Self = Self { scheme: Scheme::Password, hash: Hash::Md5, session: false };
    /// `SHA-256`.
    pub const SHA_256: Self = Self { scheme: Scheme::Password, hash: Hash::Sha256, session: false };
    /// `SHA-512-256`.
    pub const SHA_512_256: Self = Self { scheme: Scheme::Password, hash: Hash::Sha512_256, session: false };
    /// `AKAv1-MD5`: what every UE of TS 24.109 knows.
    pub const AKA_V1_MD5: Self = Self { scheme: Scheme::AkaV1, hash: Hash::Md5, session: false };
    /// `AKAv2-SHA-256`.
    pub const AKA_V2_SHA_256: Self = Self { scheme: Scheme::AkaV2, hash: Hash::Sha256, session: false };

    /// Reads a name, in any case (tokens of RFC 7616 are compared case-insensitively); `None` for any other.
    pub fn parse(name: &[u8]) -> Option<Self> {
        let (scheme, rest) = match strip_prefix_ignore_case(name, b"AKAv1-") {
            Some(rest) => (Scheme::AkaV1, rest),
            None => match strip_prefix_ignore_case(name, b"AKAv2-") {
                Some(rest) => (Scheme::AkaV2, rest),
                None => (Scheme::Password, name),
            },
        };
        let (session, rest) = match rest.split_at_checked(rest.len().wrapping_sub(5)) {
            Some((head, tail)) if tail.eq_ignore_ascii_case(b"-sess") => (true, head),
            _ => (false, rest),
        };
        let hash = [Hash::Md5, Hash::Sha256, Hash::Sha512_256]
            .into_iter()
            .find(|hash| hash.name().as_bytes().eq_ignore_ascii_case(rest))?;
        Some(Self { scheme, hash, session })
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.scheme {
            Scheme::Password => "",
            Scheme::AkaV1 => "AKAv1-",
            Scheme::AkaV2 => "AKAv2-",
        })?;
        f.write_str(self.hash.name())?;
        f.write_str(if self.session { "-sess" } else { "" })
    }
}

impl Hash {
    /// `MD5`, `SHA-256` or `SHA-512-256`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
            Self::Sha512_256 => "SHA-512-256",
        }
    }

    /// The hash of the pieces put one behind the other, in lower-case hex. Nothing is copied together.
    pub fn hex(self, pieces: &[&[u8]]) -> HexDigest {
        fn run<D: Digest>(pieces: &[&[u8]]) -> HexDigest {
            let mut hash = D::new();
            pieces.iter().for_each(|piece| hash.update(piece));
            HexDigest::of(&hash.finalize())
        }
        match self {
            Self::Md5 => run::<Md5>(pieces),
            Self::Sha256 => run::<Sha256>(pieces),
            Self::Sha512_256 => run::<Sha512_256>(pieces),
        }
    }
}

/// Quality of protection (RFC 7616 3.3): what the response covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Qop {
    /// Method and URI.
    Auth,
    /// Method, URI and body.
    AuthInt,
}

impl Qop {
    /// `auth` or `auth-int`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::AuthInt => "auth-int",
        }
    }

    /// Reads a name, in any case; `None` for any other.
    pub fn parse(name: &[u8]) -> Option<Self> {
        [Self::Auth, Self::AuthInt].into_iter().find(|qop| qop.name().as_bytes().eq_ignore_ascii_case(name))
    }
}

fn strip_prefix_ignore_case<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn every_algorithm_name_reads_back() {
        for scheme in [Scheme::Password, Scheme::AkaV1, Scheme::AkaV2] {
            for hash in [Hash::Md5, Hash::Sha256, Hash::Sha512_256] {
                for session in [false, true] {
                    let algorithm = Algorithm { scheme, hash, session };
                    let name = algorithm.to_string();
                    assert_eq!(Algorithm::parse(name.as_bytes()), Some(algorithm));
                    assert_eq!(Algorithm::parse(name.to_ascii_lowercase().as_bytes()), Some(algorithm));
                }
            }
        }
        assert_eq!(Algorithm::AKA_V2_SHA_256.to_string(), "AKAv2-SHA-256");
        for unknown in ["", "-sess", "MD4", "AKAv3-MD5", "AKAv1-", "MD5-sess-sess", "MD5 "] {
            assert_eq!(Algorithm::parse(unknown.as_bytes()), None, "{unknown}");
        }
    }
}
