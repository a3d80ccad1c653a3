//! Key creation (SPEC C1): keys for a range of identities, drawn from the system's randomness. They leave as what can be
//! registered, and as a key file under the transport key of whoever makes the secure elements.

use crate::{KeyedDevice, KmsError, MaterialError};
use obf_keyfile::{Algorithm, Format, KeyRecord, RecordFault, TransportKey, Writer};
use obf_types::{GlobalIdentity, IdentityError, IdentityKind, SecretBytes, Technology};
use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

/// Secure elements whose keys are drawn at once.
const CHUNK: u64 = 256;
/// The most in one batch.
const MOST: u64 = 10_000_000;
/// Digits of an IMSI that name the network at most.
const NETWORK: usize = 6;

/// A range of identities that keys are made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    imsi: u64,
    digits: usize,
    iccid: Option<(u64, usize)>,
    count: u64,
    /// What the keys are for.
    pub algorithm: Algorithm,
    /// Whose they are: the 3GPP network's, or their provider's own.
    pub technology: Technology,
    /// The AMF of their vectors.
    pub amf: [u8; 2],
}

/// Why there is no such batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// The first IMSI is not valid.
    #[error("imsi: {0}")]
    Imsi(IdentityError),
    /// The first ICCID is not valid.
    #[error("iccid: 17 to 19 digits beginning with 89 are needed, without the check digit, which is added")]
    Iccid,
    /// Too few or too many.
    #[error("count: 1 to {MOST}")]
    Count,
    /// The range ends outside of its network or issuer.
    #[error("{0}: the range does not end in the number block that it begins in")]
    Range(&'static str),
}

