//! Bytes to [`Message`], or a [`Refused`] that names the field and what was found in it.

use crate::{Dialect, Layout, Message, comma, fixed};
use alloc::string::String;

/// The longest frame with separators, octets (the longest seen in the field has 281).
pub const MAX_FRAME: usize = 1024;

/// Why a frame is not believed. None of these ends the connection: a frame is one packet (U12).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The device type's rule finds no checksum field of its width.
    #[error("checksum missing: the device type's rule finds no such field")]
    NoChecksum,
    /// The checksum does not fit: the packet is ignored and counted (U12).
    #[error("checksum {found:0digits$X}: computed {computed:0digits$X}")]
    Checksum {
        /// What the frame says.
        found: u32,
        /// What its octets give.
        computed: u32,
        /// Hex digits of the field.
        digits: usize,
    },
    /// Something else than printable ASCII.
    #[error("frame has octet {octet:#04x} at {at}: expected printable ASCII")]
    NotText {
        /// The octet.
        octet: u8,
        /// Its offset.
        at: usize,
    },
    /// Longer than any frame of the layout.
    #[error("frame has {len} octets: expected at most {max}")]
    TooLong {
        /// Its length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// A field is wrong. Reads like `longitude direction N: expected E or W`.
    #[error("{field} {}: expected {expected}", shown(found))]
    Field {
        /// The field.
        field: &'static str,
        /// What stood there (cut to 40 characters); empty if the frame ends before it.
        found: String,
        /// What should have.
        expected: &'static str,
    },
}

impl Refused {
    /// Whether it is the checksum: to be ignored and counted, not answered.
    pub const fn is_checksum(&self) -> bool {
        matches!(self, Self::NoChecksum | Self::Checksum { .. })
    }
}

/// Decodes one frame of a device type.
///
/// # Errors
/// [`Refused`]; the checksum is looked at first, as the rest of a damaged frame means nothing.
pub fn decode(dialect: &Dialect, frame: &[u8]) -> Result<Message, Refused> {
    let max = match dialect.layout {
        Layout::FixedWidth => fixed::MAX_FRAME,
        Layout::BareDollar | Layout::NamedHeader => MAX_FRAME,
    };
    let frame = frame.trim_ascii();
    if frame.len() > max {
        return Err(Refused::TooLong { len: frame.len(), max });
    }
    let text = printable(frame)?;
    verify(dialect, frame)?;
    match dialect.layout {
        Layout::FixedWidth => fixed::decode(text),
        Layout::BareDollar | Layout::NamedHeader => comma::decode(dialect.layout, text),
    }
}

fn printable(frame: &[u8]) -> Result<&str, Refused> {
    match frame.iter().enumerate().find(|(_, b)| !b.is_ascii_graphic() && **b != b' ') {
        Some((at, octet)) => Err(Refused::NotText { octet: *octet, at }),
        None => core::str::from_utf8(frame).map_err(|e| Refused::NotText { octet: 0, at: e.valid_up_to() }),
    }
}

fn verify(dialect: &Dialect, frame: &[u8]) -> Result<(), Refused> {
    let mut outcome = Ok(());
    for rule in &dialect.checksums {
        match rule.verify(frame) {
            Ok(()) => return Ok(()),
            // A rule that found its field says more than one that found none.
            Err(refused) if outcome.is_ok() || refused != Refused::NoChecksum => outcome = Err(refused),
            Err(_) => {}
        }
    }
    outcome
}

fn shown(found: &str) -> &str {
    if found.is_empty() { "(empty)" } else { found }
}
