//! Reading a packet: bounded, zero-copy, never a panic. Nothing here says that a packet is authentic;
//! [`crate::message`] does.

use crate::{Code, HEADER, MAX_PACKET, dictionary::Name};

/// Attribute 26 (RFC 2865 5.26).
const VENDOR_SPECIFIC: u8 = 26;

/// Why octets are not a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Fewer than 20 octets, or fewer than the length field says.
    #[error("packet is cut short")]
    Short,
    /// The length field is below 20 or above 4096.
    #[error("length field {0} is not between 20 and 4096")]
    Length(u16),
    /// A code that we do not know.
    #[error("unknown packet code {0}")]
    Code(u8),
    /// An attribute's length is below 2 or runs over the end.
    #[error("attribute at octet {0} has a wrong length")]
    Attribute(usize),
}

/// An attribute that may stand once stands there more often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("attribute {0:?} is repeated")]
pub struct Repeated(pub Name);

/// A packet whose lengths all fit: header and attributes.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    code: Code,
    octets: &'a [u8],
}

/// One attribute's name and value; a vendor's sub-attributes are fields of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Which attribute.
    pub name: Name,
    /// Its value, at most 253 octets.
    pub value: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a packet; octets beyond its length field are padding and dropped (RFC 2865 3).
    ///
    /// # Errors
    /// [`ParseError`]: such a packet is silently discarded.
    pub fn parse(octets: &'a [u8]) -> Result<Self, ParseError> {
        let &[code, _, high, low, ..] = octets else { return Err(ParseError::Short) };
        let length = u16::from_be_bytes([high, low]);
        if !(HEADER..=MAX_PACKET).contains(&usize::from(length)) {
            return Err(ParseError::Length(length));
        }
        let octets = octets.get(..usize::from(length)).ok_or(ParseError::Short)?;
        let code = Code::from_number(code).ok_or(ParseError::Code(code))?;
        let mut rest = octets.get(HEADER..).unwrap_or_default();
        while !rest.is_empty() {
            let at = octets.len() - rest.len();
            rest = split_attribute(rest).ok_or(ParseError::Attribute(at))?.2;
        }
        Ok(Self { code, octets })
    }

    /// Octets that [`Packet::parse`] has accepted before.
    pub(crate) const fn of_parsed(code: Code, octets: &'a [u8]) -> Self {
        Self { code, octets }
    }

    /// What it is.
    pub const fn code(&self) -> Code {
        self.code
    }

    /// The whole packet, 20 to 4096 octets.
    pub const fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// The identifier of RADIUS/1.0.
    pub fn identifier(&self) -> u8 {
        self.octets.get(1).copied().unwrap_or_default()
    }

    /// The Authenticator field, 16 octets.
    pub fn authenticator(&self) -> [u8; 16] {
        array(self.octets, 4)
    }

    /// The token of radius/1.1, which stands where 1.0 has the first octets of the Authenticator (RFC 9765 4.1).
    pub fn token(&self) -> u32 {
        u32::from_be_bytes(array(self.octets, 4))
    }

    /// Its attributes in order, sub-attributes of vendors unpacked.
    pub fn fields(&self) -> Fields<'a> {
        Fields { rest: self.octets.get(HEADER..).unwrap_or_default(), vendor: 0, inner: &[] }
    }

    /// The values of one attribute, in order.
    pub fn all(&self, name: Name) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.fields().filter(move |field| field.name == name).map(|field| field.value)
    }

    /// The value of an attribute that may stand there once.
    ///
    /// # Errors
    /// [`Repeated`] if it stands there more often: which of them is meant must never be up to the reader.
    pub fn only(&self, name: Name) -> Result<Option<&'a [u8]>, Repeated> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() { Err(Repeated(name)) } else { Ok(first) }
    }

    /// The values of one attribute, joined in order.
    pub fn joined(&self, name: Name) -> Vec<u8> {
        self.all(name).flatten().copied().collect()
    }

    /// The first value of an attribute.
    pub fn first(&self, name: Name) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    /// The first value as a text.
    pub fn text(&self, name: Name) -> Option<&'a str> {
        core::str::from_utf8(self.first(name)?).ok()
    }

    /// The first value as a 32-bit number.
    pub fn integer(&self, name: Name) -> Option<u32> {
        self.first(name)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// The first value as a 64-bit number.
    pub fn integer64(&self, name: Name) -> Option<u64> {
        self.first(name)?.try_into().ok().map(u64::from_be_bytes)
    }

    /// Where the values of a standard attribute begin, as offsets into the packet.
    pub(crate) fn offsets_of(&self, number: u8) -> impl Iterator<Item = (usize, usize)> + use<'a> {
        let mut at = HEADER;
        let octets = self.octets;
        core::iter::from_fn(move || {
            let (kind, value, _) = split_attribute(octets.get(at..)?)?;
            let found = (kind, at + 2, value.len());
            at += 2 + value.len();
            Some(found)
        })
        .filter(move |(kind, _, _)| *kind == number)
        .map(|(_, offset, length)| (offset, length))
    }
}

