//! Key creation (SPEC C1): a batch of secure elements for a range of identities. Each key is drawn by the key management
//! system, is in the registry first, and then goes to the maker of the secure elements in a key file.

use crate::registry::{DeviceRecord, RecordError, Registration, Registry, RegistryError};
use obf_kms::creation::{Batch, Creation, CreationError as DrawError};
use obf_kms::{Format, TransportKey};
use obf_types::{MncLength, UnixTime};

/// Refusals that are named.
const EXAMPLES: usize = 20;

/// Why a batch was not made to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreationError {
    /// The registry or the key management system failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A record breaks a rule of the registry.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// No key can be drawn, or the file cannot be written.
    #[error(transparent)]
    Draw(#[from] DrawError),
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

/// Makes a batch: registers each secure element, then hands what goes into the file to `take`, piece by piece.
///
/// # Errors
/// [`CreationError`]; what was registered stays, and the file then lacks its end, so that its reader notices.
pub async fn create<F: Future<Output = bool>>(
    registry: &Registry,
    batch: Batch,
    mnc_length: MncLength,
    (format, key): (Format, TransportKey),
    now: impl Fn() -> UnixTime,
    mut take: impl FnMut(Vec<u8>) -> F,
) -> Result<Created, CreationError> {
    let mut creation = Creation::begin(batch, format, key)?;
    let mut report = Created::default();
    loop {
        let drawn = creation.draw()?;
        if drawn.is_empty() {
            break;
        }
        let records = drawn.into_iter().map(|device| DeviceRecord::of_keyed(device, mnc_length));
        let records = records.collect::<Result<Vec<_>, _>>()?;
        let names: Vec<_> = records
            .iter()
            .map(|record| record.primary().map(|identity| identity.value().to_owned()))
            .collect();
        let outcomes = registry.register(records, now()).await?;
        for (place, (name, outcome)) in names.into_iter().zip(outcomes).enumerate() {
            match outcome {
                Ok(Registration::Added) => {
                    report.created += 1;
                    creation.write(place)?;
                }
                other => report.refuse(name.unwrap_or_default(), other),
            }
        }
        if !take(creation.piece()).await {
            return Err(CreationError::Gone(report.created));
        }
    }
    if !take(creation.finish()?).await {
        return Err(CreationError::Gone(report.created));
    }
    Ok(report)
}

impl Created {
    fn refuse(&mut self, identity: String, outcome: Result<Registration, RegistryError>) {
        self.refused += 1;
        if self.examples.len() < EXAMPLES {
            let why = outcome.err().map_or_else(|| "is registered already".into(), |error| error.to_string());
            self.examples.push((identity, why));
        }
    }
}
