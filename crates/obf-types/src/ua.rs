//! Ua security protocol ids (TS 33.220 Annex H) and NAF_Id.

use crate::AppId;
use alloc::vec::Vec;
use core::fmt;

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

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn ids_name_their_suite() {
        assert_eq!(format!("{}", UaId::tls12(0x00A8)), "01000100a8");
        assert_eq!(UaId::from_hex("01000100A8").unwrap().tls12_suite(), Some(0x00A8));
        assert_eq!(UaId::TLS13_PSK.tls12_suite(), None);
        assert_eq!(UaId::from_hex("+100010000"), None);
    }
}