/// Iterator over a packet's [`Field`]s.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
    vendor: u32,
    inner: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        if let Some((number, value, rest)) = split_attribute(self.inner) {
            self.inner = rest;
            return Some(Field { name: Name::vendor(self.vendor, number), value });
        }
        let (number, value, rest) = split_attribute(self.rest)?;
        self.rest = rest;
        if number == VENDOR_SPECIFIC
            && let Some((vendor, inner)) = sub_attributes(value)
        {
            (self.vendor, self.inner) = (vendor, inner);
            return self.next();
        }
        Some(Field { name: Name::standard(number), value })
    }
}

/// Vendor number and sub-attributes, if the value has at least one and all their lengths fit (RFC 2865 5.26 only
/// recommends that shape; any other value stays one opaque attribute).
fn sub_attributes(value: &[u8]) -> Option<(u32, &[u8])> {
    let (vendor, inner) = value.split_first_chunk::<4>()?;
    let mut rest = inner;
    while !rest.is_empty() {
        rest = split_attribute(rest)?.2;
    }
    (!inner.is_empty()).then_some((u32::from_be_bytes(*vendor), inner))
}

/// (number, value, what follows), or `None` at the end and for a length that does not fit.
fn split_attribute(octets: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let &[number, length, ref rest @ ..] = octets else { return None };
    let (value, rest) = rest.split_at_checked(usize::from(length).checked_sub(2)?)?;
    Some((number, value, rest))
}

fn array<const N: usize>(octets: &[u8], at: usize) -> [u8; N] {
    octets.get(at..).and_then(|rest| rest.first_chunk::<N>()).copied().unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(attributes: &[u8]) -> Vec<u8> {
        let mut octets = vec![1, 7, 0, (20 + attributes.len()) as u8];
        octets.extend([9; 16]);
        octets.extend(attributes);
        octets
    }

    #[test]
    fn several_sub_attributes_in_one_vsa_are_fields_in_order() {
        let octets =
            packet(&[1, 3, b'a', 26, 14, 0, 0, 0x7E, 0xD9, 2, 3, b'x', 3, 2, 11, 3, b'y', 2, 3, b'z']);
        let packet = Packet::parse(&octets).unwrap();
        let fields: Vec<_> = packet.fields().map(|field| (field.name, field.value.to_vec())).collect();
        assert_eq!(
            fields,
            [
                (Name::standard(1), b"a".to_vec()),
                (Name::vendor(32473, 2), b"x".to_vec()),
                (Name::vendor(32473, 3), vec![]),
                (Name::vendor(32473, 11), b"y".to_vec()),
                (Name::standard(2), b"z".to_vec()),
            ]
        );
    }

    #[test]
    fn vsas_of_another_shape_stay_opaque() {
        for value in
            [vec![], vec![0, 0, 1], vec![0, 0, 1, 55], vec![0, 0, 1, 55, 1, 9], vec![0, 0, 1, 55, 1, 2, 1, 0]]
        {
            let mut attribute = vec![26, 2 + value.len() as u8];
            attribute.extend(&value);
            let octets = packet(&attribute);
            let fields: Vec<_> = Packet::parse(&octets).unwrap().fields().collect();
            assert_eq!(fields, [Field { name: Name::standard(26), value: &value }]);
        }
    }

    #[test]
    fn rfc2865_3_lengths_that_do_not_fit_are_named() {
        let parse = |octets: &[u8]| Packet::parse(octets).map(|_| ());
        assert_eq!(parse(&[1, 2, 0]), Err(ParseError::Short));
        assert_eq!(parse(&packet(&[])[..19]), Err(ParseError::Short));
        assert_eq!(parse(&[1, 2, 0, 19]), Err(ParseError::Length(19)));
        assert_eq!(parse(&[1, 2, 0x10, 1]), Err(ParseError::Length(4097)));
        assert_eq!(parse(&packet(&[1, 1])), Err(ParseError::Attribute(20)));
        assert_eq!(parse(&packet(&[1, 2, 2, 4, 1])), Err(ParseError::Attribute(22)));
        let mut unknown = packet(&[]);
        unknown[0] = 200;
        assert_eq!(parse(&unknown), Err(ParseError::Code(200)));
        let mut padded = packet(&[1, 3, b'a']);
        padded.extend([0; 9]);
        assert_eq!(Packet::parse(&padded).unwrap().octets().len(), 23);
    }

    proptest! {
        #[test]
        fn arbitrary_octets_never_panic(mut octets in proptest::collection::vec(any::<u8>(), 0..600), fix: bool) {
            if fix && octets.len() >= 20 {
                octets[0] = 1;
                let length = (octets.len() as u16).to_be_bytes();
                octets[2..4].copy_from_slice(&length);
            }
            if let Ok(packet) = Packet::parse(&octets) {
                prop_assert!(packet.fields().map(|field| field.value.len() + 2).sum::<usize>() <= octets.len());
                let _ = (packet.identifier(), packet.authenticator(), packet.token());
            }
        }
    }
}
