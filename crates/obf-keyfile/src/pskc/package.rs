//! One KeyPackage: read as it stands, then opened.

use super::{
    MILENAGE, MacInput, TUAK,
    xml::{Attributes, Step, Tag, Xml},
};
use crate::{
    fault::{FileFault, RecordFault},
    record::{self, Algorithm, KeyRecord},
    text,
    transport::{Cipher, MacKey, TransportKey},
};
use obf_types::{GlobalIdentity, IdentityKind, SecretBytes, Technology, hex};
use std::io::BufRead;

/// An encrypted value, and its MAC.
#[derive(Default)]
pub struct Sealed {
    pub cipher: Option<String>,
    pub octets: Vec<u8>,
    pub mac: Option<Vec<u8>>,
    in_clear: bool,
}

/// A KeyPackage as it stands.
#[derive(Default)]
pub struct Package {
    id: String,
    algorithm: String,
    serial: Option<String>,
    secret: Option<Sealed>,
    identities: Vec<(String, String)>,
    technology: Option<String>,
    amf: Option<String>,
    sqn: Option<String>,
    record_mac: Option<Vec<u8>>,
}

/// How packages of this file are opened.
pub struct Opener {
    pub key: TransportKey,
    pub mac: Option<MacKey>,
    /// Every record must have a `RecordMAC`.
    pub bound: bool,
}

impl Package {
    /// Reads to the end of the KeyPackage that has just begun.
    pub fn read<R: BufRead>(xml: &mut Xml<R>) -> Result<Self, FileFault> {
        let mut package = Self::default();
        // Open elements below the package whose end is still to come.
        let mut open = 1u32;
        while open > 0 {
            match xml.step()? {
                Step::Start(tag, attributes) => {
                    if package.element(xml, tag, attributes)? {
                        open += 1;
                    }
                }
                Step::End => open -= 1,
                Step::Text(_) => {}
                Step::Eof => return Err(FileFault::Truncated),
            }
        }
        Ok(package)
    }

    /// Takes an element: true if its content and end are still to come.
    fn element<R: BufRead>(
        &mut self,
        xml: &mut Xml<R>,
        tag: Tag,
        attributes: Attributes,
    ) -> Result<bool, FileFault> {
        let base64 = |text: &str| text::octets_from_base64(text).unwrap_or_default();
        match tag {
            Tag::DeviceInfo | Tag::Data | Tag::Extensions => return Ok(true),
            Tag::Key => {
                self.id = attributes.id.unwrap_or_default();
                self.algorithm = attributes.algorithm.unwrap_or_default();
                return Ok(true);
            }
            Tag::SerialNo => self.serial = Some(xml.text()?.to_string()),
            Tag::Secret => self.secret = Some(Sealed::read(xml)?),
            Tag::Identity => {
                let value = xml.text()?.to_string();
                self.identities.push((attributes.kind.unwrap_or_default(), value));
            }
            Tag::Technology => self.technology = Some(xml.text()?.to_string()),
            Tag::Amf => self.amf = Some(xml.text()?.to_string()),
            Tag::Sqn => self.sqn = Some(xml.text()?.to_string()),
            Tag::RecordMac => self.record_mac = Some(base64(&xml.text()?)),
            _ => xml.skip()?,
        }
        Ok(false)
    }

    /// Verifies, decrypts, and checks every part.
    pub fn open(&self, opener: &Opener) -> Result<KeyRecord, RecordFault> {
        let secret = self.secret.as_ref().ok_or(RecordFault::Missing("Secret"))?;
        let opened = secret.open("Secret", opener)?;
        self.check_binding(secret, opener)?;
        let algorithm = match self.algorithm.as_str() {
            MILENAGE => Algorithm::Milenage,
            TUAK => Algorithm::Tuak,
            _ => {
                let wanted = "urn:obf:pskc:milenage or urn:obf:pskc:tuak";
                return Err(RecordFault::Field { field: "Algorithm", wanted });
            }
        };
        let octets = opened.expose();
        let (k, c) =
            match octets.len().checked_sub(algorithm.c_len()).and_then(|at| octets.split_at_checked(at)) {
                Some((k, c)) if matches!(k.len(), 16 | 32) => (SecretBytes::from(k), SecretBytes::from(c)),
                _ => {
                    let wanted = match algorithm {
                        Algorithm::Milenage => "32 (K, OPc)",
                        Algorithm::Tuak => "48 or 64 (K, TOPc)",
                    };
                    return Err(RecordFault::KeyLength { field: "Secret", wanted, found: octets.len() });
                }
            };
        let hex4 = RecordFault::Field { field: "Amf", wanted: "4 hex digits" };
        let hex12 = RecordFault::Field { field: "Sqn", wanted: "12 hex digits" };
        let amf = self.amf.as_deref().map(|amf| hex::array(amf).ok_or(hex4)).transpose()?;
        let sqn = self.sqn.as_deref().map(|sqn| hex::array(sqn).ok_or(hex12)).transpose()?;
        let technology = self.technology.as_deref().map(|name| record::technology("Technology", name));
        let technology = technology.transpose()?.unwrap_or(Technology::ThreeGpp);
        Ok(KeyRecord { technology, amf, sqn, ..KeyRecord::new(self.identities()?, algorithm, k, c)? })
    }

