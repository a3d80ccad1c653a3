//! Lines out of the pieces of a body, in batches of bounded size.

use crate::{
    provisioning::ingest::RowError,
    registry::{DeviceRecord, MAX_RECORD, RecordError},
};
use obf_types::HomeNetwork;
use std::ops::Range;
use zeroize::Zeroizing;

/// Lines of a batch: registered in one transaction, one fsync, which others who write wait for (about 25 ms).
const LINES: usize = 4096;
/// Octets that complete a batch whatever the number of its lines.
const OCTETS: usize = 1024 * 1024;

/// Lines that have ended.
pub struct Batch {
    /// Never moved: they hold keys. The line that completes a batch begins before [`OCTETS`].
    octets: Zeroizing<Vec<u8>>,
    /// Number and place of each; no place if it was too long.
    lines: Vec<(u64, Option<Range<usize>>)>,
}

impl Default for Batch {
    fn default() -> Self {
        let octets = Zeroizing::new(Vec::with_capacity(OCTETS + MAX_RECORD));
        Self { octets, lines: Vec::with_capacity(LINES) }
    }
}

impl Batch {
    /// How many lines.
    pub const fn len(&self) -> usize {
        self.lines.len()
    }

    /// Reads each.
    pub fn records(self, network: HomeNetwork) -> Vec<(u64, Result<DeviceRecord, RowError>)> {
        let Self { octets, lines } = self;
        let read = |line: Range<usize>| DeviceRecord::parse(octets.get(line).unwrap_or_default(), network);
        let read = |line: Option<_>| line.map_or(Err(RecordError::TooLong), read).map_err(RowError::from);
        lines.into_iter().map(|(number, line)| (number, read(line))).collect()
    }
}

/// The batch under way and the line under way at its end, of which at most [`MAX_RECORD`] octets are kept.
#[derive(Default)]
pub struct Lines {
    batch: Batch,
    ended: u64,
    begin: usize,
    too_long: bool,
}

impl Lines {
    /// Takes what there is in `data`, up to the end of a batch: that batch, and what is left of `data`.
    pub fn take<'a>(&mut self, mut data: &'a [u8]) -> (Option<Batch>, &'a [u8]) {
        while let Some(end) = data.iter().position(|octet| *octet == b'\n') {
            let (line, after) = data.split_at(end);
            data = after.get(1..).unwrap_or_default();
            self.extend(line);
            self.end();
            if self.batch.len() >= LINES || self.batch.octets.len() >= OCTETS {
                return (Some(self.hand_over()), data);
            }
        }
        self.extend(data);
        (None, &[])
    }

    /// What is there at the end of the body: its last line may have no end.
    pub fn rest(mut self) -> Option<Batch> {
        self.end();
        (self.batch.len() > 0).then_some(self.batch)
    }

    fn hand_over(&mut self) -> Batch {
        self.begin = 0;
        std::mem::take(&mut self.batch)
    }

    fn extend(&mut self, part: &[u8]) {
        if self.too_long || self.batch.octets.len() - self.begin + part.len() > MAX_RECORD {
            self.too_long = true;
        } else {
            self.batch.octets.extend_from_slice(part);
        }
    }

    fn end(&mut self) {
        self.ended += 1;
        let line = self.begin..self.batch.octets.len();
        let content = self.batch.octets.get(line.clone()).unwrap_or_default();
        if std::mem::take(&mut self.too_long) {
            self.batch.lines.push((self.ended, None));
        } else if !content.iter().all(u8::is_ascii_whitespace) {
            self.batch.lines.push((self.ended, Some(line)));
        }
        self.begin = self.batch.octets.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(batch: &Batch) -> Vec<(u64, Option<String>)> {
        let text = |line: Range<usize>| String::from_utf8_lossy(&batch.octets[line]).into_owned();
        batch.lines.iter().map(|(number, line)| (*number, line.clone().map(text))).collect()
    }

    fn all(pieces: &[&[u8]]) -> Vec<Batch> {
        let (mut lines, mut batches) = (Lines::default(), Vec::new());
        for piece in pieces {
            let mut rest = *piece;
            while !rest.is_empty() {
                let (batch, left) = lines.take(rest);
                batches.extend(batch);
                rest = left;
            }
        }
        batches.extend(lines.rest());
        batches
    }

    #[test]
    fn lines_keep_their_numbers_wherever_the_pieces_are_cut() {
        let text = b"a\n\n  \nbc\nd";
        for cut in 0..text.len() {
            let (one, two) = text.split_at(cut);
            let batches = all(&[one, two]);
            assert_eq!(batches.len(), 1);
            let line = |number, text: &str| (number, Some(text.to_owned()));
            assert_eq!(numbers(&batches[0]), [line(1, "a"), line(4, "bc"), line(5, "d")]);
        }
    }

    #[test]
    fn a_batch_has_bounded_lines_and_octets() {
        let many = "x\n".repeat(2 * LINES + 1);
        assert_eq!(all(&[many.as_bytes()]).iter().map(Batch::len).collect::<Vec<_>>(), [LINES, LINES, 1]);
        let long = vec![b'x'; MAX_RECORD];
        let mut pieces: Vec<&[u8]> = Vec::new();
        for _ in 0..100 {
            pieces.extend([&long[..], b"\n"]);
        }
        let batches = all(&pieces);
        assert_eq!(batches.iter().map(Batch::len).sum::<usize>(), 100);
        for batch in batches {
            assert!(
                batch.octets.len() < OCTETS + MAX_RECORD && batch.octets.capacity() == OCTETS + MAX_RECORD
            );
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_named_and_not_kept() {
        let long = vec![b'x'; MAX_RECORD + 1];
        let batches = all(&[b"a\n", &long, &long, b"\nb\n"]);
        let lines = numbers(&batches[0]);
        assert_eq!(lines, [(1, Some("a".to_owned())), (2, None), (3, Some("b".to_owned()))]);
    }
}
