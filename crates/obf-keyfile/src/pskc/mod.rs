//! RFC 6030 (PSKC), encrypted and authenticated.
//!
//! One KeyPackage a secure element. `Secret` is K ‖ OPc (or TOPc); `Key/@Algorithm` is [`MILENAGE`] or [`TUAK`]. What
//! RFC 6030 has no place for stands in `Key/Extensions` in the namespace [`OURS`]: every `Identity` (attribute `kind`),
//! `Technology`, `Amf`, `Sqn`, and `RecordMAC`, which binds identities and secret together; files of others come without it, with the
//! IMSI (or `kind:value`) as `Key/@Id` and the ICCID as `SerialNo`. RFC 6030 authenticates each secret for itself, so
//! that two records could swap theirs: a file of ours says inside its encrypted MAC key (first [`BOUND`], then 32
//! octets) that every record must have a `RecordMAC`, so that it cannot be left out by somebody on the way.

mod package;
mod reader;
mod writer;
mod xml;

pub use reader::PskcReader;
pub use writer::PskcWriter;

use crate::record::Algorithm;

/// `Key/@Algorithm` of a Milenage key.
pub const MILENAGE: &str = "urn:obf:pskc:milenage";
/// `Key/@Algorithm` of a TUAK key.
pub const TUAK: &str = "urn:obf:pskc:tuak";
/// The namespace of our extensions.
pub const OURS: &str = "urn:obf:pskc:1";
/// How the MAC key of a file begins in which every record has a `RecordMAC`.
pub const BOUND: &[u8; 8] = b"OBFbound";

const PSKC: &str = "urn:ietf:params:xml:ns:keyprov:pskc";
const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
const XENC: &str = "http://www.w3.org/2001/04/xmlenc#";
const XENC11: &str = "http://www.w3.org/2009/xmlenc11#";

const fn uri(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Milenage => MILENAGE,
        Algorithm::Tuak => TUAK,
    }
}

/// What a `RecordMAC` is computed over: the parts of a record, each with its length in front. The technology is one only where
/// the record has it, as files did before it had a place; since identities come in pairs, the number of parts says whether it is there.
struct MacInput(Vec<u8>);

impl MacInput {
    fn new() -> Self {
        Self(b"obf pskc record\n".to_vec())
    }

    fn add(&mut self, part: &[u8]) {
        self.0.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        self.0.extend_from_slice(part);
    }
}