    fn check_binding(&self, secret: &Sealed, opener: &Opener) -> Result<(), RecordFault> {
        let ours = !self.identities.is_empty()
            || [&self.technology, &self.amf, &self.sqn].into_iter().any(Option::is_some);
        match (&self.record_mac, &opener.mac) {
            (None, _) if !opener.bound && !ours => Ok(()),
            (None, _) => Err(RecordFault::Missing("RecordMAC")),
            (Some(mac), Some(key)) => {
                let mac_input = self.mac_input(secret);
                let fits = key.verifies(&[&mac_input.0], mac);
                fits.then_some(()).ok_or(RecordFault::Mac("RecordMAC"))
            }
            (Some(_), None) => Err(RecordFault::Mac("RecordMAC")),
        }
    }

    fn mac_input(&self, secret: &Sealed) -> MacInput {
        let mut mac_input = MacInput::new();
        mac_input.add(self.id.as_bytes());
        mac_input.add(self.algorithm.as_bytes());
        for (kind, value) in &self.identities {
            mac_input.add(kind.as_bytes());
            mac_input.add(value.as_bytes());
        }
        mac_input.add(self.amf.as_deref().unwrap_or_default().as_bytes());
        mac_input.add(self.sqn.as_deref().unwrap_or_default().as_bytes());
        if let Some(technology) = &self.technology {
            mac_input.add(technology.as_bytes());
        }
        mac_input.add(&secret.octets);
        mac_input
    }

    fn identities(&self) -> Result<Vec<GlobalIdentity>, RecordFault> {
        let mut identities = Vec::new();
        for (kind, value) in &self.identities {
            let wanted =
                RecordFault::Field { field: "kind", wanted: "imsi, impi, iccid, eid, deveui or imei" };
            identities.push(record::identity(IdentityKind::from_name(kind).ok_or(wanted)?, value)?);
        }
        if self.identities.is_empty() {
            let (kind, value) =
                IdentityKind::split(&self.id).unwrap_or((IdentityKind::Imsi, self.id.as_str()));
            identities.push(record::identity(kind, value)?);
            if let Some(serial) = self.serial.as_deref().filter(|_| kind != IdentityKind::Iccid) {
                identities.push(record::identity(IdentityKind::Iccid, serial)?);
            }
        }
        identities.sort_by_key(record::rank);
        Ok(identities)
    }
}

impl Sealed {
    /// Reads to the end of the element that has just begun and holds the value.
    pub fn read<R: BufRead>(xml: &mut Xml<R>) -> Result<Self, FileFault> {
        let mut sealed = Self::default();
        let mut open = 1u32;
        while open > 0 {
            match xml.step()? {
                Step::Start(Tag::EncryptedValue | Tag::CipherData, _) => open += 1,
                Step::Start(Tag::EncryptionMethod, attributes) => {
                    sealed.cipher = attributes.algorithm;
                    xml.skip()?;
                }
                Step::Start(Tag::CipherValue, _) => {
                    sealed.octets = text::octets_from_base64(&xml.text()?).unwrap_or_default();
                }
                Step::Start(Tag::ValueMac, _) => {
                    sealed.mac = Some(text::octets_from_base64(&xml.text()?).unwrap_or_default());
                }
                Step::Start(Tag::PlainValue, _) => {
                    sealed.in_clear = true;
                    xml.skip()?;
                }
                Step::Start(..) => xml.skip()?,
                Step::End => open -= 1,
                Step::Text(_) => {}
                Step::Eof => return Err(FileFault::Truncated),
            }
        }
        Ok(sealed)
    }

    /// The cipher it names.
    pub fn cipher(&self) -> Result<Cipher, RecordFault> {
        let wanted = "aes128-cbc, aes256-cbc, kw-aes128 or kw-aes256";
        let uri = self.cipher.as_deref().unwrap_or_default();
        Cipher::from_uri(uri).ok_or(RecordFault::Field { field: "EncryptionMethod", wanted })
    }

    /// MAC first, then decryption. AES Key Wrap authenticates by itself, so that a MAC may be missing there (RFC 6030
    /// section 6).
    pub fn open(&self, field: &'static str, opener: &Opener) -> Result<SecretBytes, RecordFault> {
        if self.in_clear {
            return Err(RecordFault::InClear(field));
        }
        let cipher = self.cipher()?;
        match (&self.mac, &opener.mac) {
            (Some(mac), Some(key)) if key.verifies(&[&self.octets], mac) => {}
            (Some(_), Some(_)) => return Err(RecordFault::Mac("ValueMAC")),
            (None, None) if matches!(cipher, Cipher::KwAes128 | Cipher::KwAes256) => {}
            _ => return Err(RecordFault::Missing("ValueMAC")),
        }
        opener.key.decrypt(cipher, &self.octets).ok_or(RecordFault::Cipher(field))
    }
}
