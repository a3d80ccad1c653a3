//! Batches over HTTP POST: `application/x-www-form-urlencoded`, the frame in `vltdata`.

use crate::field::refuse;
use crate::refused::Refused;
use alloc::{string::String, vec::Vec};

/// The form field that carries the frame.
pub const FIELD: &str = "vltdata";

/// The frame in a POST body.
///
/// # Errors
/// [`Refused::Field`] naming `vltdata` if it is missing, twice there, or its percent encoding is broken.
pub fn frame_in_body(body: &[u8]) -> Result<Vec<u8>, Refused> {
    let mut values = body.split(|b| *b == b'&').filter_map(|pair| {
        let at = pair.iter().position(|b| *b == b'=')?;
        let (name, value) = pair.split_at_checked(at)?;
        (name == FIELD.as_bytes()).then_some(value.get(1..)?)
    });
    let value = values.next().ok_or_else(|| refuse(FIELD, "", "a frame in the POST body"))?;
    if values.next().is_some() {
        return Err(refuse(FIELD, "twice", "one frame in the POST body"));
    }
    decoded(value).ok_or_else(|| refuse(FIELD, &String::from_utf8_lossy(value), "percent encoding"))
}

/// A POST body that carries the frame.
pub fn body_with_frame(frame: &[u8]) -> String {
    let mut out = alloc::format!("{FIELD}=");
    for octet in frame {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(octet) {
            out.push(char::from(*octet));
        } else {
            out.push_str(&alloc::format!("%{octet:02X}"));
        }
    }
    out
}

fn decoded(value: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value.iter();
    while let Some(octet) = rest.next() {
        out.push(match octet {
            b'+' => b' ',
            b'%' => hex(*rest.next()?)? * 16 + hex(*rest.next()?)?,
            other => *other,
        });
    }
    Some(out)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn post_bodies_of_frames_read_back() {
        for frame in [&b"NRM1 2+3%4&5=6"[..], b"", b"\xff\0"] {
            assert_eq!(frame_in_body(body_with_frame(frame).as_bytes()).unwrap(), frame);
        }
        assert_eq!(frame_in_body(b"a=b&vltdata=x+y").unwrap(), b"x y");
    }

    #[test]
    fn broken_bodies_name_the_field() {
        for body in ["", "vlt=1", "vltdata", "vltdata=%4", "vltdata=%zz", "vltdata=1&vltdata=2"] {
            assert!(
                frame_in_body(body.as_bytes()).unwrap_err().to_string().starts_with("vltdata "),
                "{body}"
            );
        }
    }
}
