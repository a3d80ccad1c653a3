//! Information elements: identifier (1 octet), length (1), value.

use crate::error::DecodeError;

/// The elements of a message or of a tuple in it, in their order.
pub(crate) struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    pub(crate) const fn of(octets: &'a [u8]) -> Self {
        Self(octets)
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<(u8, &'a [u8]), DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (element, length, rest) = match *self.0 {
            [] => return None,
            [element] => (element, 0, None),
            [element, length, ref rest @ ..] => (element, length, rest.split_at_checked(length.into())),
        };
        let Some((value, behind)) = rest else {
            let left = self.0.len().saturating_sub(2);
            self.0 = &[];
            return Some(Err(DecodeError::Truncated { element, length, left }));
        };
        self.0 = behind;
        Some(Ok((element, value)))
    }
}

/// An element that may stand once.
pub(crate) struct Once<T> {
    element: u8,
    value: Option<T>,
}

impl<T> Once<T> {
    pub(crate) const fn new(element: u8) -> Self {
        Self { element, value: None }
    }

    pub(crate) fn set(&mut self, value: T) -> Result<(), DecodeError> {
        match self.value.replace(value) {
            None => Ok(()),
            Some(_) => Err(DecodeError::Twice { element: self.element }),
        }
    }

    pub(crate) fn optional(self) -> Option<T> {
        self.value
    }

    pub(crate) fn required(self) -> Result<T, DecodeError> {
        self.value.ok_or(DecodeError::Missing { element: self.element })
    }
}

/// The value as an array, if it has that length.
pub(crate) fn array<const N: usize>(element: u8, value: &[u8]) -> Result<[u8; N], DecodeError> {
    value.try_into().map_err(|_| DecodeError::Length { element, length: value.len(), least: N, most: N })
}

/// Appends an element; values of ours are short.
pub(crate) fn write(out: &mut Vec<u8>, element: u8, value: &[u8]) {
    debug_assert!(value.len() <= u8::MAX.into(), "values of ours are short");
    out.extend_from_slice(&[element, value.len() as u8]);
    out.extend_from_slice(value);
}
