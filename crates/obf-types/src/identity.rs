//! Global identities of the network technology, unchanged (SPEC R9).

use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::{fmt, str::FromStr};

/// What kind of identity it is. The number is what `obf-1` binds (P2's first octet) and what the wires carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum IdentityKind {
    /// 6 to 15 digits (TS 23.003 2.2).
    Imsi = 1,
    /// `user@realm` (TS 23.003 13.3).
    Impi = 2,
    /// 18 to 20 digits beginning 89 (ITU-T E.118); the check digit is not enforced, some issuers leave it out.
    Iccid = 3,
    /// 32 digits beginning 89, modulo 97 = 1 (GSMA SGP.29).
    Eid = 4,
    /// 15 digits with a Luhn check digit (TS 23.003 6.2).
    Imei = 5,
    /// EUI-64, 16 hex digits (LoRaWAN).
    DevEui = 6,
}

impl IdentityKind {
    /// Every kind, in the order of its number.
    pub const ALL: [Self; 6] = [Self::Imsi, Self::Impi, Self::Iccid, Self::Eid, Self::Imei, Self::DevEui];

    /// Its lower-case name, as the CLI and JSON write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Imsi => "imsi",
            Self::Impi => "impi",
            Self::Iccid => "iccid",
            Self::Eid => "eid",
            Self::Imei => "imei",
            Self::DevEui => "deveui",
        }
    }

    /// The kind of that number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Divides `kind:value` where what stands before the first colon is the name of a kind; `None` for any other text,
    /// with a colon or without. The value is not looked at.
    pub fn split(text: &str) -> Option<(Self, &str)> {
        let (name, value) = text.split_once(':')?;
        Some((Self::from_name(name)?, value))
    }
}

/// Why a text is not an identity of the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityError {
    /// The length is not between these, octets.
    Length {
        /// The kind that was expected.
        kind: IdentityKind,
        /// Fewest octets.
        min: usize,
        /// Most octets.
        max: usize,
    },
    /// A character that the kind does not have.
    Character {
        /// The kind that was expected.
        kind: IdentityKind,
        /// The first bad character.
        found: char,
    },
    /// The check digits do not fit the rest.
    CheckDigit {
        /// The kind that was expected.
        kind: IdentityKind,
    },
    /// ICCID and EID begin with 89.
    Prefix {
        /// The kind that was expected.
        kind: IdentityKind,
    },
    /// An IMPI is `user@realm`, both present.
    NoRealm,
    /// The text is not `kind:value` with the name of a kind.
    NoKind,
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { kind, min, max } if min == max => {
                write!(f, "{} must have {min} characters", kind.name())
            }
            Self::Length { kind, min, max } => {
                write!(f, "{} must have {min} to {max} characters", kind.name())
            }
            Self::Character { kind, found } => write!(f, "{found:?} cannot stand in {}", kind.name()),
            Self::CheckDigit { kind } => write!(f, "the check digits of this {} are wrong", kind.name()),
            Self::Prefix { kind } => write!(f, "{} begins with 89", kind.name()),
            Self::NoRealm => f.write_str("impi is user@realm"),
            Self::NoKind => {
                f.write_str("an identity is kind:value, where kind is one of")?;
                IdentityKind::ALL.into_iter().try_for_each(|kind| write!(f, " {}", kind.name()))
            }
        }
    }
}

impl core::error::Error for IdentityError {}

/// An identity that holds the rules of its kind. Never changed: what was written is what is kept.
///
/// It has one text form, `kind:value` ([`fmt::Display`], [`FromStr`]), and one octet form ([`Self::to_octets`]). Messages of
/// the network technology have the bare [`value`](Self::value).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GlobalIdentity {
    kind: IdentityKind,
    value: Box<str>,
}

impl GlobalIdentity {
    /// The longest value of any kind, octets.
    pub const MAX_LEN: usize = 253;

