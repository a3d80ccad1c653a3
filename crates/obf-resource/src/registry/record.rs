//! One device as it is imported: a JSON object (DESIGN.md's contract for `obf device import`).

use super::syntax;
use obf_admin::{
    pattern,
    resource::devices::{AlgorithmName, BootstrapAlgorithm, DeviceRecord as Described, FirstState, Source},
};
use obf_keyfile::KeyRecord;
use obf_kms::{KeyMaterial, MaterialError};
use obf_store::resource::State;
use obf_types::{GlobalIdentity, HomeNetwork, IdentityError, IdentityKind, UnixTime};

/// The longest line of an import, octets.
pub const MAX_RECORD: usize = 16 * 1024;

/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// What is wrong with a record. Names the field; never repeats a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// It is no JSON object of this kind.
    #[error("{0}")]
    Syntax(String),
    /// An identity breaks the rule of its kind.
    #[error("{field}: {error}")]
    Identity {
        /// The field.
        field: &'static str,
        /// The rule.
        error: IdentityError,
    },
    /// A device needs an identity of its secure element or network; an IMEI alone names a terminal.
    #[error("one of imsi, impi, iccid, eid and deveui is needed")]
    NoIdentity,
    /// A key part is wrong.
    #[error(transparent)]
    Key(#[from] MaterialError),
    /// Another field is wrong.
    #[error("{field}: {wanted}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is allowed.
        wanted: &'static str,
    },
    /// Longer than [`MAX_RECORD`].
    #[error("longer than {MAX_RECORD} octets")]
    TooLong,
}

/// A device to be registered, its key in clear: it does not live long.
#[derive(Debug)]
pub struct DeviceRecord {
    /// Primary first.
    pub identities: Vec<GlobalIdentity>,
    /// How its IMSI splits.
    pub home_network: HomeNetwork,
    /// Its key; none if the HLR of the network has it.
    pub key: Option<KeyMaterial>,
    /// Where it begins.
    pub state: State,
    /// AMF of its vectors.
    pub amf: [u8; 2],
    /// The last SQN used, 48 bits.
    pub sqn: u64,
    /// 1 AKAv1-MD5, 2 AKAv2-SHA-256.
    pub minimum_algorithm: u8,
    /// When its custodian's KYC ends.
    pub kyc_expiry: Option<UnixTime>,
    /// Its custodian.
    pub custodian: Option<String>,
}

impl DeviceRecord {
    /// Reads one JSON object. Identities in order of rank: IMSI, IMPI (the registered one, otherwise the one derived
    /// from the IMSI, TS 23.003 13.3), ICCID, EID, DevEUI, IMEI; the first is the primary one.
    ///
    /// # Errors
    /// [`RecordError`] names the field.
    pub fn parse(line: &[u8], default_network: HomeNetwork) -> Result<Self, RecordError> {
        if line.len() > MAX_RECORD {
            return Err(RecordError::TooLong);
        }
        // Editors of some systems begin a file so, and a reader may pass over it (RFC 8259, 8.1).
        let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        let text = std::str::from_utf8(line)
            .map_err(|error| syntax::not_utf8(line, error.valid_up_to()))
            .and_then(|text| if text.contains('\0') { Err(syntax::not_utf8(line, 0)) } else { Ok(text) });
        let record: Described = serde_json::from_str(text.map_err(RecordError::Syntax)?)
            .map_err(|error| RecordError::Syntax(syntax::said(&error)))?;
        Self::read(&record, default_network)
    }

    /// Of a record that has the described form.
    ///
    /// # Errors
    /// [`RecordError`] names the field.
    pub fn read(record: &Described, default_network: HomeNetwork) -> Result<Self, RecordError> {
        let home_network = match record.mnc_digits {
            None => default_network,
            Some(2) => HomeNetwork::TwoDigitMnc,
            Some(3) => HomeNetwork::ThreeDigitMnc,
            Some(_) => return Err(RecordError::Field { field: "mnc_digits", wanted: "2 or 3" }),
        };
        if record.keccak_iterations.is_some_and(|iterations| iterations != 1) {
            return Err(RecordError::Field { field: "keccak_iterations", wanted: "1" });
        }
        if record.custodian.as_deref().is_some_and(|id| pattern::mismatch(pattern::SLUG, id).is_some()) {
            return Err(RecordError::Field { field: "custodian", wanted: "the id of a custodian" });
        }
        Ok(Self {
            identities: identities(record, home_network)?,
            home_network,
            key: key(record)?,
            amf: match &record.amf {
                None => [0, 0],
                Some(amf) => {
                    octets(amf).ok_or(RecordError::Field { field: "amf", wanted: "4 hex digits" })?
                }
            },
            sqn: match &record.sqn {
                None => 0,
                Some(sqn) => {
                    let octets = octets::<6>(sqn);
                    let [a, b, c, d, e, f] =
                        octets.ok_or(RecordError::Field { field: "sqn", wanted: "12 hex digits" })?;
                    u64::from_be_bytes([0, 0, a, b, c, d, e, f])
                }
            },
            minimum_algorithm: match record.minimum_algorithm {
                None | Some(BootstrapAlgorithm::Akav1Md5) => 1,
                Some(BootstrapAlgorithm::Akav2Sha256) => 2,
            },
            kyc_expiry: record.kyc_expiry.map(|expiry| expiry.0),
            custodian: record.custodian.clone(),
            state: match record.state {
                None | Some(FirstState::Active) => State::Active,
                Some(FirstState::Registered) => State::Registered,
            },
        })
    }

