//! Writing attributes into a reusable buffer, never beyond 4096 octets of packet.

use crate::dictionary::Name;

/// Why an attribute was not written; the buffer is as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PutError {
    /// The value is longer than an attribute can be: 253 octets, a vendor's 247.
    #[error("value is too long for an attribute")]
    TooLong,
    /// The packet would exceed 4096 octets.
    #[error("packet is full")]
    Full,
}

/// Appends attributes to a buffer up to a limit. One sub-attribute to a vendor attribute: every peer reads that.
pub struct AttributeWriter<'b> {
    out: &'b mut Vec<u8>,
    limit: usize,
}

impl core::fmt::Debug for AttributeWriter<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "AttributeWriter {{ room: {} }}", self.room())
    }
}

/// A place in the buffer to go back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(usize);

impl<'b> AttributeWriter<'b> {
    /// Room for a request's attributes in an emptied buffer: 4096 octets less header and Message-Authenticator.
    pub fn for_request(out: &'b mut Vec<u8>) -> Self {
        out.clear();
        Self { out, limit: crate::MAX_PACKET - crate::HEADER - crate::framing::MESSAGE_AUTHENTICATOR_LEN }
    }

    /// Up to a total buffer length of `limit`.
    pub(crate) const fn up_to(out: &'b mut Vec<u8>, limit: usize) -> Self {
        Self { out, limit }
    }

    /// Octets left, headers of attributes included.
    pub fn room(&self) -> usize {
        self.limit.saturating_sub(self.out.len())
    }

    /// The present end.
    pub fn mark(&self) -> Mark {
        Mark(self.out.len())
    }

    /// Takes back everything written since `mark`.
    pub fn rewind(&mut self, mark: Mark) {
        self.out.truncate(mark.0);
    }

    /// Writes an attribute with these octets.
    ///
    /// # Errors
    /// [`PutError`]; nothing was written then.
    pub fn put(&mut self, name: Name, value: &[u8]) -> Result<(), PutError> {
        self.begin(name, value.len())?;
        self.out.extend_from_slice(value);
        Ok(())
    }

    /// Writes a 32-bit number.
    ///
    /// # Errors
    /// [`PutError::Full`].
    pub fn put_integer(&mut self, name: Name, value: u32) -> Result<(), PutError> {
        self.put(name, &value.to_be_bytes())
    }

    /// Writes a 64-bit number.
    ///
    /// # Errors
    /// [`PutError::Full`].
    pub fn put_integer64(&mut self, name: Name, value: u64) -> Result<(), PutError> {
        self.put(name, &value.to_be_bytes())
    }

    /// Writes what `value` displays, without an allocation of its own.
    ///
    /// # Errors
    /// [`PutError`]; nothing was written then.
    pub fn put_display(&mut self, name: Name, value: &dyn core::fmt::Display) -> Result<(), PutError> {
        let mut text = Text { octets: [0; Name::MAX_VALUE], length: 0 };
        core::fmt::Write::write_fmt(&mut text, format_args!("{value}")).map_err(|_| PutError::TooLong)?;
        self.put(name, text.octets.get(..text.length).unwrap_or_default())
    }

    /// Writes a value of any length as a run of attributes in order (security settings).
    ///
    /// # Errors
    /// [`PutError::Full`]; nothing was written then.
    pub fn put_split(&mut self, name: Name, value: &[u8]) -> Result<(), PutError> {
        let mark = self.mark();
        for piece in value.chunks(name.max_value()) {
            self.put(name, piece).inspect_err(|_| self.out.truncate(mark.0))?;
        }
        Ok(())
    }

    /// The attribute's headers for a value of `length` octets, which the caller appends.
    pub(crate) fn begin(&mut self, name: Name, length: usize) -> Result<(), PutError> {
        if length > name.max_value() {
            return Err(PutError::TooLong);
        }
        if self.room() < name.header() + length {
            return Err(PutError::Full);
        }
        let inner = 2 + length as u8;
        if let Some(vendor) = name.vendor_number() {
            self.out.extend([26, inner + 6]);
            self.out.extend(vendor.to_be_bytes());
        }
        self.out.extend([name.number(), inner]);
        Ok(())
    }

    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        self.out
    }
}

/// A text of at most one attribute, on the stack.
struct Text {
    octets: [u8; Name::MAX_VALUE],
    length: usize,
}

impl core::fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let end = self.length + text.len();
        self.octets.get_mut(self.length..end).ok_or(core::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc2865_3_nothing_is_written_beyond_the_limit() {
        let mut buffer = Vec::new();
        let mut writer = AttributeWriter::for_request(&mut buffer);
        let name = Name::vendor(32473, 15);
        assert_eq!(writer.put(name, &[0; 248]), Err(PutError::TooLong));
        assert_eq!(writer.put(Name::standard(1), &[0; 254]), Err(PutError::TooLong));
        let mut count = 0;
        while writer.put(name, &[0; 247]).is_ok() {
            count += 1;
        }
        assert_eq!(count, (4096 - 38) / 255);
        let room = writer.room();
        assert_eq!(writer.put_split(name, &[1; 300]), Err(PutError::Full));
        assert_eq!(writer.room(), room);
        writer.put(name, &vec![0; room - 8]).unwrap();
        assert_eq!(writer.room(), 0);
        assert_eq!(writer.put(name, &[]), Err(PutError::Full));
    }

    #[test]
    fn a_display_longer_than_an_attribute_is_refused() {
        let mut buffer = Vec::new();
        let mut writer = AttributeWriter::for_request(&mut buffer);
        assert_eq!(writer.put_display(Name::standard(18), &"x".repeat(254)), Err(PutError::TooLong));
        writer.put_display(Name::standard(18), &format_args!("OBF-{:03}", 7)).unwrap();
        assert_eq!(buffer, b"\x12\x09OBF-007");
    }
}
