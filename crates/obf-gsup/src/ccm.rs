//! Connection management inside IPA: the HLR asks who is there, either end asks for a sign of life.

use crate::ipa;
use std::fmt;

const PING: u8 = 0x00;
const PONG: u8 = 0x01;
const IDENTITY_REQUEST: u8 = 0x04;
const IDENTITY_RESPONSE: u8 = 0x05;
const IDENTITY_ACK: u8 = 0x06;

const SERIAL_NUMBER: u8 = 0x00;
const UNIT_NAME: u8 = 0x01;
const UNIT_ID: u8 = 0x08;

/// A message of connection management.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ccm {
    /// Asks for a sign of life.
    Ping,
    /// The sign of life.
    Pong,
    /// Asks who is there.
    IdentityRequest,
    /// Who is there.
    IdentityResponse(PeerName),
    /// The identity was taken note of.
    IdentityAck,
    /// Another message, by its number.
    Other(u8),
}

/// What a peer calls itself: 1 to 63 printable ASCII characters without spaces. An HLR keeps an IND for each name
/// (TS 33.102 C.3.4), so two nodes that use one HLR need two names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerName(Box<str>);

/// Why something is no name of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a peer's name has 1 to 63 printable ASCII characters and no space")]
pub struct PeerNameError;

/// Why a message of connection management cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CcmError {
    /// A frame without an octet.
    #[error("a message of connection management without a type")]
    Empty,
    /// An element is longer than what is left, or has no tag.
    #[error("an identity element of {length} octets where {left} are left")]
    Truncated {
        /// What it announces.
        length: usize,
        /// What is there.
        left: usize,
    },
    /// Neither serial number nor unit name, or no name in them.
    #[error("an identity without a name: {0}")]
    Nameless(#[from] PeerNameError),
}

impl PeerName {
    /// The longest, octets.
    pub const MAX_LEN: usize = 63;

    /// A name.
    ///
    /// # Errors
    /// [`PeerNameError`].
    pub fn new(name: &str) -> Result<Self, PeerNameError> {
        let fits = (1..=Self::MAX_LEN).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
        if fits { Ok(Self(name.into())) } else { Err(PeerNameError) }
    }

    /// Its characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn read(octets: &[u8]) -> Result<Self, PeerNameError> {
        let text = std::str::from_utf8(octets).map_err(|_| PeerNameError)?;
        Self::new(text.trim_end_matches('\0'))
    }
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Ccm {
    /// Appends the message in its frame.
    pub fn write(&self, out: &mut Vec<u8>) {
        ipa::write_ccm(out, |out| match self {
            Self::Ping => out.push(PING),
            Self::Pong => out.push(PONG),
            Self::IdentityRequest => {
                out.push(IDENTITY_REQUEST);
                for tag in [UNIT_ID, UNIT_NAME, SERIAL_NUMBER] {
                    out.extend_from_slice(&[1, tag]);
                }
            }
            Self::IdentityResponse(name) => {
                out.push(IDENTITY_RESPONSE);
                // The unit id is that of a base station; a client of an HLR is no unit of one.
                for (tag, value) in
                    [(UNIT_ID, "0/0/0"), (UNIT_NAME, name.as_str()), (SERIAL_NUMBER, name.as_str())]
                {
                    // The length covers the tag and a zero octet at the end; at most 65.
                    out.extend_from_slice(&[0, (value.len() + 2) as u8, tag]);
                    out.extend_from_slice(value.as_bytes());
                    out.push(0);
                }
            }
            Self::IdentityAck => out.push(IDENTITY_ACK),
            Self::Other(number) => out.push(*number),
        });
    }

    /// Reads the payload of a frame.
    ///
    /// # Errors
    /// [`CcmError`].
    pub fn read(payload: &[u8]) -> Result<Self, CcmError> {
        match payload {
            [] => Err(CcmError::Empty),
            [PING, ..] => Ok(Self::Ping),
            [PONG, ..] => Ok(Self::Pong),
            [IDENTITY_REQUEST, ..] => Ok(Self::IdentityRequest),
            [IDENTITY_RESPONSE, elements @ ..] => Ok(Self::IdentityResponse(identity(elements)?)),
            [IDENTITY_ACK, ..] => Ok(Self::IdentityAck),
            [other, ..] => Ok(Self::Other(*other)),
        }
    }
}

/// The serial number names a peer; where there is none, the unit name does (as osmo-hlr has it).
fn identity(mut elements: &[u8]) -> Result<PeerName, CcmError> {
    let (mut serial, mut unit) = (None, None);
    while let [high, low, rest @ ..] = elements {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let truncated = CcmError::Truncated { length, left: rest.len() };
        let Some(([tag, value @ ..], behind)) = rest.split_at_checked(length) else { return Err(truncated) };
        match *tag {
            SERIAL_NUMBER => serial = Some(value),
            UNIT_NAME => unit = Some(value),
            _ => {}
        }
        elements = behind;
    }
    Ok(PeerName::read(serial.or(unit).unwrap_or_default())?)
}