    /// From a record of a key file. Its IMPI, if it names none, is the one derived from its IMSI, as in [`Self::parse`].
    ///
    /// # Errors
    /// [`RecordError`] names the field.
    pub fn from_key_file(record: &KeyRecord, home_network: HomeNetwork) -> Result<Self, RecordError> {
        let of = |kind| record.identity(kind).cloned();
        let imsi = of(IdentityKind::Imsi);
        let impi = match (of(IdentityKind::Impi), &imsi) {
            (None, Some(imsi)) => Some(
                home_network.impi_of(imsi).map_err(|error| RecordError::Identity { field: "imsi", error })?,
            ),
            (impi, _) => impi,
        };
        let others = [IdentityKind::Iccid, IdentityKind::Eid, IdentityKind::DevEui, IdentityKind::Imei];
        let identities = [imsi, impi].into_iter().chain(others.map(of)).flatten().collect();
        let sqn = record.sqn.unwrap_or_default();
        let [a, b, c, d, e, f] = sqn;
        Ok(Self {
            identities,
            home_network,
            key: Some(KeyMaterial::from_key_file(record)?),
            state: State::Active,
            amf: record.amf.unwrap_or_default(),
            sqn: u64::from_be_bytes([0, 0, a, b, c, d, e, f]),
            minimum_algorithm: 1,
            kyc_expiry: None,
            custodian: None,
        })
    }

    /// The identity it is registered under first of all.
    pub fn primary(&self) -> Option<&GlobalIdentity> {
        self.identities.first()
    }
}

fn identities(record: &Described, home_network: HomeNetwork) -> Result<Vec<GlobalIdentity>, RecordError> {
    let field = |kind: IdentityKind, value: &Option<String>| {
        let identity = value.as_ref().map(|value| GlobalIdentity::new(kind, value)).transpose();
        identity.map_err(|error| RecordError::Identity { field: kind.name(), error })
    };
    let imsi = field(IdentityKind::Imsi, &record.imsi)?;
    let impi = match (field(IdentityKind::Impi, &record.impi)?, &imsi) {
        (None, Some(imsi)) => {
            Some(home_network.impi_of(imsi).map_err(|error| RecordError::Identity { field: "imsi", error })?)
        }
        (impi, _) => impi,
    };
    let mut identities: Vec<_> = [
        imsi,
        impi,
        field(IdentityKind::Iccid, &record.iccid)?,
        field(IdentityKind::Eid, &record.eid)?,
        field(IdentityKind::DevEui, &record.deveui)?,
    ]
    .into_iter()
    .flatten()
    .collect();
    if identities.is_empty() {
        return Err(RecordError::NoIdentity);
    }
    identities.extend(field(IdentityKind::Imei, &record.imei)?);
    Ok(identities)
}

fn key(record: &Described) -> Result<Option<KeyMaterial>, RecordError> {
    let Described { k, op, opc, top, topc, .. } = record;
    if record.source == Some(Source::Hlr) {
        let parts = [("k", k), ("op", op), ("opc", opc), ("top", top), ("topc", topc)];
        return match parts.iter().find(|(_, part)| part.is_some()) {
            Some((field, _)) => {
                Err(RecordError::Field { field, wanted: "does not belong to a device whose source is hlr" })
            }
            None if record.imsi.is_none() => {
                Err(RecordError::Field { field: "imsi", wanted: "is needed: the HLR knows devices by it" })
            }
            None => Ok(None),
        };
    }
    let Some(k) = k else { return Err(RecordError::Field { field: "k", wanted: "is needed" }) };
    let foreign = |field, algorithm| Err(MaterialError::OtherAlgorithm { field, algorithm }.into());
    match record.algorithm {
        AlgorithmName::Milenage if top.is_some() => foreign("top", "milenage"),
        AlgorithmName::Milenage if topc.is_some() => foreign("topc", "milenage"),
        AlgorithmName::Tuak if op.is_some() => foreign("op", "tuak"),
        AlgorithmName::Tuak if opc.is_some() => foreign("opc", "tuak"),
        AlgorithmName::Milenage => Ok(Some(KeyMaterial::milenage(k, opc.as_ref(), op.as_ref())?)),
        AlgorithmName::Tuak => Ok(Some(KeyMaterial::tuak(k, topc.as_ref(), top.as_ref())?)),
    }
}

