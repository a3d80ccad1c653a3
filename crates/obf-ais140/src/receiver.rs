//! A device's stream to messages: framing, the registered rule, and U12's "mismatch: ignore the packet".

use crate::{Dialect, Framer, Message, Refused, decode};
use alloc::vec::Vec;

/// The receiving end of one device's connection.
#[derive(Debug)]
pub struct Receiver {
    dialect: Dialect,
    framer: Framer,
    ignored: u64,
}

impl Receiver {
    /// A receiver for a connection whose device type is registered with this dialect.
    pub fn new(dialect: Dialect) -> Self {
        Self { framer: Framer::new(&dialect), dialect, ignored: 0 }
    }

    /// Packets ignored because their checksum does not fit (U12).
    pub const fn ignored(&self) -> u64 {
        self.ignored
    }

    /// Octets that belonged to no frame.
    pub const fn discarded(&self) -> u64 {
        self.framer.discarded()
    }

    /// Takes what was read; the messages that it completes, and refusals of frames with a good checksum and a bad
    /// field.
    pub fn push(&mut self, read: &[u8]) -> Vec<Result<Message, Refused>> {
        let mut out = Vec::new();
        let (framer, dialect, ignored) = (&mut self.framer, &self.dialect, &mut self.ignored);
        framer.push(read, |frame| out.extend(believed(dialect, frame, ignored)));
        out
    }

    /// The device pauses or has closed; see [`Framer::flush`].
    pub fn flush(&mut self) -> Option<Result<Message, Refused>> {
        let mut out = None;
        let (framer, dialect, ignored) = (&mut self.framer, &self.dialect, &mut self.ignored);
        framer.flush(|frame| out = believed(dialect, frame, ignored));
        out
    }
}

fn believed(dialect: &Dialect, frame: &[u8], ignored: &mut u64) -> Option<Result<Message, Refused>> {
    let outcome = decode(dialect, frame);
    if matches!(&outcome, Err(refused) if refused.is_checksum()) {
        *ignored += 1;
        return None;
    }
    Some(outcome)
}
