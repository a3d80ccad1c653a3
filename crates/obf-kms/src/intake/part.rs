//! A part of a key in a JSON record.

use obf_keyfile::TransportKey;
use obf_types::{SecretBytes, hex};
use serde::{Deserialize, Deserializer, de};
use std::fmt;

const WANTED: &str = "a key is a text of hex digits";

/// A part of a key: hex digits. Anything else is refused without being repeated; `Debug` shows the length only, and no
/// other crate sees more of it.
#[derive(Debug)]
pub struct KeyPart(SecretBytes);

impl KeyPart {
    pub(crate) fn expose(&self) -> &[u8] {
        self.0.expose()
    }

    /// As the key of a key file, of that name; `None` if it has neither 16 nor 32 octets.
    pub fn into_transport_key(self, name: &str) -> Option<TransportKey> {
        TransportKey::new(name, self.0)
    }

    #[cfg(test)]
    pub(crate) fn of(octet: u8, length: usize) -> Self {
        Self(SecretBytes::new(vec![octet; length]))
    }
}

impl<'de> Deserialize<'de> for KeyPart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HexVisitor)
    }
}

/// Every kind of value has its visit here, because the default ones repeat the value in their error.
struct HexVisitor;

impl de::Visitor<'_> for HexVisitor {
    type Value = KeyPart;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(WANTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<KeyPart, E> {
        hex::decode(text).map(KeyPart).ok_or_else(|| E::custom(WANTED))
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<KeyPart, E> {
        Err(E::custom(WANTED))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<KeyPart, E> {
        Err(E::custom(WANTED))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<KeyPart, E> {
        Err(E::custom(WANTED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Neither a parse error nor `Debug` repeats a key, whatever JSON it was written as.
    #[test]
    fn errors_never_repeat_a_key() {
        for bad in
            ["\"00112233445566778899aabbccddeefg\"", "112233445566778899", "-1122334455", "1.122334455e7"]
        {
            let error = serde_json::from_str::<KeyPart>(bad).unwrap_err().to_string();
            assert!(error.starts_with(WANTED) && !error.contains("2233"), "{error}");
        }
        let secret: KeyPart = serde_json::from_str("\"0a0b\"").unwrap();
        assert_eq!(format!("{secret:?}"), "KeyPart(SecretBytes<2 octets>)");
    }
}
