//! One device as it is imported: a JSON object (DESIGN.md's contract for `obf device import`).

use obf_admin::{
    pattern,
    resource::devices::{self, BootstrapAlgorithm, FirstState, TechnologyName},
};
use obf_kms::{
    KeyPart, KeyedDevice, MaterialError, SubscriberKey,
    intake::{LineError, read_line},
};
use obf_store::resource::{HlrName, State};
use obf_token::{Algorithm, Mode, Technology};
use obf_types::{GlobalIdentity, IdentityError, IdentityKind, MncLength, UnixTime};

/// A record whose key only the key management system reads.
type Described = devices::DeviceRecord<KeyPart>;

/// What is wrong with a record. Names the field; never repeats a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The line is not a JSON object of a device.
    #[error(transparent)]
    Line(#[from] LineError),
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
}

/// A device to be registered, with its key.
#[derive(Debug)]
pub struct DeviceRecord {
    /// Primary first.
    pub identities: Vec<GlobalIdentity>,
    /// How many digits the MNC in its IMSI has.
    pub mnc_length: MncLength,
    /// The technology that it authenticates as.
    pub technology: Technology,
    /// Where its vectors come from.
    pub source: RecordSource,
    /// The state that it is registered in.
    pub state: State,
    /// AMF of its vectors.
    pub amf: [u8; 2],
    /// The last SQN used, 48 bits.
    pub sqn: u64,
    /// The weakest algorithm that it may bootstrap with.
    pub minimum_algorithm: Algorithm,
    /// When its custodian's KYC ends.
    pub kyc_expiry: Option<UnixTime>,
    /// Its custodian.
    pub custodian: Option<String>,
}

/// Where the vectors of a device to be registered come from.
#[derive(Debug)]
pub enum RecordSource {
    /// From this key, which our key management system is to wrap.
    Kms(SubscriberKey),
    /// From the HLR of that name, which has the key.
    Hlr(HlrName),
}

impl RecordSource {
    /// The key, if it came with the record.
    pub const fn key(&self) -> Option<&SubscriberKey> {
        match self {
            Self::Kms(key) => Some(key),
            Self::Hlr(_) => None,
        }
    }
}

impl DeviceRecord {
    /// Reads one JSON object. Identities in order of rank: IMSI, IMPI (the registered one, otherwise the one derived
    /// from the IMSI, TS 23.003 13.3), ICCID, EID, DevEUI, IMEI; the first is the primary one.
    ///
    /// # Errors
    /// [`RecordError`] names the field.
    pub fn parse(line: &[u8], default_length: MncLength) -> Result<Self, RecordError> {
        Self::read(&read_line(line)?, default_length)
    }

    /// Of a record that has the described form.
    ///
    /// # Errors
    /// [`RecordError`] names the field.
    pub fn read(record: &Described, default_length: MncLength) -> Result<Self, RecordError> {
        let mnc_length = match record.mnc_digits {
            None => default_length,
            Some(digits) => MncLength::from_digits(digits.into())
                .ok_or(RecordError::Field { field: "mnc_digits", wanted: "2 or 3" })?,
        };
        if record.keccak_iterations.is_some_and(|iterations| iterations != 1) {
            return Err(RecordError::Field { field: "keccak_iterations", wanted: "1" });
        }
        if record.custodian.as_deref().is_some_and(|id| pattern::mismatch(pattern::SLUG, id).is_some()) {
            return Err(RecordError::Field { field: "custodian", wanted: "the id of a custodian" });
        }
        Ok(Self {
            identities: identities(record, mnc_length)?,
            mnc_length,
            technology: technology(record.technology)?,
            source: source(record)?,
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
                None | Some(BootstrapAlgorithm::Akav1Md5) => Algorithm::AkaV1Md5,
                Some(BootstrapAlgorithm::Akav2Sha256) => Algorithm::AkaV2Sha256,
            },
            kyc_expiry: record.kyc_expiry.map(|expiry| expiry.0),
            custodian: record.custodian.clone(),
            state: match record.state {
                None | Some(FirstState::Active) => State::Active,
                Some(FirstState::Registered) => State::Registered,
            },
        })
    }

    /// A device of a key file. Its IMPI, if it names none, is the one derived from its IMSI, as in [`Self::parse`].
    ///
    /// # Errors
    /// [`RecordError`] names the field.
    pub fn of_keyed(device: KeyedDevice, mnc_length: MncLength) -> Result<Self, RecordError> {
        let of = |kind| device.identity(kind).cloned();
        let imsi = of(IdentityKind::Imsi);
        let impi = match (of(IdentityKind::Impi), &imsi) {
            (None, Some(imsi)) => Some(
                mnc_length.impi_of(imsi).map_err(|error| RecordError::Identity { field: "imsi", error })?,
            ),
            (impi, _) => impi,
        };
        let others = [IdentityKind::Iccid, IdentityKind::Eid, IdentityKind::DevEui, IdentityKind::Imei];
        let identities = [imsi, impi].into_iter().chain(others.map(of)).flatten().collect();
        let sqn = device.sqn.unwrap_or_default();
        let [a, b, c, d, e, f] = sqn;
        Ok(Self {
            identities,
            mnc_length,
            technology: device.technology,
            source: RecordSource::Kms(device.key),
            state: State::Active,
            amf: device.amf.unwrap_or_default(),
            sqn: u64::from_be_bytes([0, 0, a, b, c, d, e, f]),
            minimum_algorithm: Algorithm::AkaV1Md5,
            kyc_expiry: None,
            custodian: None,
        })
    }

    /// The mode that its key is for.
    pub const fn mode(&self) -> Mode {
        match &self.source {
            RecordSource::Kms(_) | RecordSource::Hlr(_) => Mode::Aka,
        }
    }

    /// The identity it is registered under first of all.
    pub fn primary(&self) -> Option<&GlobalIdentity> {
        self.identities.first()
    }
}

