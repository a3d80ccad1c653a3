//! Batches over HTTP POST: `application/x-www-form-urlencoded`, the frame in `vltdata`.

use crate::field::refuse;
use crate::refused::Refused;
use alloc::{string::String, vec::Vec};
use obf_types::percent;

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
    percent::encode(frame, percent::is_unreserved, &mut out);
    out
}

fn decoded(value: &[u8]) -> Option<Vec<u8>> {
    // In a form a space is a plus (a plus itself is escaped).
    let spaced: Vec<u8> = value.iter().map(|octet| if *octet == b'+' { b' ' } else { *octet }).collect();
    percent::decode(&spaced)
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
