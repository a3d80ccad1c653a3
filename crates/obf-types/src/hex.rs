//! Octets as hex digits. Each direction allocates once, so that no second copy of a secret is left behind.

use crate::{Secret, SecretBytes};
use alloc::{string::String, vec::Vec};

/// Lower-case digits.
pub fn encode(octets: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or_default();
    let mut text = String::with_capacity(2 * octets.len());
    for octet in octets {
        text.push(digit(octet >> 4));
        text.push(digit(octet & 0x0F));
    }
    text
}

/// The octets of an even number of digits, upper or lower case; `None` for any other text.
pub fn decode(text: &str) -> Option<SecretBytes> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let mut octets = zeroize::Zeroizing::new(Vec::with_capacity(pairs.len()));
    for [high, low] in pairs {
        octets.push(digit(*high)? << 4 | digit(*low)?);
    }
    Some(SecretBytes::new(core::mem::take(&mut *octets)))
}

/// A secret of exactly `N` octets.
pub fn secret<const N: usize>(text: &str) -> Option<Secret<N>> {
    Secret::from_slice(decode(text)?.expose())
}

/// Exactly `N` octets that are no secret.
pub fn array<const N: usize>(text: &str) -> Option<[u8; N]> {
    decode(text)?.expose().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_read_back_and_nothing_else_does() {
        let all: Vec<u8> = (0..=255).collect();
        let text = encode(&all);
        assert_eq!(text.get(..8), Some("00010203"));
        assert_eq!(decode(&text).unwrap().expose(), all);
        assert_eq!(decode(&text.to_uppercase()).unwrap().expose(), all);
        assert_eq!(array("0aFf"), Some([0x0A, 0xFF]));
        assert_eq!(decode("").unwrap().expose(), b"");
        for bad in ["0", "0g", "+1", " 1", "0x00", "ä", "00 "] {
            assert!(decode(bad).is_none(), "{bad}");
        }
        assert!(secret::<2>("00").is_none() && array::<1>("0000").is_none());
    }
}
