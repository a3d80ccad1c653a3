//! Lines out of the pieces of a body, in batches of bounded size, and the record that each is.

use super::{KeyPart, syntax};
use obf_admin::resource::devices::DeviceRecord;
use std::ops::Range;
use zeroize::Zeroizing;

/// The longest line of an import, octets.
pub const MAX_LINE: usize = 16 * 1024;
/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// Lines of a batch: registered in one transaction, one fsync, which others who write wait for (about 25 ms).
const LINES: usize = 4096;
/// Octets that complete a batch whatever the number of its lines.
const OCTETS: usize = 1024 * 1024;

/// What is wrong with a line. Never repeats a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// It is no JSON object of this kind.
    #[error("{0}")]
    Syntax(String),
    /// Longer than [`MAX_LINE`].
    #[error("longer than {MAX_LINE} octets")]
    TooLong,
}

/// The record that a line is: one JSON object.
///
/// # Errors
/// [`LineError`].
pub fn read_line(line: &[u8]) -> Result<DeviceRecord<KeyPart>, LineError> {
    if line.len() > MAX_LINE {
        return Err(LineError::TooLong);
    }
    // Editors of some systems begin a file so, and a reader may pass over it (RFC 8259, 8.1).
    let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
    let text = std::str::from_utf8(line)
        .map_err(|error| syntax::not_utf8(line, error.valid_up_to()))
        .and_then(|text| if text.contains('\0') { Err(syntax::not_utf8(line, 0)) } else { Ok(text) });
    let record = serde_json::from_str(text.map_err(LineError::Syntax)?);
    record.map_err(|error| LineError::Syntax(syntax::said(&error)))
}

/// Lines that have ended. Its octets, which hold keys, leave it as records only.
pub struct LineBatch {
    /// Never moved: they hold keys. The line that completes a batch begins before [`OCTETS`].
    octets: Zeroizing<Vec<u8>>,
    /// Number and place of each; no place if it was too long.
    lines: Vec<(u64, Option<Range<usize>>)>,
}

impl Default for LineBatch {
    fn default() -> Self {
        let octets = Zeroizing::new(Vec::with_capacity(OCTETS + MAX_LINE));
        Self { octets, lines: Vec::with_capacity(LINES) }
    }
}

impl LineBatch {
    /// How many lines.
    pub const fn count(&self) -> usize {
        self.lines.len()
    }

    /// The record of each, with the line's number.
    pub fn records(self) -> impl Iterator<Item = (u64, Result<DeviceRecord<KeyPart>, LineError>)> {
        let Self { octets, lines } = self;
        let read = move |line: Range<usize>| read_line(octets.get(line).unwrap_or_default());
        lines.into_iter().map(move |(number, line)| (number, line.map_or(Err(LineError::TooLong), &read)))
    }
}

/// The batch under way and the line under way at its end, of which at most [`MAX_LINE`] octets are kept.
#[derive(Default)]
pub struct Lines {
    batch: LineBatch,
    ended: u64,
    begin: usize,
    too_long: bool,
}

impl Lines {
    /// Takes what there is in `data`, up to the end of a batch: that batch, and what is left of `data`.
    pub fn take<'a>(&mut self, mut data: &'a [u8]) -> (Option<LineBatch>, &'a [u8]) {
        while let Some(end) = data.iter().position(|octet| *octet == b'\n') {
            let (line, after) = data.split_at(end);
            data = after.get(1..).unwrap_or_default();
            self.extend(line);
            self.end();
            if self.batch.count() >= LINES || self.batch.octets.len() >= OCTETS {
                return (Some(self.hand_over()), data);
            }
        }
        self.extend(data);
        (None, &[])
    }

    /// What is there at the end of the body: its last line may have no end.
    pub fn rest(mut self) -> Option<LineBatch> {
        self.end();
        (self.batch.count() > 0).then_some(self.batch)
    }

    fn hand_over(&mut self) -> LineBatch {
        self.begin = 0;
        std::mem::take(&mut self.batch)
    }

    fn extend(&mut self, part: &[u8]) {
        if self.too_long || self.batch.octets.len() - self.begin + part.len() > MAX_LINE {
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

    fn numbers(batch: &LineBatch) -> Vec<(u64, Option<String>)> {
        let text = |line: Range<usize>| String::from_utf8_lossy(&batch.octets[line]).into_owned();
        batch.lines.iter().map(|(number, line)| (*number, line.clone().map(text))).collect()
    }

    fn all(pieces: &[&[u8]]) -> Vec<LineBatch> {
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
        assert_eq!(
            all(&[many.as_bytes()]).iter().map(LineBatch::count).collect::<Vec<_>>(),
            [LINES, LINES, 1]
        );
        let long = vec![b'x'; MAX_LINE];
        let mut pieces: Vec<&[u8]> = Vec::new();
        for _ in 0..100 {
            pieces.extend([&long[..], b"\n"]);
        }
        let batches = all(&pieces);
        assert_eq!(batches.iter().map(LineBatch::count).sum::<usize>(), 100);
        for batch in batches {
            assert!(batch.octets.len() < OCTETS + MAX_LINE && batch.octets.capacity() == OCTETS + MAX_LINE);
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_named_and_not_kept() {
        let long = vec![b'x'; MAX_LINE + 1];
        let batches = all(&[b"a\n", &long, &long, b"\nb\n"]);
        let lines = numbers(&batches[0]);
        assert_eq!(lines, [(1, Some("a".to_owned())), (2, None), (3, Some("b".to_owned()))]);
    }
}
