//! A secure element in a file: for devices without one, and for tests.

use super::{Aka, AkaAnswer, Identities, KeyIndex, SeError, SecureElement, record::Record};
use crate::file::Locked;
use obf_aka::{Authentication, authenticate};
use obf_token::Algorithm;
use obf_types::{Secret, SecretBytes};
use std::{
    io,
    path::{Path, PathBuf},
};

/// A USIM in a JSON file, which hands out CK and IK. Every call reads it afresh under a lock, so that several processes may
/// share it, and no key stays in memory between calls.
///
/// The memory of sequence numbers is on the disk before [`Aka::authenticate`] returns a response: a replayed AUTN is refused
/// after any crash.
#[derive(Clone, Debug)]
pub struct SoftwareSe {
    path: PathBuf,
}

impl SoftwareSe {
    /// The element in that file. Its fields are those of `obf device import`:
    /// `{"imsi":"…","algorithm":"milenage","k":"<hex>","opc":"<hex>"}`; the element adds `accepted`.
    ///
    /// # Errors
    /// [`SeError`] names what is wrong with the file.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, SeError> {
        let se = Self { path: path.into() };
        let record = se.read(&se.lock()?)?;
        se.check(record.identities())?;
        se.check(record.memory())?;
        if !se.check(record.key())?.has_128_bit_keys() {
            return Err(SeError::UnsuitableKey(record.key_index()));
        }
        Ok(se)
    }

    /// Puts a record into a new file, readable by its owner only: the element is made. Where there is one, it stays as it
    /// is, because its memory of sequence numbers must not be lost.
    ///
    /// # Errors
    /// [`SeError`]: a file is there, or the record is not one.
    pub fn personalise(path: impl Into<PathBuf>, record: &[u8]) -> Result<Self, SeError> {
        let se = Self { path: path.into() };
        let file = se.lock()?;
        if file.read().map_err(|reason| se.failed(reason))?.is_some() {
            let reason = io::Error::new(io::ErrorKind::AlreadyExists, "there is an element already");
            return Err(se.failed(reason));
        }
        let parsed = se.check(Record::parse(record))?;
        se.check(parsed.identities())?;
        se.check(parsed.key())?;
        file.replace(record).map_err(|reason| se.failed(reason))?;
        drop(file);
        Self::open(se.path)
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn lock(&self) -> Result<Locked, SeError> {
        Locked::wait(&self.path).map_err(|reason| self.failed(reason))
    }

    fn read(&self, file: &Locked) -> Result<Record, SeError> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "no such file");
        let json =
            file.read().and_then(|json| json.ok_or_else(missing)).map_err(|reason| self.failed(reason))?;
        self.check(Record::parse(&json))
    }

    fn failed(&self, reason: io::Error) -> SeError {
        SeError::Unavailable { element: self.path.display().to_string(), reason: reason.into() }
    }

    fn check<T>(&self, result: Result<T, super::BadRecord>) -> Result<T, SeError> {
        let element = || self.path.display().to_string();
        result.map_err(|reason| SeError::Malformed { element: element(), reason: reason.into() })
    }
}

impl SecureElement for SoftwareSe {
    fn identities(&self) -> Result<Identities, SeError> {
        let record = self.read(&self.lock()?)?;
        self.check(record.identities())
    }

    fn aka(&self) -> Option<&dyn Aka> {
        Some(self)
    }
}

