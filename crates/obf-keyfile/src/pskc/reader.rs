//! Reading.

use super::{
    BOUND,
    package::{Opener, Package, Sealed},
    xml::{Step, Tag, Xml},
};
use crate::{
    Entry,
    fault::{Fault, FileFault, RecordFault},
    transport::{Cipher, MacAlgorithm, MacKey, TransportKey},
};
use std::io::BufRead;

const FORMAT: &str = "PSKC (RFC 6030)";

/// Reads records from a KeyContainer.
pub struct PskcReader<R> {
    xml: Xml<R>,
    opener: Opener,
    named: Option<String>,
    /// The first KeyPackage has begun already.
    begun: bool,
    first: bool,
    ended: bool,
}

impl<R: BufRead> PskcReader<R> {
    /// Reads to the first KeyPackage.
    ///
    /// # Errors
    /// It is no PSKC, or the transport key is another.
    pub fn open(input: R, key: TransportKey) -> Result<Self, Fault> {
        let mut reader = Self {
            xml: Xml::new(input),
            opener: Opener { key, mac: None, bound: false },
            named: None,
            begun: false,
            first: true,
            ended: false,
        };
        let opened = reader.head();
        let line = reader.xml.line();
        opened.map_err(|reason| Fault::file(line, reason))?;
        Ok(reader)
    }

    fn head(&mut self) -> Result<(), FileFault> {
        let format = |reason: &str| FileFault::Format { wanted: FORMAT, reason: reason.to_owned() };
        loop {
            match self.xml.step()? {
                Step::Start(Tag::KeyContainer, attributes) => match attributes.version.as_deref() {
                    Some("1.0") => break,
                    _ => return Err(FileFault::Unsupported("PSKC of another version than 1.0".into())),
                },
                Step::Text(_) => {}
                _ => return Err(format("it does not begin with a KeyContainer of RFC 6030")),
            }
        }
        loop {
            match self.xml.step()? {
                Step::Start(Tag::KeyPackage, _) => {
                    self.begun = true;
                    return Ok(());
                }
                Step::Start(Tag::EncryptionKey, _) => self.encryption_key()?,
                Step::Start(Tag::MacMethod, attributes) => {
                    let known = |uri: String| {
                        let wanted = || FileFault::Unsupported("MACs are hmac-sha1 or hmac-sha256".into());
                        MacAlgorithm::from_uri(&uri).ok_or_else(wanted)
                    };
                    self.mac_method(attributes.algorithm.map(known).transpose()?)?;
                }
                Step::Start(..) => self.xml.skip()?,
                Step::Text(_) => {}
                Step::End => {
                    self.ended = true;
                    return Ok(());
                }
                Step::Eof => return Err(FileFault::Truncated),
            }
        }
    }

    fn encryption_key(&mut self) -> Result<(), FileFault> {
        let mut open = 1u32;
        while open > 0 {
            match self.xml.step()? {
                Step::Start(Tag::KeyName, _) => {
                    self.named = Some(self.xml.text()?.chars().take(64).collect());
                }
                Step::Start(Tag::DerivedKey, _) => {
                    let reason = "the file is under a password: ask for one under a transport key";
                    return Err(FileFault::Unsupported(reason.into()));
                }
                Step::Start(..) => open += 1,
                Step::End => open -= 1,
                Step::Text(_) => {}
                Step::Eof => return Err(FileFault::Truncated),
            }
        }
        Ok(())
    }

    /// python-pskc writes one without an algorithm where it makes no MACs, as AES Key Wrap needs none.
    fn mac_method(&mut self, algorithm: Option<MacAlgorithm>) -> Result<(), FileFault> {
        let mut sealed = None;
        loop {
            match self.xml.step()? {
                Step::Start(Tag::MacKey, _) => sealed = Some(Sealed::read(&mut self.xml)?),
                Step::Start(..) => self.xml.skip()?,
                Step::Text(_) => {}
                Step::End => break,
                Step::Eof => return Err(FileFault::Truncated),
            }
        }
        let Some(sealed) = sealed else {
            // RFC 6030 section 6.1.1: without a MAC key, the encryption key is it.
            self.opener.mac = algorithm.map(|algorithm| self.opener.key.as_mac_key(algorithm));
            return Ok(());
        };
        let cipher = sealed.cipher().map_err(|fault| FileFault::Unsupported(fault.to_string()))?;
        self.check_length(cipher)?;
        let key = self.opener.key.decrypt(cipher, &sealed.octets);
        let key = key.ok_or_else(|| FileFault::WrongKey { named: self.named.clone() })?;
        self.opener.bound = key.expose().starts_with(BOUND);
        self.opener.mac = algorithm.map(|algorithm| MacKey::new(algorithm, key));
        Ok(())
    }

    fn check_length(&self, cipher: Cipher) -> Result<(), FileFault> {
        if cipher.takes(&self.opener.key) {
            return Ok(());
        }
        Err(FileFault::Unsupported(format!(
            "the file is under a transport key of {} octets: this one has another length",
            cipher.key_len()
        )))
    }

    /// Goes to the next KeyPackage; false at the end.
    fn find(&mut self) -> Result<bool, FileFault> {
        if std::mem::take(&mut self.begun) {
            return Ok(true);
        }
        loop {
            match self.xml.step()? {
                Step::Start(Tag::KeyPackage, _) => return Ok(true),
                Step::Start(..) => self.xml.skip()?,
                Step::Text(_) => {}
                Step::End => return Ok(false),
                Step::Eof => return Err(FileFault::Truncated),
            }
        }
    }

    fn step(&mut self) -> Option<Result<Entry, Fault>> {
        self.xml.begin_record();
        let found = self.find();
        let line = self.xml.line();
        match found {
            Err(reason) => return Some(Err(Fault::file(line, reason))),
            Ok(false) => {
                self.ended = true;
                return None;
            }
            Ok(true) => {}
        }
        let package = match Package::read(&mut self.xml) {
            Ok(package) => package,
            Err(reason) => {
                let line = self.xml.line();
                return Some(Err(Fault::file(line, reason)));
            }
        };
        let first = std::mem::take(&mut self.first);
        Some(match package.open(&self.opener) {
            Ok(record) => Ok(Entry { line, record }),
            // AES-CBC does not tell a wrong key by itself: the first MAC does.
            Err(RecordFault::Mac("ValueMAC") | RecordFault::Cipher(_)) if first => {
                Err(Fault::file(line, FileFault::WrongKey { named: self.named.clone() }))
            }
            Err(reason) => Err(Fault::record(line, reason)),
        })
    }
}

impl<R: BufRead> Iterator for PskcReader<R> {
    type Item = Result<Entry, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let step = self.step();
        self.ended |= matches!(step, Some(Err(Fault::File { .. })));
        step
    }
}
