//! The IMSI as GSUP carries it: digits in swapped BCD (TS 24.008 10.5.1.4), a filler `F` behind an odd number of them.

use obf_types::{GlobalIdentity, IdentityKind};
use std::fmt;

/// 6 to 15 digits (TS 23.003 2.2).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Imsi(Box<str>);

/// Why something is no IMSI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImsiError {
    /// Too short or too long.
    #[error("an IMSI has 6 to 15 digits, not {0}")]
    Length(usize),
    /// Something else than a digit.
    #[error("an IMSI has digits only")]
    NoDigit,
    /// Another kind of identity.
    #[error("an HLR knows IMSIs, not identities of kind {}", .0.name())]
    Kind(IdentityKind),
}

impl Imsi {
    /// From its digits.
    ///
    /// # Errors
    /// [`ImsiError::Length`], [`ImsiError::NoDigit`].
    pub fn new(digits: &str) -> Result<Self, ImsiError> {
        if !digits.bytes().all(|octet| octet.is_ascii_digit()) {
            return Err(ImsiError::NoDigit);
        }
        if !(6..=15).contains(&digits.len()) {
            return Err(ImsiError::Length(digits.len()));
        }
        Ok(Self(digits.into()))
    }

    /// Its digits.
    pub fn digits(&self) -> &str {
        &self.0
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let digit = |octet: Option<&u8>| octet.map_or(0x0f, |octet| octet & 0x0f);
        out.extend(self.0.as_bytes().chunks(2).map(|pair| (digit(pair.get(1)) << 4) | digit(pair.first())));
    }

    pub(crate) fn read(octets: &[u8]) -> Result<Self, ImsiError> {
        let mut nibbles: Vec<u8> = octets.iter().flat_map(|octet| [octet & 0x0f, octet >> 4]).collect();
        if nibbles.last() == Some(&0x0f) {
            nibbles.pop();
        }
        let digits: Option<String> = nibbles.iter().map(|n| char::from_digit((*n).into(), 10)).collect();
        Self::new(&digits.ok_or(ImsiError::NoDigit)?)
    }
}

impl TryFrom<&GlobalIdentity> for Imsi {
    type Error = ImsiError;

    fn try_from(identity: &GlobalIdentity) -> Result<Self, ImsiError> {
        match identity.kind() {
            IdentityKind::Imsi => Self::new(identity.value()),
            kind => Err(ImsiError::Kind(kind)),
        }
    }
}

impl fmt::Display for Imsi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Imsi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Imsi({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_swapped_and_odd_ones_filled() {
        let mut out = Vec::new();
        Imsi::new("001010000000001").unwrap().write(&mut out);
        assert_eq!(out, [0x00, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0xf1]);
        assert_eq!(Imsi::read(&out).unwrap().digits(), "001010000000001");
        assert_eq!(Imsi::read(&[0x21, 0x43, 0x65]).unwrap().digits(), "123456");
    }

    #[test]
    fn what_is_no_imsi_is_said_to_be_none() {
        assert_eq!(Imsi::new("12345"), Err(ImsiError::Length(5)));
        assert_eq!(Imsi::new("1234567890123456"), Err(ImsiError::Length(16)));
        assert_eq!(Imsi::new("00101000000000x"), Err(ImsiError::NoDigit));
        assert_eq!(Imsi::read(&[0x21, 0xf3, 0x65]), Err(ImsiError::NoDigit), "a filler in the middle");
        assert_eq!(Imsi::read(&[]), Err(ImsiError::Length(0)));
        assert_eq!(Imsi::read(&[0; 200]), Err(ImsiError::Length(400)));
        let impi = GlobalIdentity::new(IdentityKind::Impi, "a@b.example").unwrap();
        assert_eq!(
            Imsi::try_from(&impi).unwrap_err().to_string(),
            "an HLR knows IMSIs, not identities of kind impi"
        );
    }
}
