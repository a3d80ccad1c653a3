//! Bytes to [`Message`], or a [`Refused`] that names the field and what was found in it.

use crate::{Dialect, Layout, Message, comma, fixed, refused::Refused};

/// The longest frame with separators, octets (the longest seen in the field has 281).
pub const MAX_FRAME: usize = 1024;

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