fn identities(record: &Described, mnc_length: MncLength) -> Result<Vec<GlobalIdentity>, RecordError> {
    let field = |kind: IdentityKind, value: &Option<String>| {
        let identity = value.as_ref().map(|value| GlobalIdentity::new(kind, value)).transpose();
        identity.map_err(|error| RecordError::Identity { field: kind.name(), error })
    };
    let imsi = field(IdentityKind::Imsi, &record.imsi)?;
    let impi = match (field(IdentityKind::Impi, &record.impi)?, &imsi) {
        (None, Some(imsi)) => {
            Some(mnc_length.impi_of(imsi).map_err(|error| RecordError::Identity { field: "imsi", error })?)
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

/// A key of AKA is the network's or its provider's own; LoRaWAN has keys of another kind.
///
/// # Errors
/// [`RecordError::Field`].
pub fn technology(name: Option<TechnologyName>) -> Result<Technology, RecordError> {
    match name {
        None | Some(TechnologyName::ThreeGpp) => Ok(Technology::ThreeGpp),
        Some(TechnologyName::Standalone) => Ok(Technology::Standalone),
        Some(TechnologyName::Lorawan) => {
            Err(RecordError::Field { field: "technology", wanted: "3gpp or standalone, for a key of AKA" })
        }
    }
}

fn source(record: &Described) -> Result<RecordSource, RecordError> {
    if let Some(key) = SubscriberKey::of_record(record)? {
        if record.hlr.is_some() {
            let wanted = "belongs to a device whose source is hlr";
            return Err(RecordError::Field { field: "hlr", wanted });
        }
        return Ok(RecordSource::Kms(key));
    }
    if record.imsi.is_none() {
        return Err(RecordError::Field { field: "imsi", wanted: "is needed: the HLR knows devices by it" });
    }
    let name = record.hlr.as_deref().map_or_else(|| Ok(HlrName::default()), HlrName::new);
    let name = name.map_err(|_| RecordError::Field { field: "hlr", wanted: "the name of an HLR" })?;
    Ok(RecordSource::Hlr(name))
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
    use obf_kms::intake::MAX_LINE;

    const KEYS: &str = r#""k":"465b5ce8b199b49faa5f0a2ee238a6bc","opc":"cd63cb71954a9f4e48a5994e37a02baf""#;

    fn parse(line: &str) -> Result<DeviceRecord, RecordError> {
        DeviceRecord::parse(line.as_bytes(), MncLength::Two)
    }

    #[test]
    fn the_contract_line_is_read() {
        let record = parse(&format!(
            r#"{{"imsi":"001010000000001","iccid":"8988211000000000018","algorithm":"milenage",{KEYS},"amf":"0000","sqn":"00000000002a"}}"#
        ))
        .unwrap();
        let names: Vec<_> = record.identities.iter().map(GlobalIdentity::value).collect();
        assert_eq!(
            names,
            ["001010000000001", "001010000000001@ims.mnc001.mcc001.3gppnetwork.org", "8988211000000000018"]
        );
        assert_eq!((record.sqn, record.amf, record.minimum_algorithm), (42, [0, 0], Algorithm::AkaV1Md5));
    }

    #[test]
    fn a_registered_impi_takes_the_place_of_the_derived_one() {
        let record =
            parse(&format!(r#"{{"imsi":"001010000000001","impi":"me@ims.example",{KEYS}}}"#)).unwrap();
        assert_eq!(record.identities.len(), 2);
        assert_eq!(record.identities[1].value(), "me@ims.example");
    }

    #[test]
    fn r10_a_key_is_of_the_network_or_of_its_provider() {
        let technology = |more: &str| {
            parse(&format!(r#"{{"imsi":"001010000000001",{KEYS}{more}}}"#)).map(|record| record.technology)
        };
        assert_eq!(technology("").unwrap(), Technology::ThreeGpp);
        assert_eq!(technology(r#","technology":"3gpp""#).unwrap(), Technology::ThreeGpp);
        assert_eq!(technology(r#","technology":"standalone""#).unwrap(), Technology::Standalone);
        let lorawan = technology(r#","technology":"lorawan""#).unwrap_err().to_string();
        assert_eq!(lorawan, "technology: 3gpp or standalone, for a key of AKA");
        assert!(technology(r#","technology":"gsm""#).unwrap_err().to_string().contains("`standalone`"));
    }

    #[test]
    fn a_record_names_its_hlr_or_means_the_only_one() {
        let source = |more: &str| match parse(&format!(r#"{{"imsi":"001010000000001"{more}}}"#)) {
            Ok(DeviceRecord { source: RecordSource::Hlr(name), .. }) => Ok(name.to_string()),
            Ok(_) => Err("a key".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        assert_eq!(source(r#","source":"hlr""#).unwrap(), HlrName::DEFAULT);
        assert_eq!(source(r#","source":"hlr","hlr":"west""#).unwrap(), "west");
        let without = source(&format!(r#","hlr":"west",{KEYS}"#)).unwrap_err();
        assert_eq!(without, "hlr: belongs to a device whose source is hlr");
        assert_eq!(source(r#","source":"hlr","hlr":"West""#).unwrap_err(), "hlr: the name of an HLR");
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
        assert_eq!(parse(&" ".repeat(MAX_LINE + 1)).unwrap_err(), LineError::TooLong.into());
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_octets_never_panic(line: Vec<u8>) {
            let _ = DeviceRecord::parse(&line, MncLength::Three);
        }
    }
}
