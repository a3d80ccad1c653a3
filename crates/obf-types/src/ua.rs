//! Ua security protocol ids (TS 33.220 Annex H), the classes that an application registers for, and NAF_Id.

use crate::AppId;
use alloc::vec::Vec;
use core::{fmt, str::FromStr};

/// A Ua security protocol id: 5 octets, the organisation first. A key is for one of them only.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UaId(pub [u8; 5]);

impl UaId {
    /// TLS 1.3 with an external PSK (TS 33.222 5.4.0.2).
    pub const TLS13_PSK: Self = Self([1, 0, 0, 0, 7]);
    /// HTTP Digest without TLS (TS 24.109).
    pub const HTTP_DIGEST: Self = Self([1, 0, 0, 0, 2]);

    /// TLS or DTLS 1.2 PSK, or Digest inside server-certificate TLS: `01 00 01 yy zz` with the negotiated suite
    /// (TS 33.222 5.3, 5.4).
    pub const fn tls12(suite: u16) -> Self {
        let [yy, zz] = suite.to_be_bytes();
        Self([1, 0, 1, yy, zz])
    }

    /// The cipher suite in a `01 00 01 yy zz` id.
    pub const fn tls12_suite(self) -> Option<u16> {
        match self.0 {
            [1, 0, 1, yy, zz] => Some(u16::from_be_bytes([yy, zz])),
            _ => None,
        }
    }

    /// Ten lower- or upper-case hex digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 10 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let number = u64::from_str_radix(text, 16).ok()?;
        let [_, _, _, octets @ ..] = number.to_be_bytes();
        Some(Self(octets))
    }
}

impl fmt::Display for UaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for UaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UaId({self})")
    }
}

/// NAF_Id (TS 33.220 4.5.1, B.3): application FQDN ‖ Ua security protocol id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NafId {
    /// The application.
    pub app: AppId,
    /// The security protocol it speaks on this key.
    pub ua: UaId,
}

impl NafId {
    /// The octets that go into the key derivation.
    pub fn to_octets(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.app.as_str().len() + 5);
        out.extend_from_slice(self.app.as_str().as_bytes());
        out.extend_from_slice(&self.ua.0);
        out
    }
}

/// Security protocols that an application is registered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UaClass {
    /// `tls-psk`: TLS-PSK 1.3, and 1.2 with any suite.
    TlsPsk,
    /// `http-digest`: Digest alone, and inside server-certificate TLS with any suite.
    HttpDigest,
    /// One Ua security protocol id, 10 hex digits.
    Exactly(UaId),
}

impl UaClass {
    /// The names of the classes that hold more than one protocol.
    pub const NAMES: [&'static str; 2] = ["tls-psk", "http-digest"];

    /// Whether a key for that protocol may be handed out.
    pub fn covers(self, ua: UaId) -> bool {
        match self {
            Self::TlsPsk => ua == UaId::TLS13_PSK || ua.tls12_suite().is_some(),
            Self::HttpDigest => ua == UaId::HTTP_DIGEST || ua.tls12_suite().is_some(),
            Self::Exactly(one) => ua == one,
        }
    }
}

impl fmt::Display for UaClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [tls_psk, http_digest] = Self::NAMES;
        match self {
            Self::TlsPsk => f.write_str(tls_psk),
            Self::HttpDigest => f.write_str(http_digest),
            Self::Exactly(ua) => ua.fmt(f),
        }
    }
}

/// A text that names no security protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownUaClass;

impl fmt::Display for UnknownUaClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [tls_psk, http_digest] = UaClass::NAMES;
        write!(f, "a security protocol is {tls_psk}, {http_digest}, or a Ua id of 10 hex digits")
    }
}

impl core::error::Error for UnknownUaClass {}

impl FromStr for UaClass {
    type Err = UnknownUaClass;
    fn from_str(text: &str) -> Result<Self, UnknownUaClass> {
        let [tls_psk, http_digest] = Self::NAMES;
        match text {
            text if text == tls_psk => Ok(Self::TlsPsk),
            text if text == http_digest => Ok(Self::HttpDigest),
            hex => UaId::from_hex(hex).map(Self::Exactly).ok_or(UnknownUaClass),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn ua_ids_name_their_cipher_suite() {
        assert_eq!(format!("{}", UaId::tls12(0x00A8)), "01000100a8");
        assert_eq!(UaId::from_hex("01000100A8").unwrap().tls12_suite(), Some(0x00A8));
        assert_eq!(UaId::TLS13_PSK.tls12_suite(), None);
        assert_eq!(UaId::from_hex("+100010000"), None);
    }

    #[test]
    fn ua_classes_cover_their_protocols_and_no_others() {
        let gcm = UaId::tls12(0x00A8);
        assert!(UaClass::TlsPsk.covers(UaId::TLS13_PSK) && UaClass::TlsPsk.covers(gcm));
        assert!(!UaClass::TlsPsk.covers(UaId::HTTP_DIGEST));
        assert!(
            UaClass::HttpDigest.covers(UaId::HTTP_DIGEST) && !UaClass::HttpDigest.covers(UaId::TLS13_PSK)
        );
        assert!(UaClass::Exactly(gcm).covers(gcm) && !UaClass::Exactly(gcm).covers(UaId::tls12(0x00A9)));
        for text in ["tls-psk", "http-digest", "01000100a8"] {
            assert_eq!(format!("{}", text.parse::<UaClass>().unwrap()), text);
        }
        assert_eq!("tls".parse::<UaClass>(), Err(UnknownUaClass));
    }
}