impl Aka for SoftwareSe {
    fn authenticate(
        &self,
        key: KeyIndex,
        rand: &[u8; 16],
        autn: &[u8; 16],
        _algorithm: Algorithm,
    ) -> Result<AkaAnswer, SeError> {
        let file = self.lock()?;
        let mut record = self.read(&file)?;
        if record.key_index() != key {
            return Err(SeError::NoSuchKey(key));
        }
        let algorithm = self.check(record.key())?;
        let mut memory = self.check(record.memory())?;
        let success = match authenticate(&algorithm, &mut memory, rand, autn) {
            Authentication::MacFailure => return Ok(AkaAnswer::MacFailure),
            Authentication::SynchronisationFailure(auts) => {
                return Ok(AkaAnswer::SynchronisationFailure { auts });
            }
            Authentication::Success(success) => success,
        };
        let (Some(ck), Some(ik)) =
            (Secret::from_slice(success.ck.expose()), Secret::from_slice(success.ik.expose()))
        else {
            return Err(SeError::UnsuitableKey(key));
        };
        record.remember(&memory);
        let json = record.to_json().map_err(|error| self.failed(error.into()))?;
        file.replace(&json).map_err(|reason| self.failed(reason))?;
        Ok(AkaAnswer::HandedOut { res: SecretBytes::from(success.res.expose()), ck, ik })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use obf_aka::{AkaVector, Amf, Milenage, Sqn, generate_vector, verify_auts};
    use obf_types::{GlobalIdentity, IdentityKind, MncLength};
    use std::{fs, os::unix::fs::PermissionsExt as _};

    const RECORD: &str = r#"{"imsi":"001010000000001","iccid":"8991101200003204510","algorithm":"milenage",
        "k":"465b5ce8b199b49faa5f0a2ee238a6bc","opc":"cd63cb71954a9f4e48a5994e37a02baf",
        "amf":"0000","sqn":"000000000000"}"#;

    fn home() -> obf_aka::Algorithm {
        let [k, opc] = ["465b5ce8b199b49faa5f0a2ee238a6bc", "cd63cb71954a9f4e48a5994e37a02baf"]
            .map(|text| obf_types::hex::secret(text).unwrap());
        Milenage::new(&k, &opc).into()
    }

    fn open(record: &str) -> (tempfile::TempDir, Result<SoftwareSe, SeError>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("se.json");
        fs::write(&path, record).unwrap();
        (directory, SoftwareSe::open(path))
    }

    fn challenge(se: &SoftwareSe, vector: &AkaVector) -> Result<AkaAnswer, SeError> {
        se.authenticate(KeyIndex::SUBSCRIBER, &vector.rand, &vector.autn, Algorithm::AkaV2Sha256)
    }

    #[test]
    fn a_replayed_autn_is_refused_after_a_restart() {
        let (_directory, se) = open(RECORD);
        let se = se.unwrap();
        let vector = generate_vector(&home(), &[1; 16], Sqn::new(64).unwrap(), Amf::ZERO);
        let answer = challenge(&se, &vector).unwrap();
        let AkaAnswer::HandedOut { res, ck, ik } = answer else { panic!("{answer:?}") };
        assert_eq!(res.expose(), vector.xres.expose());
        assert_eq!(ck.expose().as_slice(), vector.ck.expose());
        assert_eq!(ik.expose().as_slice(), vector.ik.expose());

        let restarted = SoftwareSe::open(se.path()).unwrap();
        let answer = challenge(&restarted, &vector).unwrap();
        let AkaAnswer::SynchronisationFailure { auts } = answer else { panic!("{answer:?}") };
        assert_eq!(verify_auts(&home(), &vector.rand, &auts), Sqn::new(64));
        let mode = fs::metadata(se.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "what was readable by others no longer is");
        assert_eq!(restarted.identities().unwrap().registered().unwrap().value(), "001010000000001");
    }

