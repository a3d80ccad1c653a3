//! One record as the JSON object that `obf device import` and a software secure element read.

use crate::record::{Algorithm, Hex, KeyRecord};
use std::fmt::Write as _;
use zeroize::Zeroizing;

/// Room for the longest record: growing would leave copies behind.
const ROOM: usize = 4096;

impl KeyRecord {
    /// The record in clear, for the secure element that it is to be put into: the file of a software secure element, or
    /// a line for `obf device import`.
    pub fn to_json(&self) -> Zeroizing<String> {
        let mut json = Zeroizing::new(String::with_capacity(ROOM));
        json.push('{');
        for identity in &self.identities {
            // No identity has a quotation mark or a backslash.
            let _ = write!(json, "\"{}\":\"{}\",", identity.kind().name(), identity.value());
        }
        let c = match self.algorithm {
            Algorithm::Milenage => "opc",
            Algorithm::Tuak => "topc",
        };
        let (algorithm, k, opc) = (self.algorithm.name(), Hex(self.k.expose()), Hex(self.c.expose()));
        let _ = write!(json, "\"algorithm\":\"{algorithm}\",\"k\":\"{k}\",\"{c}\":\"{opc}\"");
        let _ = write!(json, ",\"technology\":\"{}\"", self.technology.name());
        if let Some(amf) = &self.amf {
            let _ = write!(json, ",\"amf\":\"{}\"", Hex(amf));
        }
        if let Some(sqn) = &self.sqn {
            let _ = write!(json, ",\"sqn\":\"{}\"", Hex(sqn));
        }
        json.push('}');
        json
    }
}
