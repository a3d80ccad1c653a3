//! Frames out of a stream: several in one read, one in several, with end characters or without.

use crate::{
    Algorithm, Dialect, Layout,
    checksum::Place,
    decode::MAX_FRAME,
    fixed::{Length, frame_length},
};
use alloc::vec::Vec;

/// Cuts a device's stream into frames; holds at most one of them.
///
/// A frame with separators ends with a line end, with the next `$`, or with `*` and (where the device type writes
/// it there) the checksum behind it. A frame without any of these ends when the device pauses: call
/// [`Framer::flush`] then and when the connection closes.
#[derive(Debug)]
pub struct Framer {
    layout: Layout,
    /// Hex digits behind the `*` that complete a frame; `None` if the device type's rules do not say.
    digits_after_star: Option<usize>,
    buffer: Vec<u8>,
    /// Where in the buffer the `*` stands.
    star: Option<usize>,
    skipping: bool,
    discarded: u64,
}

impl Framer {
    /// A framer for one connection of a device type.
    pub fn new(dialect: &Dialect) -> Self {
        let mut places = dialect.checksums.iter().map(|rule| match rule.place {
            Place::LastField => 0,
            Place::AfterStar | Place::AfterCoveredStar => rule.algorithm.digits(),
        });
        let first = places.next();
        Self {
            layout: dialect.layout,
            digits_after_star: first.filter(|digits| places.all(|other| other == *digits)),
            buffer: Vec::new(),
            star: None,
            skipping: false,
            discarded: 0,
        }
    }

    /// Octets that belonged to no frame: noise between frames, and frames longer than any can be.
    pub const fn discarded(&self) -> u64 {
        self.discarded
    }

    /// Takes what was read and hands out each frame that it completes.
    pub fn push(&mut self, read: &[u8], mut frame: impl FnMut(&[u8])) {
        for octet in read {
            match self.layout {
                Layout::FixedWidth => self.push_fixed(*octet, &mut frame),
                Layout::BareDollar | Layout::NamedHeader => self.push_comma(*octet, &mut frame),
            }
        }
    }

    /// The device pauses or has closed: what is held is a whole frame, or never will be.
    pub fn flush(&mut self, mut frame: impl FnMut(&[u8])) {
        self.skipping = false;
        match self.layout {
            Layout::FixedWidth => self.discard(),
            Layout::BareDollar | Layout::NamedHeader => self.emit(&mut frame),
        }
    }

    fn push_comma(&mut self, octet: u8, frame: &mut impl FnMut(&[u8])) {
        match octet {
            b'$' => {
                self.emit(frame);
                self.skipping = false;
                self.buffer.push(octet);
            }
            b'\r' | b'\n' => {
                self.emit(frame);
                self.skipping = false;
            }
            _ if self.skipping || self.buffer.is_empty() => self.discarded += 1,
            _ if self.buffer.len() == MAX_FRAME => {
                self.discard();
                self.discarded += 1;
                self.skipping = true;
            }
            _ => {
                self.end_behind_star(octet, frame);
                if self.skipping {
                    self.discarded += 1;
                    return;
                }
                if octet == b'*' {
                    self.star = Some(self.buffer.len());
                }
                self.buffer.push(octet);
                if self.digits_after_star.is_some() && self.digits_behind_star() == self.digits_after_star {
                    self.emit(frame);
                }
            }
        }
    }

    /// Where the place of the checksum is unknown: behind `*` only hex digits, and no more than the longest has.
    fn end_behind_star(&mut self, octet: u8, frame: &mut impl FnMut(&[u8])) {
        let longest = Algorithm::Crc32Ieee.digits();
        if self.digits_behind_star().is_some_and(|digits| digits == longest || !octet.is_ascii_hexdigit()) {
            self.emit(frame);
            self.skipping = true;
        }
    }

    fn digits_behind_star(&self) -> Option<usize> {
        self.star.map(|star| self.buffer.len() - star - 1)
    }

    fn push_fixed(&mut self, octet: u8, frame: &mut impl FnMut(&[u8])) {
        self.buffer.push(octet);
        loop {
            match frame_length(&self.buffer) {
                Length::Unknown => return,
                Length::Octets(length) if self.buffer.len() < length => return,
                Length::Octets(_) => {
                    self.emit(frame);
                    return;
                }
                Length::Foreign => {
                    self.buffer.remove(0);
                    self.discarded += 1;
                }
            }
            if self.buffer.is_empty() {
                return;
            }
        }
    }

    fn emit(&mut self, frame: &mut impl FnMut(&[u8])) {
        if !self.buffer.is_empty() {
            frame(&self.buffer);
            self.buffer.clear();
        }
        self.star = None;
    }

    fn discard(&mut self) {
        self.discarded += self.buffer.len() as u64;
        self.buffer.clear();
        self.star = None;
    }
}
