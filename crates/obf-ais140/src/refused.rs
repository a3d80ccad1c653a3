//! Why a frame is refused: the error of every part that reads one.

use alloc::string::String;

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

fn shown(found: &str) -> &str {
    if found.is_empty() { "(empty)" } else { found }
}
