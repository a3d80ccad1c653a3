//! Octets as base64.

use base64ct::{Base64, Encoding as _};
use zeroize::Zeroizing;

/// Octets from base64 with white space anywhere, as XML may have it.
pub fn octets_from_base64(text: &str) -> Option<Vec<u8>> {
    let packed: Zeroizing<String> = Zeroizing::new(text.split_ascii_whitespace().collect());
    Base64::decode_vec(&packed).ok()
}

pub fn base64(octets: &[u8]) -> String {
    Base64::encode_string(octets)
}
