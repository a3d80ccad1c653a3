//! The checksums found in the field, each with its exact coverage.

use crate::refused::Refused;
use alloc::{format, string::String, vec::Vec};

/// The function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// All octets XORed; two hex digits.
    Xor8,
    /// CRC-32 as in IEEE 802.3 (reflected, final inversion); eight hex digits.
    Crc32Ieee,
    /// CRC-32/MPEG-2 (not reflected, no final inversion); eight hex digits.
    Crc32Mpeg2,
}

impl Algorithm {
    /// Its name in registrations and vectors: `xor8`, `crc32-ieee`, `crc32-mpeg2`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Xor8 => "xor8",
            Self::Crc32Ieee => "crc32-ieee",
            Self::Crc32Mpeg2 => "crc32-mpeg2",
        }
    }

    /// The algorithm of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Xor8, Self::Crc32Ieee, Self::Crc32Mpeg2].into_iter().find(|a| a.name() == name)
    }

    /// Hex digits of the field.
    pub const fn digits(self) -> usize {
        match self {
            Self::Xor8 => 2,
            Self::Crc32Ieee | Self::Crc32Mpeg2 => 8,
        }
    }

    fn over(self, octets: &[u8]) -> u32 {
        match self {
            Self::Xor8 => u32::from(octets.iter().fold(0, |acc, octet| acc ^ octet)),
            Self::Crc32Ieee => !octets.iter().fold(u32::MAX, |crc, octet| {
                (0..8).fold(crc ^ u32::from(*octet), |crc, _| (crc >> 1) ^ (0xEDB8_8320 * (crc & 1)))
            }),
            Self::Crc32Mpeg2 => octets.iter().fold(u32::MAX, |crc, octet| {
                (0..8)
                    .fold(crc ^ (u32::from(*octet) << 24), |crc, _| (crc << 1) ^ (0x04C1_1DB7 * (crc >> 31)))
            }),
        }
    }
}

/// Where the coverage begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum From {
    /// At the `$`, included.
    Dollar,
    /// After the `$`, as NMEA 0183 does.
    AfterDollar,
}

/// Where the checksum field stands, and with it where the coverage ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The last field; the comma before it is covered. `*`, a comma, or nothing follows.
    LastField,
    /// After the `*`, which is not covered.
    AfterStar,
    /// After the `*`, which is covered.
    AfterCoveredStar,
}

/// One checksum rule of a device type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChecksumRule {
    /// The function.
    pub algorithm: Algorithm,
    /// Where the coverage begins.
    pub from: From,
    /// Where the field stands and the coverage ends.
    pub place: Place,
}

impl ChecksumRule {
    /// Every rule that this crate knows.
    pub fn all() -> impl Iterator<Item = Self> {
        [Algorithm::Xor8, Algorithm::Crc32Ieee, Algorithm::Crc32Mpeg2].into_iter().flat_map(|algorithm| {
            [From::Dollar, From::AfterDollar].into_iter().flat_map(move |from| {
                [Place::LastField, Place::AfterStar, Place::AfterCoveredStar]
                    .into_iter()
                    .map(move |place| Self { algorithm, from, place })
            })
        })
    }

    /// The rule RLP, CTPL and Teltonika devices use: XOR from the `$` to the last field.
    pub const XOR_LAST_FIELD: Self =
        Self { algorithm: Algorithm::Xor8, from: From::Dollar, place: Place::LastField };

    /// Checks the frame under this rule.
    ///
    /// # Errors
    /// [`Refused::NoChecksum`] where the rule finds no field of the right width; [`Refused::Checksum`] on a mismatch.
    pub fn verify(self, frame: &[u8]) -> Result<(), Refused> {
        let (covered, field) = self.split(frame).ok_or(Refused::NoChecksum)?;
        let found = hex(field, self.algorithm.digits()).ok_or(Refused::NoChecksum)?;
        let computed = self.algorithm.over(covered);
        if found == computed {
            return Ok(());
        }
        Err(Refused::Checksum { found, computed, digits: self.algorithm.digits() })
    }

    /// The frame's checksum field made right, for frames that were altered on purpose. `None` if this rule finds
    /// no checksum field in it.
    pub fn reseal(self, frame: &[u8]) -> Option<Vec<u8>> {
        let (covered, field) = self.split(frame)?;
        let start = field.as_ptr() as usize - frame.as_ptr() as usize;
        let mut out = frame.to_vec();
        out.splice(start..start + field.len(), self.text_over(covered).into_bytes());
        Some(out)
    }

    /// The checksum of these octets as the field writes it (upper-case hex).
    pub(crate) fn text_over(self, covered: &[u8]) -> String {
        let width = self.algorithm.digits();
        format!("{:0width$X}", self.algorithm.over(covered))
    }

    /// The octets covered, and the checksum field.
    fn split(self, frame: &[u8]) -> Option<(&[u8], &[u8])> {
        let end = frame.iter().rposition(|b| !b.is_ascii_whitespace())? + 1;
        let frame = frame.get(..end)?;
        let star = frame.iter().rposition(|b| *b == b'*');
        let (covered_to, field) = match self.place {
            Place::AfterStar => (star?, frame.get(star? + 1..)?),
            Place::AfterCoveredStar => (star? + 1, frame.get(star? + 1..)?),
            Place::LastField => {
                let body = frame.strip_suffix(b"*").unwrap_or(frame);
                let body = body.strip_suffix(b",").unwrap_or(body);
                let field_at = body.iter().rposition(|b| *b == b',')? + 1;
                (field_at, body.get(field_at..)?)
            }
        };
        let covered_from = match self.from {
            From::Dollar => 0,
            From::AfterDollar => 1,
        };
        Some((frame.get(covered_from..covered_to)?, field))
    }
}

/// Which rules a frame of an unknown device type satisfies: for whoever registers that type, never for deciding
/// whether to believe a frame.
pub fn verifying_rules(frame: &[u8]) -> Vec<ChecksumRule> {
    ChecksumRule::all().filter(|rule| rule.verify(frame).is_ok()).collect()
}

fn hex(field: &[u8], digits: usize) -> Option<u32> {
    if field.len() != digits || !field.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(core::str::from_utf8(field).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_have_the_check_values_of_the_catalogue() {
        assert_eq!(Algorithm::Crc32Ieee.over(b"123456789"), 0xCBF4_3926);
        assert_eq!(Algorithm::Crc32Mpeg2.over(b"123456789"), 0x0376_E6E7);
        assert_eq!(Algorithm::Xor8.over(b"123456789"), 0x31);
    }

    #[test]
    fn nmea_rule_leaves_the_dollar_out() {
        let nmea =
            ChecksumRule { algorithm: Algorithm::Xor8, from: From::AfterDollar, place: Place::AfterStar };
        let gga = b"$GPGLL,5057.970,N,00146.110,E,142451,A*27\r\n";
        assert_eq!(nmea.verify(gga), Ok(()));
        assert_eq!(verifying_rules(gga), [nmea]);
    }

    #[test]
    fn altered_frames_are_resealed() {
        let rule = ChecksumRule::XOR_LAST_FIELD;
        let sealed = rule.reseal(b"$A,1,00,*").unwrap();
        assert_eq!(rule.verify(&sealed), Ok(()));
        assert!(matches!(rule.verify(b"$A,1,00,*"), Err(Refused::Checksum { .. })));
        assert_eq!(rule.verify(b"$A,1,0,*"), Err(Refused::NoChecksum));
    }
}
