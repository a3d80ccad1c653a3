//! What a software secure element keeps in its file: JSON, the same object that `obf device import` reads, with `accepted`, the
//! memory of sequence numbers, added by the element itself. One line serves both ends: each knows the other's fields, ignores
//! them and keeps them; a field that neither knows is refused.

use super::{Identities, KeyIndex};
use obf_aka::{Algorithm, Milenage, SqnArray, SqnLayout, SqnLimits, Tuak, TuakKey, TuakSizes};
use obf_types::{GlobalIdentity, IdentityError, IdentityKind, MncLength, hex};
use serde::{Deserialize, Serialize};
use serde_json::{Value, error::Category};
use zeroize::Zeroizing;

/// What is wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadRecord {
    /// Not this JSON.
    #[error("line {line}, column {column}: {what}")]
    Json {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// Syntax, or a field that is missing or unknown. Never a value.
        what: &'static str,
    },
    /// No identity at all.
    #[error("an identity is needed: imsi, impi, iccid, eid, imei or deveui")]
    NoIdentity,
    /// An identity breaks the rules of its kind.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A key is not as many hex digits as it must be.
    #[error("{field} must be {digits} hex digits")]
    Hex {
        /// The field.
        field: &'static str,
        /// How many.
        digits: &'static str,
    },
    /// The operator's value is missing or given twice.
    #[error("exactly one of {one} and {other} is needed")]
    Operator {
        /// The bound variant.
        one: &'static str,
        /// The operator's own value.
        other: &'static str,
    },
    /// `accepted` is no memory of sequence numbers.
    #[error("accepted must be {places} sequence numbers (SEQ)")]
    Accepted {
        /// How many.
        places: usize,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    #[serde(skip_serializing_if = "Option::is_none")]
    imsi: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    impi: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iccid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    imei: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deveui: Option<String>,
    #[serde(default)]
    algorithm: Name,
    #[serde(default = "subscriber")]
    key_index: u8,
    k: Zeroizing<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    opc: Option<Zeroizing<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    op: Option<Zeroizing<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topc: Option<Zeroizing<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top: Option<Zeroizing<String>>,
    /// TUAK: iterations of Keccak.
    #[serde(skip_serializing_if = "Option::is_none")]
    keccak_iterations: Option<u8>,
    /// The highest SEQ accepted, for each IND.
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted: Option<Vec<u64>>,
    /// From here on the home environment's, of no concern here: kept as they are, so that the line still serves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    amf: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sqn: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mnc_digits: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minimum_algorithm: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kyc_expiry: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custodian: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hlr: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    technology: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Value>,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Name {
    /// As `obf device import` takes it if it is not said.
    #[default]
    Milenage,
    Tuak,
}

impl Record {
    pub(super) fn parse(json: &[u8]) -> Result<Self, BadRecord> {
        serde_json::from_slice(json).map_err(|error| BadRecord::Json {
            line: error.line(),
            column: error.column(),
            // The library's own text may quote a value.
            what: match error.classify() {
                Category::Data if error.to_string().starts_with("missing field") => "k, the key, is missing",
                Category::Data => "a field is unknown, there twice or of the wrong kind",
                _ => "this is not JSON",
            },
        })
    }

    pub(super) fn to_json(&self) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
        // Room for twice the longest line that import takes: growing would leave copies behind.
        let mut json = Zeroizing::new(Vec::with_capacity(32 * 1024));
        serde_json::to_writer_pretty(&mut *json, self)?;
        json.push(b'\n');
        Ok(json)
    }

    /// All that are there, at least one, in the order in which they are asked for. The first must be right; one behind it that is
    /// not stays out of it, because nothing here depends on it.
    pub(super) fn identities(&self) -> Result<Identities, BadRecord> {
        use IdentityKind::{DevEui, Eid, Iccid, Imei, Impi, Imsi};
        let fields = [
            (Impi, &self.impi),
            (Imsi, &self.imsi),
            (Iccid, &self.iccid),
            (Eid, &self.eid),
            (Imei, &self.imei),
            (DevEui, &self.deveui),
        ];
        let there = fields.into_iter().filter_map(|(kind, value)| Some((kind, value.as_deref()?)));
        let mut there = there.map(|(kind, value)| GlobalIdentity::new(kind, value));
        let first = there.next().ok_or(BadRecord::NoIdentity)??;
        let known = std::iter::once(first).chain(there.flatten()).collect();
        let mnc_digits = self.mnc_digits.as_ref().and_then(Value::as_u64);
        Ok(Identities::new(known, mnc_digits.and_then(MncLength::from_digits)))
    }

    pub(super) const fn key_index(&self) -> KeyIndex {
        KeyIndex(self.key_index)
    }

    pub(super) fn key(&self) -> Result<Algorithm, BadRecord> {
        match self.algorithm {
            Name::Milenage => {
                let k = hex::secret(&self.k).ok_or(BadRecord::Hex { field: "k", digits: "32" })?;
                let operator =
                    |text: &str, field| hex::secret(text).ok_or(BadRecord::Hex { field, digits: "32" });
                Ok(match (&self.opc, &self.op) {
                    (Some(opc), None) => Milenage::new(&k, &operator(opc, "opc")?),
                    (None, Some(op)) => Milenage::with_op(&k, &operator(op, "op")?),
                    _ => return Err(BadRecord::Operator { one: "opc", other: "op" }),
                }
                .into())
            }
            Name::Tuak => {
                let k = hex::decode(&self.k)
                    .and_then(|k| TuakKey::from_slice(k.expose()))
                    .ok_or(BadRecord::Hex { field: "k", digits: "32 or 64" })?;
                let operator =
                    |text: &str, field| hex::secret(text).ok_or(BadRecord::Hex { field, digits: "64" });
                let (sizes, iterations) = (TuakSizes::DEFAULT, self.keccak_iterations.unwrap_or(1));
                let tuak = match (&self.topc, &self.top) {
                    (Some(topc), None) => Tuak::new(k, &operator(topc, "topc")?, sizes, iterations),
                    (None, Some(top)) => Tuak::with_top(k, &operator(top, "top")?, sizes, iterations),
                    _ => return Err(BadRecord::Operator { one: "topc", other: "top" }),
                };
                // The default sizes are what AUTN has room for.
                Algorithm::tuak(tuak).map_err(|_| BadRecord::Hex { field: "k", digits: "32 or 64" })
            }
        }
    }

    pub(super) fn memory(&self) -> Result<SqnArray, BadRecord> {
        let (layout, limits) = (SqnLayout::DEFAULT, SqnLimits::DEFAULT);
        match &self.accepted {
            None => Ok(SqnArray::new(layout, limits)),
            Some(accepted) => SqnArray::restore(layout, limits, accepted)
                .ok_or(BadRecord::Accepted { places: layout.places() }),
        }
    }

    pub(super) fn remember(&mut self, memory: &SqnArray) {
        self.accepted = Some(memory.highest().to_vec());
    }
}

const fn subscriber() -> u8 {
    KeyIndex::SUBSCRIBER.0
}