    /// An identity of the given kind.
    ///
    /// # Errors
    /// [`IdentityError`] names the rule that the text breaks.
    pub fn new(kind: IdentityKind, value: &str) -> Result<Self, IdentityError> {
        match kind {
            IdentityKind::Imsi => digits(kind, value, 6, 15)?,
            IdentityKind::Impi => impi(value)?,
            IdentityKind::Iccid => {
                digits(kind, value, 18, 20)?;
                prefix_89(kind, value)?;
            }
            IdentityKind::Eid => {
                digits(kind, value, 32, 32)?;
                prefix_89(kind, value)?;
                let remainder = value.bytes().fold(0u32, |acc, b| (acc * 10 + u32::from(b - b'0')) % 97);
                if remainder != 1 {
                    return Err(IdentityError::CheckDigit { kind });
                }
            }
            IdentityKind::Imei => {
                digits(kind, value, 15, 15)?;
                if !luhn(value) {
                    return Err(IdentityError::CheckDigit { kind });
                }
            }
            IdentityKind::DevEui => {
                length(kind, value, 16, 16)?;
                characters(kind, value, |c| c.is_ascii_hexdigit())?;
            }
        }
        Ok(Self { kind, value: value.into() })
    }

    /// The identity that a user name on RPB or RPR stands for: digits only is an IMSI, with `@` an IMPI.
    ///
    /// # Errors
    /// [`IdentityError`] if it is neither.
    pub fn from_user_name(user_name: &str) -> Result<Self, IdentityError> {
        let kind = if user_name.contains('@') { IdentityKind::Impi } else { IdentityKind::Imsi };
        Self::new(kind, user_name)
    }

    /// Its kind.
    pub const fn kind(&self) -> IdentityKind {
        self.kind
    }

    /// Its value, as it was written.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Kind octet ‖ value: what is stored, and P2 of `obf-1`. At most 254 octets.
    pub fn to_octets(&self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(1 + self.value.len());
        octets.push(self.kind as u8);
        octets.extend_from_slice(self.value.as_bytes());
        octets
    }

    /// Reads what [`Self::to_octets`] wrote; `None` if it is something else.
    pub fn from_octets(octets: &[u8]) -> Option<Self> {
        let (kind, value) = octets.split_first()?;
        Self::new(IdentityKind::from_number(*kind)?, core::str::from_utf8(value).ok()?).ok()
    }
}

/// `kind:value`.
impl fmt::Display for GlobalIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.name(), self.value)
    }
}

/// `kind:value`, as [`fmt::Display`] writes it.
impl FromStr for GlobalIdentity {
    type Err = IdentityError;
    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let (kind, value) = IdentityKind::split(text).ok_or(IdentityError::NoKind)?;
        Self::new(kind, value)
    }
}

impl fmt::Debug for GlobalIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GlobalIdentity({self})")
    }
}

/// How many digits the MNC has in the IMSIs of a home network, which an IMSI does not say: needed to derive an IMPI
/// (TS 23.003 13.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MncLength {
    /// Two digits.
    Two = 2,
    /// Three digits.
    Three = 3,
}

impl MncLength {
    /// Of that many digits; there are two lengths.
    pub fn from_digits(digits: u64) -> Option<Self> {
        [Self::Two, Self::Three].into_iter().find(|length| u64::from(length.digits()) == digits)
    }

    /// 2 or 3.
    pub const fn digits(self) -> u8 {
        self as u8
    }

    /// `<IMSI>@ims.mnc<MNC3>.mcc<MCC>.3gppnetwork.org`.
    ///
    /// # Errors
    /// [`IdentityError`] if the identity is no IMSI.
    pub fn impi_of(self, imsi: &GlobalIdentity) -> Result<GlobalIdentity, IdentityError> {
        let (mcc, mnc) = self.mcc_mnc(imsi)?;
        let value = imsi.value();
        GlobalIdentity::new(IdentityKind::Impi, &format!("{value}@ims.mnc{mnc}.mcc{mcc}.3gppnetwork.org"))
    }

    fn mcc_mnc(self, imsi: &GlobalIdentity) -> Result<(String, String), IdentityError> {
        if imsi.kind != IdentityKind::Imsi {
            return Err(IdentityError::Character { kind: IdentityKind::Imsi, found: '@' });
        }
        let end = 3 + usize::from(self.digits());
        let (mcc, mnc) = (imsi.value.get(..3).unwrap_or(""), imsi.value.get(3..end).unwrap_or(""));
        Ok((mcc.into(), format!("{mnc:0>3}")))
    }
}

fn length(kind: IdentityKind, value: &str, min: usize, max: usize) -> Result<(), IdentityError> {
    if (min..=max).contains(&value.len()) { Ok(()) } else { Err(IdentityError::Length { kind, min, max }) }
}

