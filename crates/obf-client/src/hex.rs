//! Hex digits in files.

use obf_types::Secret;
use std::fmt::Write as _;
use zeroize::Zeroizing;

/// Lower-case digits of a secret, erased on drop.
pub fn encode(octets: &[u8]) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(2 * octets.len()));
    for octet in octets {
        // Writing to a string does not fail.
        let _ = write!(out, "{octet:02x}");
    }
    out
}

/// The octets of a text of hex digits only; `None` for anything else.
pub fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let pairs = (0..text.len()).step_by(2).map(|at| text.get(at..at + 2));
    let octets: Option<Vec<u8>> = pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect();
    octets.map(Zeroizing::new)
}

/// Exactly `N` octets.
pub fn secret<const N: usize>(text: &str) -> Option<Secret<N>> {
    Secret::from_slice(&decode(text)?)
}