fn octets<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let number = u64::from_str_radix(text, 16).ok()?;
    number.to_be_bytes().last_chunk::<N>().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &str = r#""k":"465b5ce8b199b49faa5f0a2ee238a6bc","opc":"cd63cb71954a9f4e48a5994e37a02baf""#;

    fn parse(line: &str) -> Result<DeviceRecord, RecordError> {
        DeviceRecord::parse(line.as_bytes(), HomeNetwork::TwoDigitMnc)
    }

    #[test]
    fn the_contract_line_is_read() {
        let record = parse(&format!(
            r#"{{"imsi":"001010000000001","iccid":"8988211000000000018","algorithm":"milenage",{KEYS},"amf":"0000","sqn":"00000000002a"}}"#
        ))
        .unwrap();
        let names: Vec<_> = record.identities.iter().map(ToString::to_string).collect();
        assert_eq!(
            names,
            ["001010000000001", "001010000000001@ims.mnc001.mcc001.3gppnetwork.org", "8988211000000000018"]
        );
        assert_eq!((record.sqn, record.amf, record.minimum_algorithm), (42, [0, 0], 1));
    }

    #[test]
    fn a_registered_impi_takes_the_place_of_the_derived_one() {
        let record =
            parse(&format!(r#"{{"imsi":"001010000000001","impi":"me@ims.example",{KEYS}}}"#)).unwrap();
        assert_eq!(record.identities.len(), 2);
        assert_eq!(record.identities[1].value(), "me@ims.example");
    }

    #[test]
    fn every_fault_names_its_field_and_no_key() {
        for (line, wanted) in [
            ("", "the JSON object is cut off at column 0"),
            (r#"{"imsi":"001010000000001"}"#, "k: is needed"),
            (r#"{"imsi":"00101x",KEYS}"#, "imsi: 'x' cannot stand in imsi"),
            (r#"{KEYS}"#, "one of imsi, impi, iccid, eid and deveui is needed"),
            (r#"{"imei":"490154203237518",KEYS}"#, "one of imsi, impi, iccid, eid and deveui is needed"),
            (r#"{"imsi":"001010000000001",KEYS,"amf":"00"}"#, "amf: 4 hex digits"),
            (r#"{"imsi":"001010000000001",KEYS,"sqn":"1"}"#, "sqn: 12 hex digits"),
            (r#"{"imsi":"001010000000001",KEYS,"topc":"00"}"#, "topc does not belong to milenage"),
            (r#"{"imsi":"001010000000001",KEYS,"algorithm":"tuak"}"#, "opc does not belong to tuak"),
            (r#"{"imsi":"001010000000001","k":"465b5ce8"}"#, "k: 16 octets are needed, as hex digits"),
            (r#"{"imsi":"001010000000001",KEYS,"mnc_digits":4}"#, "mnc_digits: 2 or 3"),
            (r#"{"imsi":"001010000000001",KEYS,"keccak_iterations":2}"#, "keccak_iterations: 1"),
            (
                r#"{"imsi":"001010000000001",KEYS,"kyc_expiry":"soon"}"#,
                "a date like 2027-01-31T00:00:00Z is needed, at column 126",
            ),
        ] {
            let error = parse(&line.replace("KEYS", KEYS)).unwrap_err().to_string();
            assert_eq!(error, wanted);
        }
        let unknown =
            parse(&format!(r#"{{"imsi":"001010000000001",{KEYS},"ki":"00"}}"#)).unwrap_err().to_string();
        assert!(unknown.starts_with("unknown field `ki`"), "{unknown}");
        assert_eq!(parse(&" ".repeat(MAX_RECORD + 1)).unwrap_err(), RecordError::TooLong);
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_octets_never_panic(line: Vec<u8>) {
            let _ = DeviceRecord::parse(&line, HomeNetwork::ThreeDigitMnc);
        }
    }
}
