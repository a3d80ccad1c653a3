//! An input that counts lines and never hands out more than one record may have.

use crate::MAX_RECORD;
use std::io::{self, BufRead, Read};

/// What the input is wrapped in. `reset` begins a record.
pub struct Bounded<R> {
    inner: R,
    left: usize,
    line: u64,
}

impl<R: BufRead> Bounded<R> {
    pub const fn new(inner: R) -> Self {
        Self { inner, left: MAX_RECORD, line: 1 }
    }

    /// The next record may be as long again.
    pub const fn reset(&mut self) {
        self.left = MAX_RECORD;
    }

    /// The line that the next octet stands in, from 1.
    pub const fn line(&self) -> u64 {
        self.line
    }

    /// Whether the record was too long.
    pub const fn is_spent(&self) -> bool {
        self.left == 0
    }
}

impl<R: BufRead> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}

impl<R: BufRead> BufRead for Bounded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Err(io::Error::other("a record is too long"));
        }
        let filled = self.inner.fill_buf()?;
        Ok(filled.get(..self.left).unwrap_or(filled))
    }

    fn consume(&mut self, length: usize) {
        if let Ok(filled) = self.inner.fill_buf() {
            let taken = filled.get(..length).unwrap_or(filled);
            self.line += taken.iter().filter(|octet| **octet == b'\n').count() as u64;
        }
        self.left = self.left.saturating_sub(length);
        self.inner.consume(length);
    }
}
