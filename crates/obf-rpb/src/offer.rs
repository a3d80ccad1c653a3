//! The key schemas a client offers, and the one chosen (WIRES "Keys and vectors", `obf-1`).

use alloc::{string::String, vec::Vec};
use obf_types::KeySchema;

/// An offer: the header's text exactly as written, because the answer repeats it under `rspauth`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaOffer(String);

impl SchemaOffer {
    /// The longest text, octets.
    pub const MAX_LEN: usize = 64;

    /// The offer of these schemas, the one preferred first.
    pub fn of(schemas: &[KeySchema]) -> Self {
        let names: Vec<&str> = schemas.iter().map(|schema| schema.name()).collect();
        Self(names.join(", "))
    }

    /// Reads a header value: names of `a-z 0-9 -` separated by commas and spaces; unknown names are fine. `None` if it is
    /// anything else or too long.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let allowed = |b: &u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b',' | b' ');
        if value.len() > Self::MAX_LEN || !value.iter().all(allowed) {
            return None;
        }
        Some(Self(String::from(core::str::from_utf8(value).ok()?)))
    }

    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the schema is among those offered.
    pub fn has(&self, schema: KeySchema) -> bool {
        self.0.split([',', ' ']).any(|name| name == schema.name())
    }

    /// What a server chooses: `obf-1` where it is offered, otherwise `gba-me`, which every UE knows.
    pub fn choose(offer: Option<&Self>) -> KeySchema {
        match offer {
            Some(offer) if offer.has(KeySchema::Obf1) => KeySchema::Obf1,
            _ => KeySchema::GbaMe,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_schema_offered_is_chosen() {
        let chosen = |text: &str| SchemaOffer::choose(SchemaOffer::parse(text.as_bytes()).as_ref());
        assert_eq!(chosen("obf-1, gba-me"), KeySchema::Obf1);
        assert_eq!(chosen("gba-me,obf-1"), KeySchema::Obf1);
        assert_eq!(chosen("gba-me"), KeySchema::GbaMe);
        assert_eq!(chosen("obf-12, x-obf-1"), KeySchema::GbaMe);
        assert_eq!(chosen(""), KeySchema::GbaMe);
        assert_eq!(SchemaOffer::choose(None), KeySchema::GbaMe);
        assert_eq!(SchemaOffer::of(&[KeySchema::Obf1, KeySchema::GbaMe]).as_str(), "obf-1, gba-me");
        for bad in ["OBF-1", "a\"b", "a<b", "a\tb"] {
            assert_eq!(SchemaOffer::parse(bad.as_bytes()), None);
        }
        assert_eq!(SchemaOffer::parse(&[b'a'; 65]), None);
    }
}
