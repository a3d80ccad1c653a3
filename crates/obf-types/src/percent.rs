//! Percent-encoding (RFC 3986 2.1), read strictly: what is not well-formed is refused rather than passed through, as
//! libraries for browsers do.

use alloc::{string::String, vec::Vec};

/// The octets that a percent-encoded text stands for; `None` where a `%` has no two hex digits behind it.
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((octet, after)) = rest.split_first() {
        rest = after;
        if *octet != b'%' {
            octets.push(*octet);
            continue;
        }
        let ([high, low], after) = rest.split_first_chunk::<2>()?;
        octets.push((digit(*high)? << 4) | digit(*low)?);
        rest = after;
    }
    Some(octets)
}

/// Appends octets to `out`: those that `stays` says as they are (ASCII only), the others percent-encoded.
pub fn encode(octets: &[u8], stays: impl Fn(u8) -> bool, out: &mut String) {
    for octet in octets {
        if octet.is_ascii() && stays(*octet) {
            out.push(char::from(*octet));
            continue;
        }
        out.push('%');
        let digits = [octet >> 4, octet & 0xf].map(|digit| char::from_digit(digit.into(), 16));
        out.extend(digits.into_iter().flatten().map(|digit| digit.to_ascii_uppercase()));
    }
}

/// The unreserved characters of RFC 3986 2.3.
pub const fn is_unreserved(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~')
}

fn digit(digit: u8) -> Option<u8> {
    u8::try_from(char::from(digit).to_digit(16)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_encoding_reads_back_and_what_is_malformed_is_refused() {
        let octets: Vec<u8> = (0..=255).collect();
        let mut text = String::new();
        encode(&octets, is_unreserved, &mut text);
        assert!(text.starts_with("%00%01") && text.contains("-.%2F0123") && text.ends_with("%FE%FF"));
        assert_eq!(decode(text.as_bytes()).as_ref(), Some(&octets));
        assert_eq!(decode(b"a%2fb%2F").as_deref(), Some(&b"a/b/"[..]));
        for bad in ["%", "%4", "a%", "%zz", "%4g", "%%41", "%+1"] {
            assert_eq!(decode(bad.as_bytes()), None, "{bad}");
        }
    }
}
