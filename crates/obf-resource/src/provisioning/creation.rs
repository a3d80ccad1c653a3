//! Key creation (SPEC C1): a batch of secure elements for a range of identities. Each key is drawn from the system's
//! randomness, is in the registry first, and then goes to the maker of the secure elements in a key file.

use crate::registry::{DeviceRecord, RecordError, Registration, Registry, RegistryError};
use obf_keyfile::{Algorithm, Format, KeyRecord, RecordFault, TransportKey, Writer};
use obf_kms::KmsError;
use obf_types::{GlobalIdentity, HomeNetwork, IdentityError, IdentityKind, SecretBytes, UnixTime};
use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

/// Secure elements made and registered in one transaction.
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
    /// The AMF of their vectors.
    pub amf: [u8; 2],
}

/// Why there is no such batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// The first IMSI is none.
    #[error("imsi: {0}")]
    Imsi(IdentityError),
    /// The first ICCID is none.
    #[error("iccid: 17 to 19 digits beginning with 89 are needed, without the check digit, which is added")]
    Iccid,
    /// Too few or too many.
    #[error("count: 1 to {MOST}")]
    Count,
    /// The range ends outside of its network or issuer.
    #[error("{0}: the range does not end in the number block that it begins in")]
    Range(&'static str),
}

/// Why a batch was not made to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreationError {
    /// The registry or the key management system failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A record is not one.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A key has not the form of its algorithm.
    #[error(transparent)]
    Fault(#[from] RecordFault),
    /// The file cannot be written.
    #[error("the key file: {0}")]
    Output(#[from] io::Error),
    /// Whoever wanted the file went away.
    #[error("nobody takes the key file any more: {0} secure elements were registered")]
    Gone(u64),
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Created {
    /// Secure elements registered and in the file.
    pub created: u64,
    /// Those that were not made, because something was registered under their identity before; the first of them, with
    /// why.
    pub refused: u64,
    /// Some of the refusals.
    pub examples: Vec<(String, String)>,
}

/// Refusals that are named.
const EXAMPLES: usize = 20;

impl Batch {
    /// `count` secure elements from that IMSI on, and from that ICCID (without its check digit) on.
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
        let batch = Self { imsi: first, digits: imsi.len(), iccid, count, algorithm, amf: [0, 0] };
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

    /// The secure element of that index, with a key drawn by `draw`.
    ///
    /// # Errors
    /// Of `draw`.
    pub fn draw(
        &self,
        index: u64,
        draw: &mut dyn FnMut(&mut [u8]) -> io::Result<()>,
    ) -> Result<KeyRecord, CreationError> {
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
        Ok(KeyRecord { amf: Some(self.amf), sqn: Some([0; 6]), ..record })
    }
}

/// Makes a batch: registers each secure element, then hands what goes into the file to `take`, piece by piece.
///
/// # Errors
/// [`CreationError`]; what was registered stays, and the file then lacks its end, so that its reader notices.
pub async fn create<F: Future<Output = bool>>(
    registry: &Registry,
    batch: &Batch,
    network: HomeNetwork,
    (format, key): (Format, TransportKey),
    now: impl Fn() -> UnixTime,
    mut take: impl FnMut(Vec<u8>) -> F,
) -> Result<Created, CreationError> {
    let file = Pieces::default();
    let mut writer = Writer::open(format, file.clone(), key, &mut draw)?;
    let mut report = Created::default();
    let mut first = 0;
    while first < batch.count {
        let end = batch.count.min(first + CHUNK);
        let drawn = (first..end).map(|index| batch.draw(index, &mut draw)).collect::<Result<Vec<_>, _>>()?;
        let records = drawn.iter().map(|record| DeviceRecord::from_key_file(record, network));
        let records = records.collect::<Result<Vec<_>, _>>()?;
        for (record, outcome) in drawn.iter().zip(registry.register(records, now()).await?) {
            match outcome {
                Ok(Registration::Added) => {
                    report.created += 1;
                    writer.write(record, &mut draw)?;
                }
                other => report.refuse(record, other),
            }
        }
        if !take(file.cut()).await {
            return Err(CreationError::Gone(report.created));
        }
        first = end;
    }
    writer.finish()?;
    if !take(file.cut()).await {
        return Err(CreationError::Gone(report.created));
    }
    Ok(report)
}

impl Created {
    fn refuse(&mut self, record: &KeyRecord, outcome: Result<Registration, RegistryError>) {
        self.refused += 1;
        if self.examples.len() < EXAMPLES {
            let identity = record.identities.first().map(ToString::to_string).unwrap_or_default();
            let why = outcome.err().map_or_else(|| "is registered already".into(), |error| error.to_string());
            self.examples.push((identity, why));
        }
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
            let record = batch.draw(index, &mut draw).unwrap();
            record.identities.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(shown(0), ["001010000000009", "8988211000000000011"]);
        assert_eq!(shown(2), ["001010000000011", "8988211000000000037"]);
        let (one, other) = (batch.draw(0, &mut draw).unwrap(), batch.draw(0, &mut draw).unwrap());
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
