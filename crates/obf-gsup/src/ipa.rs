//! IPA frames: length of the payload (2 octets, most significant first), protocol (1), payload.

use zeroize::{Zeroize, Zeroizing};

/// The longest payload that is taken, octets. An HLR's longest answer, five vectors, has about 600.
pub const MAX_PAYLOAD: usize = 4096;

const HEADER: usize = 3;
/// Octets taken from the stream at once: a whole frame of the longest kind always fits.
const BUFFER: usize = 4 * (HEADER + MAX_PAYLOAD);
const CCM: u8 = 0xfe;
const OSMO: u8 = 0xee;
/// GSUP's number among the extensions of the OSMO protocol.
const GSUP: u8 = 0x05;

/// One frame, cut out of the stream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Connection management: [`crate::Ccm`].
    Ccm(&'a [u8]),
    /// GSUP: [`crate::Message`].
    Gsup(&'a [u8]),
    /// Another protocol of the IPA family, by its number: not ours to read.
    Other(u8),
}

/// The stream is no sequence of frames: the connection has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an IPA frame announces {length} octets, more than {MAX_PAYLOAD}: the peer does not speak GSUP")]
pub struct FrameError {
    /// What it announces.
    pub length: usize,
}

/// Cuts frames out of a stream, in a buffer of fixed size that is erased behind each frame: results carry keys.
pub struct FrameReader {
    buffer: Zeroizing<Vec<u8>>,
    start: usize,
    end: usize,
}

impl FrameReader {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self { buffer: Zeroizing::new(vec![0; BUFFER]), start: 0, end: 0 }
    }

    /// Room for octets of the stream. Empty only if [`Self::next_frame`] has not been called until it gave none.
    pub fn room(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            let moved_to = self.end - self.start;
            if let Some(left) = self.buffer.get_mut(moved_to..self.end) {
                left.zeroize();
            }
            (self.start, self.end) = (0, moved_to);
        }
        self.buffer.get_mut(self.end..).unwrap_or_default()
    }

    /// So many octets have been put into [`Self::room`].
    pub fn filled(&mut self, octets: usize) {
        self.end = (self.end + octets).min(self.buffer.len());
    }

    /// The next whole frame, if there is one.
    ///
    /// # Errors
    /// [`FrameError`], from then on always.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        let waiting = self.buffer.get(self.start..self.end).unwrap_or_default();
        let [high, low, protocol, rest @ ..] = waiting else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if length > MAX_PAYLOAD {
            return Err(FrameError { length });
        }
        let Some(payload) = rest.get(..length) else { return Ok(None) };
        self.start += HEADER + length;
        Ok(Some(match (*protocol, payload) {
            (CCM, payload) => Frame::Ccm(payload),
            (OSMO, [GSUP, message @ ..]) => Frame::Gsup(message),
            (other, _) => Frame::Other(other),
        }))
    }
}

impl Default for FrameReader {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for FrameReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FrameReader({} octets waiting)", self.end - self.start)
    }
}

/// Only what kind it is, and how long: the payload may be keys.
impl std::fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ccm(payload) => write!(f, "Ccm({} octets)", payload.len()),
            Self::Gsup(payload) => write!(f, "Gsup({} octets)", payload.len()),
            Self::Other(protocol) => write!(f, "Other({protocol:#04x})"),
        }
    }
}

/// Appends a frame of connection management; `payload` has at most [`MAX_PAYLOAD`] octets.
pub(crate) fn write_ccm(out: &mut Vec<u8>, payload: impl FnOnce(&mut Vec<u8>)) {
    write(out, &[CCM], payload);
}

/// Appends a frame with a GSUP message.
pub(crate) fn write_gsup(out: &mut Vec<u8>, message: impl FnOnce(&mut Vec<u8>)) {
    write(out, &[OSMO, GSUP], message);
}

/// The first octet of `head` stands outside what the length counts.
fn write(out: &mut Vec<u8>, head: &[u8], payload: impl FnOnce(&mut Vec<u8>)) {
    let begin = out.len();
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(head);
    payload(out);
    let length = u16::try_from(out.len() - begin - HEADER).unwrap_or(u16::MAX);
    if let Some(place) = out.get_mut(begin..begin + 2) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}