/// Why keys were not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreationError {
    /// A record is not one.
    #[error(transparent)]
    Fault(#[from] RecordFault),
    /// A key has not the form of its algorithm.
    #[error(transparent)]
    Key(#[from] MaterialError),
    /// No randomness, or the file cannot be written.
    #[error("the key file: {0}")]
    Output(#[from] io::Error),
}

/// The making of a batch: chunk after chunk is drawn; what the registry takes of it is written into the key file.
pub struct Creation {
    batch: Batch,
    file: Pieces,
    writer: Writer<Pieces>,
    next: u64,
    chunk: Vec<KeyRecord>,
}

impl Creation {
    /// Of that batch, into a file of that format under that transport key.
    ///
    /// # Errors
    /// [`CreationError::Output`].
    pub fn begin(batch: Batch, format: Format, key: TransportKey) -> Result<Self, CreationError> {
        let file = Pieces::default();
        let writer = Writer::open(format, file.clone(), key, &mut draw)?;
        Ok(Self { batch, file, writer, next: 0, chunk: Vec::new() })
    }

    /// Draws the keys of the next secure elements, to be registered; none at the end.
    ///
    /// # Errors
    /// [`CreationError`].
    pub fn draw(&mut self) -> Result<Vec<KeyedDevice>, CreationError> {
        let end = self.batch.count.min(self.next.saturating_add(CHUNK));
        self.chunk = (self.next..end).map(|index| self.batch.draw(index)).collect::<Result<_, _>>()?;
        self.next = end;
        self.chunk.iter().map(|record| KeyedDevice::of(record).map_err(Into::into)).collect()
    }

    /// Writes one of the secure elements that were drawn last into the file, by its place among them.
    ///
    /// # Errors
    /// [`CreationError::Output`].
    pub fn write(&mut self, place: usize) -> Result<(), CreationError> {
        match self.chunk.get(place) {
            Some(record) => Ok(self.writer.write(record, &mut draw)?),
            None => Ok(()),
        }
    }

    /// What has come to the file since it was asked last.
    pub fn piece(&self) -> Vec<u8> {
        self.file.cut()
    }

    /// The last piece of the file: a file without it is taken for cut short.
    ///
    /// # Errors
    /// [`CreationError::Output`].
    pub fn finish(self) -> Result<Vec<u8>, CreationError> {
        self.writer.finish()?;
        Ok(self.file.cut())
    }
}

impl Batch {
    /// `count` secure elements of a 3GPP network from that IMSI on, and from that ICCID (without its check digit) on.
    ///
    /// # Errors
    /// [`BatchError`].
    pub fn new(
        imsi: &str,
        iccid: Option<&str>,
        count: u64,
        algorithm: Algorithm,
    ) -> Result<Self, BatchError> {
        GlobalIdentity::new(IdentityKind::Imsi, imsi).map_err(BatchError::Imsi)?;
        if !(1..=MOST).contains(&count) {
            return Err(BatchError::Count);
        }
        let first = imsi.parse().map_err(|_| BatchError::Range("imsi"))?;
        let iccid = iccid.map(|iccid| payload(iccid, count)).transpose()?;
        let technology = Technology::ThreeGpp;
        let batch =
            Self { imsi: first, digits: imsi.len(), iccid, count, algorithm, technology, amf: [0, 0] };
        let last = batch.imsi(count - 1);
        if last.len() != imsi.len() || last.get(..NETWORK) != imsi.get(..NETWORK) {
            return Err(BatchError::Range("imsi"));
        }
        Ok(batch)
    }

    /// How many.
    pub const fn count(&self) -> u64 {
        self.count
    }

    fn imsi(&self, index: u64) -> String {
        format!("{:0width$}", self.imsi.saturating_add(index), width = self.digits)
    }

    /// The secure element of that index, with a key that is drawn now.
    fn draw(&self, index: u64) -> Result<KeyRecord, CreationError> {
        let identity = |kind: IdentityKind, value: &str| {
            GlobalIdentity::new(kind, value)
                .map_err(|error| RecordFault::Identity { field: kind.name(), error })
        };
        let mut identities = vec![identity(IdentityKind::Imsi, &self.imsi(index))?];
        if let Some((first, digits)) = self.iccid {
            let payload = format!("{:0digits$}", first.saturating_add(index));
            identities.push(identity(IdentityKind::Iccid, &with_luhn_digit(&payload))?);
        }
        let k_len = match self.algorithm {
            Algorithm::Milenage => 16,
            Algorithm::Tuak => 32,
        };
        let (mut k, mut c) = (vec![0; k_len], vec![0; self.algorithm.c_len()]);
        draw(&mut k)?;
        draw(&mut c)?;
        let record = KeyRecord::new(identities, self.algorithm, SecretBytes::new(k), SecretBytes::new(c))?;
        Ok(KeyRecord { technology: self.technology, amf: Some(self.amf), sqn: Some([0; 6]), ..record })
    }
}

/// The file as it grows, cut into pieces.
#[derive(Clone, Default)]
struct Pieces(Arc<Mutex<Vec<u8>>>);

impl Pieces {
    fn cut(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Pieces {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn draw(octets: &mut [u8]) -> io::Result<()> {
    getrandom::fill(octets).map_err(|error| io::Error::other(KmsError::NoRandomness(error.to_string())))
}

/// The number and length of an ICCID without its check digit.
fn payload(iccid: &str, count: u64) -> Result<(u64, usize), BatchError> {
    let well_formed = (17..=19).contains(&iccid.len())
        && iccid.starts_with("89")
        && iccid.bytes().all(|digit| digit.is_ascii_digit());
    let first: u64 = iccid.parse().ok().filter(|_| well_formed).ok_or(BatchError::Iccid)?;
    let last = first.checked_add(count - 1).ok_or(BatchError::Range("iccid"))?;
    let same_issuer = format!("{last}").get(..NETWORK) == iccid.get(..NETWORK);
    (same_issuer && last.to_string().len() == iccid.len())
        .then_some((first, iccid.len()))
        .ok_or(BatchError::Range("iccid"))
}

/// ITU-T E.118: the last digit makes the Luhn sum a multiple of ten.
fn with_luhn_digit(payload: &str) -> String {
    let sum: u32 = payload
        .bytes()
        .rev()
        .enumerate()
        .map(|(index, digit)| {
            let value = u32::from(digit - b'0') * if index % 2 == 0 { 2 } else { 1 };
            value / 10 + value % 10
        })
        .sum();
    format!("{payload}{}", (10 - sum % 10) % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c1_a_batch_counts_up_and_an_iccid_gets_its_check_digit() {
        let batch =
            Batch::new("001010000000009", Some("898821100000000001"), 3, Algorithm::Milenage).unwrap();
        let shown = |index| {
            let record = batch.draw(index).unwrap();
            record.identities.iter().map(|identity| identity.value().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(shown(0), ["001010000000009", "8988211000000000011"]);
        assert_eq!(shown(2), ["001010000000011", "8988211000000000037"]);
        let (one, other) = (batch.draw(0).unwrap(), batch.draw(0).unwrap());
        assert!(one.k != other.k && one.c != other.c && one.k != one.c, "drawn anew");
        // The example of ISO/IEC 7812-1.
        assert_eq!(with_luhn_digit("7992739871"), "79927398713");
    }

    #[test]
    fn c1_a_range_ends_in_the_block_that_it_begins_in() {
        let of =
            |imsi, iccid, count| Batch::new(imsi, iccid, count, Algorithm::Tuak).unwrap_err().to_string();
        assert!(of("001010999999999", None, 1_000_000).starts_with("imsi: the range"), "another network");
        assert!(of("999999999999999", None, 2).starts_with("imsi: the range"));
        assert!(of("00101x", None, 1).starts_with("imsi"));
        assert!(of("001010000000001", Some("8988211"), 1).starts_with("iccid: 17 to 19 digits"));
        assert!(of("001010000000001", Some("898821999999999999"), 2).starts_with("iccid: the range"));
        assert!(of("001010000000001", None, 0).starts_with("count"));
    }
}
