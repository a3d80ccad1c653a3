//! Octets as hex digits and base64.

use base64ct::{Base64, Encoding as _};
use obf_types::SecretBytes;
use zeroize::Zeroizing;

/// Octets from twice as many hex digits.
pub fn octets_from_hex(text: &str) -> Option<SecretBytes> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let mut octets = Vec::with_capacity(pairs.len());
    for [high, low] in pairs {
        octets.push(digit(*high)? << 4 | digit(*low)?);
    }
    Some(SecretBytes::new(octets))
}

/// `N` octets from hex digits.
pub fn array_from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    octets_from_hex(text)?.expose().try_into().ok()
}

/// Octets from base64 with white space anywhere, as XML may have it.
pub fn octets_from_base64(text: &str) -> Option<Vec<u8>> {
    let packed: Zeroizing<String> = Zeroizing::new(text.split_ascii_whitespace().collect());
    Base64::decode_vec(&packed).ok()
}

pub fn base64(octets: &[u8]) -> String {
    Base64::encode_string(octets)
}
