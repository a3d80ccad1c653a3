//! A key file under a transport key, record after record.

use crate::{MaterialError, SubscriberKey};
use obf_keyfile::{Fault, Format, KeyRecord, Reader, TransportKey};
use obf_types::{GlobalIdentity, IdentityKind, Technology};
use std::io::BufRead;

/// Reads a key file, however long, in memory that does not grow with it.
pub struct KeyFile<R>(Reader<R>);

/// A secure element with its key.
#[derive(Debug)]
pub struct KeyedDevice {
    /// Its identities, the primary one first; never empty.
    pub identities: Vec<GlobalIdentity>,
    /// Its key.
    pub key: SubscriberKey,
    /// Whose key it is: the 3GPP network's or its provider's own.
    pub technology: Technology,
    /// AMF, if the file says.
    pub amf: Option<[u8; 2]>,
    /// The last SQN used, if the file says.
    pub sqn: Option<[u8; 6]>,
}

/// What is wrong with a record of a key file, or with the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// The key file's reader says.
    #[error(transparent)]
    File(#[from] Fault),
    /// The key has not the form of its algorithm.
    #[error(transparent)]
    Key(#[from] MaterialError),
}

impl<R: BufRead> KeyFile<R> {
    /// Reads what stands before the first record.
    ///
    /// # Errors
    /// The file is of another format, or its transport key is another.
    pub fn open(format: Format, input: R, key: TransportKey) -> Result<Self, Fault> {
        Reader::open(format, input, key).map(Self)
    }
}

/// Each record, with the line where it begins, from 1. After a [`Fault::File`] there is nothing more.
impl<R: BufRead> Iterator for KeyFile<R> {
    type Item = (u64, Result<KeyedDevice, KeyFileError>);

    fn next(&mut self) -> Option<Self::Item> {
        Some(match self.0.next()? {
            Ok(entry) => (entry.line, KeyedDevice::of(&entry.record).map_err(KeyFileError::from)),
            Err(fault) => {
                let (Fault::Record { line, .. } | Fault::File { line, .. }) = &fault;
                (*line, Err(fault.into()))
            }
        })
    }
}

impl KeyedDevice {
    pub(crate) fn of(record: &KeyRecord) -> Result<Self, MaterialError> {
        Ok(Self {
            identities: record.identities.clone(),
            key: SubscriberKey::of_key_record(record)?,
            technology: record.technology,
            amf: record.amf,
            sqn: record.sqn,
        })
    }

    /// The identity of that kind.
    pub fn identity(&self, kind: IdentityKind) -> Option<&GlobalIdentity> {
        self.identities.iter().find(|identity| identity.kind() == kind)
    }
}
