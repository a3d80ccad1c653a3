//! Handshake messages out of TLS records, however they are cut (RFC 8446 5.1), bounded.

use alloc::vec::Vec;

/// TLS content types.
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const RECORD_HEADER: usize = 5;
const MESSAGE_HEADER: usize = 4;
/// The longest plaintext record (2^14).
const MAX_RECORD: usize = 1 << 14;

/// Why the octets are no handshake of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// Not a TLS record, or one where none may stand.
    NotTls,
    /// More than the limit.
    TooLong,
}

/// Collects octets until they are whole handshake messages.
#[derive(Debug)]
pub struct Messages {
    /// Octets of the record that is coming in.
    record: Vec<u8>,
    /// Octets of the handshake message that is coming in.
    message: Vec<u8>,
    /// Octets that may still come.
    budget: usize,
    /// A ChangeCipherSpec was seen: what follows is encrypted in TLS 1.2.
    ended: bool,
}

/// A whole handshake message.
#[derive(Debug)]
pub struct Message {
    pub kind: u8,
    pub body: Vec<u8>,
}

impl Messages {
    pub const fn new(budget: usize) -> Self {
        Self { record: Vec::new(), message: Vec::new(), budget, ended: false }
    }

    /// Takes octets in and appends the messages that they complete. After a ChangeCipherSpec everything is ignored.
    pub fn push(&mut self, mut octets: &[u8], out: &mut Vec<Message>) -> Result<(), RecordError> {
        while !octets.is_empty() && !self.ended {
            let wanted = self.wanted()?;
            let (now, later) = octets.split_at(octets.len().min(wanted));
            self.budget = self.budget.checked_sub(now.len()).ok_or(RecordError::TooLong)?;
            self.record.extend_from_slice(now);
            octets = later;
            if self.record.len() >= RECORD_HEADER && self.wanted()? == 0 {
                self.finish_record(out)?;
            }
        }
        Ok(())
    }

    /// Octets missing to the end of the header or, once that is known, of the record.
    fn wanted(&self) -> Result<usize, RecordError> {
        let Some(&[kind, major, _, high, low]) = self.record.first_chunk::<RECORD_HEADER>() else {
            return Ok(RECORD_HEADER - self.record.len());
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if major != 3 || !matches!(kind, CHANGE_CIPHER_SPEC | ALERT | HANDSHAKE) || length == 0 {
            return Err(RecordError::NotTls);
        }
        if length > MAX_RECORD {
            return Err(RecordError::TooLong);
        }
        Ok(RECORD_HEADER + length - self.record.len())
    }

    fn finish_record(&mut self, out: &mut Vec<Message>) -> Result<(), RecordError> {
        let record = core::mem::take(&mut self.record);
        let (Some(kind), Some(content)) = (record.first(), record.get(RECORD_HEADER..)) else {
            return Err(RecordError::NotTls);
        };
        match *kind {
            CHANGE_CIPHER_SPEC => self.ended = true,
            HANDSHAKE => {
                self.message.extend_from_slice(content);
                while let Some(message) = self.next_message() {
                    out.push(message);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn next_message(&mut self) -> Option<Message> {
        let &[kind, high, middle, low] = self.message.first_chunk::<MESSAGE_HEADER>()?;
        let length = u32::from_be_bytes([0, high, middle, low]) as usize;
        let body = self.message.get(MESSAGE_HEADER..)?.get(..length)?.to_vec();
        self.message.drain(..MESSAGE_HEADER + length);
        Some(Message { kind, body })
    }
}
