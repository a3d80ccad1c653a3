//! A cursor over untrusted octets: every step says whether there was enough.

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub const fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(count)?;
        self.0 = tail;
        Some(head)
    }

    pub fn u8(&mut self) -> Option<u8> {
        let (head, tail) = self.0.split_first()?;
        self.0 = tail;
        Some(*head)
    }

    pub fn u16(&mut self) -> Option<u16> {
        let (head, tail) = self.0.split_first_chunk()?;
        self.0 = tail;
        Some(u16::from_be_bytes(*head))
    }

    /// A vector with a one-octet length.
    pub fn vec8(&mut self) -> Option<Reader<'a>> {
        let length = self.u8()?;
        self.take(length.into()).map(Reader)
    }

    /// A vector with a two-octet length.
    pub fn vec16(&mut self) -> Option<Reader<'a>> {
        let length = self.u16()?;
        self.take(length.into()).map(Reader)
    }

    pub const fn rest(self) -> &'a [u8] {
        self.0
    }
}