    /// From the key file that a key management system writes to an element that answers (SPEC C1).
    #[test]
    fn c1_an_element_is_personalised_from_a_key_file_and_authenticates() {
        use obf_keyfile::{Format, KeyRecord, Reader, TransportKey, Writer};
        let key = TransportKey::new("maker", SecretBytes::new(vec![7; 32])).unwrap();
        let imsi = GlobalIdentity::new(IdentityKind::Imsi, "001010000000001").unwrap();
        let secret = |octet| SecretBytes::new(vec![octet; 16]);
        let record =
            KeyRecord::new(vec![imsi], obf_keyfile::Algorithm::Milenage, secret(0x11), secret(0x22)).unwrap();
        let draw = &mut |octets: &mut [u8]| {
            octets.fill(0x5A);
            Ok(())
        };
        let mut writer = Writer::open(Format::Pskc, Vec::new(), key.clone(), draw).unwrap();
        writer.write(&record, draw).unwrap();
        let file = writer.finish().unwrap();
        let entry = Reader::open(Format::Pskc, file.as_slice(), key).unwrap().next().unwrap().unwrap();

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("001010000000001.json");
        let se = SoftwareSe::personalise(&path, entry.record.to_json().as_bytes()).unwrap();
        let home = Milenage::new(&Secret::new([0x11; 16]), &Secret::new([0x22; 16])).into();
        let vector = generate_vector(&home, &[1; 16], Sqn::new(64).unwrap(), Amf::ZERO);
        let answer = challenge(&se, &vector).unwrap();
        assert!(matches!(answer, AkaAnswer::HandedOut { res, .. } if res.expose() == vector.xres.expose()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = SoftwareSe::personalise(&path, entry.record.to_json().as_bytes());
        assert!(again.unwrap_err().to_string().contains("there is an element already"));
    }

    #[test]
    fn the_home_environments_fields_are_kept_and_unknown_ones_refused() {
        let home_fields = r#""mnc_digits":2,"minimum_algorithm":"AKAv2-SHA-256","kyc_expiry":"2030-01-01T00:00:00Z",
            "custodian":"acme","source":"own","state":"registered","#;
        let line = RECORD.replacen('{', &format!("{{{home_fields}"), 1);
        let (_directory, se) = open(&line);
        let se = se.unwrap();
        let vector = generate_vector(&home(), &[1; 16], Sqn::new(64).unwrap(), Amf::ZERO);
        challenge(&se, &vector).unwrap();
        let written: serde_json::Value = serde_json::from_slice(&fs::read(se.path()).unwrap()).unwrap();
        let given: serde_json::Value = serde_json::from_str(&line).unwrap();
        for (field, value) in given.as_object().unwrap() {
            assert_eq!(written.get(field), Some(value), "{field}");
        }
        assert!(written["accepted"].as_array().unwrap().contains(&2.into()), "SEQ 2 was accepted: {written}");

        let (_directory, unknown) = open(&RECORD.replacen('{', r#"{"custodain":"acme","#, 1));
        let error = unknown.unwrap_err().to_string();
        assert!(error.contains("a field is unknown") && !error.contains("acme"), "{error}");
    }

    /// As a card has them: the record's own fields, and what its network's MNC is like.
    #[test]
    fn r9_an_element_has_all_its_identities_and_one_that_it_is_registered_under() {
        let line = RECORD.replacen('{', r#"{"mnc_digits":2,"imei":"490154203237518","#, 1);
        let (_directory, se) = open(&line);
        let identities = se.unwrap().identities().unwrap();
        let value = |kind| identities.of(kind).map(GlobalIdentity::value);
        assert_eq!(value(IdentityKind::Iccid), Some("8991101200003204510"));
        assert_eq!(value(IdentityKind::Imei), Some("490154203237518"));
        assert_eq!(identities.registered().unwrap().kind(), IdentityKind::Imsi);
        assert_eq!(
            identities.impi(),
            MncLength::Two.impi_of(identities.of(IdentityKind::Imsi).unwrap()).ok()
        );
        // Nothing depends on what stands behind the one that is used.
        let (_directory, se) = open(&RECORD.replace("8991101200003204510", "x"));
        assert_eq!(se.unwrap().identities().unwrap().of(IdentityKind::Iccid), None);
    }

    #[test]
    fn no_answer_is_given_that_could_not_be_remembered() {
        let (directory, se) = open(RECORD);
        let se = se.unwrap();
        let vector = generate_vector(&home(), &[1; 16], Sqn::new(64).unwrap(), Amf::ZERO);
        // A directory in the way of the new file: it cannot be written.
        fs::create_dir(directory.path().join("se.json.new")).unwrap();
        let answer = challenge(&se, &vector);
        assert!(matches!(answer, Err(SeError::Unavailable { .. })), "{answer:?}");
        fs::remove_dir(directory.path().join("se.json.new")).unwrap();
        let answer = challenge(&se, &vector).unwrap();
        assert!(matches!(answer, AkaAnswer::HandedOut { .. }), "{answer:?}");
    }

    #[test]
    fn u13_keys_are_used_by_index() {
        let (_directory, se) = open(RECORD);
        let answer = se.unwrap().authenticate(KeyIndex(2), &[0; 16], &[0; 16], Algorithm::AkaV2Sha256);
        assert!(matches!(answer, Err(SeError::NoSuchKey(KeyIndex(2)))), "{answer:?}");
    }

    #[test]
    fn r8_tuak_with_either_key_size_and_either_operator_value() {
        use obf_aka::{Tuak, TuakKey, TuakSizes};
        for (k, digits) in [(vec![0xab; 16], 32), (vec![0xab; 32], 64)] {
            let (k_hex, top) = ("ab".repeat(digits / 2), Secret::new([0x55; 32]));
            let home = Tuak::with_top(TuakKey::from_slice(&k).unwrap(), &top, TuakSizes::DEFAULT, 1);
            let topc = obf_types::hex::encode(home.topc().expose());
            let home = obf_aka::Algorithm::tuak(home).unwrap();
            for operator in [format!(r#""top":"{}""#, "55".repeat(32)), format!(r#""topc":"{topc}""#)] {
                let record = format!(
                    r#"{{"impi":"a@b.example","imsi":"001010000000001","algorithm":"tuak","k":"{k_hex}",{operator}}}"#
                );
                let (_directory, se) = open(&record);
                let se = se.unwrap();
                assert_eq!(se.identities().unwrap().registered().unwrap().value(), "a@b.example");
                for seq in 1..3 {
                    let vector = generate_vector(&home, &[3; 16], Sqn::new(seq << 5).unwrap(), Amf::ZERO);
                    let answer = challenge(&se, &vector).unwrap();
                    let AkaAnswer::HandedOut { res, .. } = answer else { panic!("{answer:?}") };
                    assert_eq!(res.expose(), vector.xres.expose());
                }
            }
        }
    }

    #[test]
    fn a_record_is_of_milenage_if_it_does_not_say() {
        let (_directory, se) = open(&RECORD.replace("\"algorithm\":\"milenage\",", ""));
        assert_eq!(se.unwrap().identities().unwrap().registered().unwrap().value(), "001010000000001");
    }

    #[test]
    fn bad_files_are_named_without_showing_a_key() {
        let secret = "465b5ce8b199b49faa5f0a2ee238a6b";
        for (record, says) in [
            ("", "line 1, column 0: this is not JSON"),
            (
                &RECORD.replace("opc", "opd"),
                "line 2, column 52: a field is unknown, there twice or of the wrong kind",
            ),
            (&RECORD.replace("\"k\":", "\"op\":"), "k, the key, is missing"),
            (&RECORD.replace("a6bc", "a6b"), "k must be 32 hex digits"),
            (&RECORD.replace("\"opc\"", "\"topc\""), "exactly one of opc and op is needed"),
            (&RECORD.replace("\"imsi\":\"001010000000001\",", ""), ""),
            (&RECORD.replace("001010000000001", "x"), "'x' cannot stand in imsi"),
            (
                &RECORD.replace("\"amf\":\"0000\"", "\"accepted\":[1]"),
                "accepted must be 32 sequence numbers (SEQ)",
            ),
        ] {
            let (_directory, se) = open(record);
            match se {
                Ok(se) => assert_eq!(
                    (says, se.identities().unwrap().registered().unwrap().value()),
                    ("", "8991101200003204510")
                ),
                Err(error) => {
                    let text = format!("{error} {error:?}");
                    assert!(error.to_string().ends_with(says), "{error}");
                    assert!(!says.is_empty() && !text.contains(secret), "{text}");
                }
            }
        }
    }
}