fn characters(kind: IdentityKind, value: &str, allowed: impl Fn(char) -> bool) -> Result<(), IdentityError> {
    match value.chars().find(|c| !allowed(*c)) {
        Some(found) => Err(IdentityError::Character { kind, found }),
        None => Ok(()),
    }
}

fn digits(kind: IdentityKind, value: &str, min: usize, max: usize) -> Result<(), IdentityError> {
    characters(kind, value, |c| c.is_ascii_digit())?;
    length(kind, value, min, max)
}

fn prefix_89(kind: IdentityKind, value: &str) -> Result<(), IdentityError> {
    if value.starts_with("89") { Ok(()) } else { Err(IdentityError::Prefix { kind }) }
}

fn impi(value: &str) -> Result<(), IdentityError> {
    let kind = IdentityKind::Impi;
    length(kind, value, 3, GlobalIdentity::MAX_LEN)?;
    characters(kind, value, |c| c.is_ascii_graphic() && !matches!(c, '"' | '\\'))?;
    match value.split_once('@') {
        Some((user, realm)) if !user.is_empty() && !realm.is_empty() && !realm.contains('@') => Ok(()),
        _ => Err(IdentityError::NoRealm),
    }
}

fn luhn(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(index, b)| {
            let digit = u32::from(b - b'0') * if index % 2 == 1 { 2 } else { 1 };
            digit / 10 + digit % 10
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impi_is_derived_as_23_003_13_3_says() {
        let imsi = GlobalIdentity::new(IdentityKind::Imsi, "234150999999999").unwrap();
        let impi = MncLength::Two.impi_of(&imsi).unwrap();
        assert_eq!(impi.value(), "234150999999999@ims.mnc015.mcc234.3gppnetwork.org");
        let impi = MncLength::Three.impi_of(&imsi).unwrap();
        assert_eq!(impi.value(), "234150999999999@ims.mnc150.mcc234.3gppnetwork.org");
    }

    #[test]
    fn check_digits_are_checked() {
        assert!(GlobalIdentity::new(IdentityKind::Imei, "490154203237518").is_ok());
        assert!(GlobalIdentity::new(IdentityKind::Imei, "490154203237519").is_err());
        assert!(GlobalIdentity::new(IdentityKind::Eid, "89049032123451234512345678901235").is_ok());
        assert!(GlobalIdentity::new(IdentityKind::Eid, "89049032123451234512345678901236").is_err());
    }

    #[test]
    fn an_identity_has_one_text_and_one_octet_form() {
        for (kind, value) in [
            (IdentityKind::Imsi, "001010000000001"),
            (IdentityKind::Impi, "a:b@c.example"),
            (IdentityKind::DevEui, "70B3D57ED0000001"),
        ] {
            let identity = GlobalIdentity::new(kind, value).unwrap();
            assert_eq!(format!("{identity}"), format!("{}:{value}", kind.name()));
            assert_eq!(format!("{identity}").parse(), Ok(identity.clone()));
            assert_eq!(identity.to_octets().split_first(), Some((&(kind as u8), value.as_bytes())));
            assert_eq!(GlobalIdentity::from_octets(&identity.to_octets()), Some(identity));
        }
        assert_eq!("001010000000001".parse::<GlobalIdentity>(), Err(IdentityError::NoKind));
        assert_eq!("IMSI:001010000000001".parse::<GlobalIdentity>(), Err(IdentityError::NoKind));
        for octets in [&b""[..], b"\x00", b"\x01x", b"\x07001010000000001", b"\x02\xff@a"] {
            assert_eq!(GlobalIdentity::from_octets(octets), None, "{octets:?}");
        }
    }

    #[test]
    fn user_names_are_told_apart() {
        assert_eq!(GlobalIdentity::from_user_name("001010000000001").unwrap().kind(), IdentityKind::Imsi);
        assert_eq!(GlobalIdentity::from_user_name("a@b.example").unwrap().kind(), IdentityKind::Impi);
        for bad in ["", "00101000000000x", "@", "a@", "a@b@c", "a\"@b", "0010100000000012345"] {
            assert!(GlobalIdentity::from_user_name(bad).is_err(), "{bad}");
        }
    }
}
