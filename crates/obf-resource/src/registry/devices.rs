//! Devices: registered once, found by any identity, suspended, revoked, removed.

use super::{DeviceRecord, RecordSource};
use crate::{
    authorisation::Policy,
    backup::{self, BackupError},
};
use bytes::Bytes;
use hyper::body::Body;
use obf_kms::{Envelope, Kms, KmsError, Sealer, rotation::Rotation};
use obf_store::{
    StoreError,
    resource::{
        Act, Added, AkaParameters, Change, Credential, CredentialState, Device, FIRST_KEY_INDEX, KeyEnvelope,
        NewDevice, Parameters, ResourceDb, Source,
    },
};
use obf_types::{GlobalIdentity, IdentityKind, UnixTime};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Why the registry did not do something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// A device with one of these identities is there, and is not the same.
    #[error("{identity} is registered already, with another {differs}")]
    Conflict {
        /// The primary identity of the device that is there.
        identity: String,
        /// Which parts differ.
        differs: String,
    },
    /// There is no such device.
    #[error("no device {0}")]
    UnknownDevice(String),
    /// Several devices have this value, as identities of different kinds.
    #[error("{0} names several devices; write the kind in front, for example iccid:{0}")]
    AmbiguousDevice(String),
    /// There is no such custodian.
    #[error("no custodian {0}")]
    UnknownCustodian(String),
    /// There is no such application.
    #[error("no application {0}")]
    UnknownApplication(String),
    /// An application of that id is there, and is not the same.
    #[error("{0} is registered already, with other content; remove it first")]
    ApplicationConflict(String),
    /// The key management system failed.
    #[error(transparent)]
    Kms(#[from] KmsError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// It is registered now.
    Added,
    /// It was registered before, with the same content: nothing changed.
    Unchanged,
}

/// Records whose keys are wrapped, ready to be registered. The keys stand beside it unwrapped, where only the key
/// management system reads them, to be compared with those of devices that are there already.
#[derive(Debug)]
pub struct Prepared {
    records: Vec<DeviceRecord>,
    devices: Vec<NewDevice>,
}

impl Prepared {
    /// Wraps their keys: work for a thread that may block.
    ///
    /// # Errors
    /// One cannot be wrapped.
    pub fn new(records: Vec<DeviceRecord>, sealer: &Sealer) -> Result<Self, RegistryError> {
        let devices = records.iter().map(|record| wrapped(record, sealer)).collect::<Result<_, _>>()?;
        Ok(Self { records, devices })
    }
}

/// The registry on its store and key management system.
#[derive(Clone)]
pub struct Registry {
    pub(super) store: ResourceDb,
    kms: Kms,
    pub(super) actor: Arc<str>,
    pub(super) reason: Arc<str>,
    addressees: Arc<[String]>,
    pub(crate) policy: Policy,
}

impl Registry {
    /// `addressees` are the Authentication Servers that are told of changes.
    pub fn new(store: ResourceDb, kms: Kms, addressees: Arc<[String]>) -> Self {
        Self { store, kms, actor: "obf".into(), reason: "".into(), addressees, policy: Policy::default() }
    }

    /// The same registry under that policy.
    #[must_use]
    pub fn under(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// The same registry for that administrator, for that reason: both stand in the audit.
    #[must_use]
    pub fn acting(&self, actor: &str, reason: &str) -> Self {
        Self { actor: actor.into(), reason: reason.into(), ..self.clone() }
    }

    /// Registers devices, each or not at all, and says for each what became of it, in order.
    ///
    /// # Errors
    /// The store's; then none was registered.
    pub async fn register(
        &self,
        records: Vec<DeviceRecord>,
        now: UnixTime,
    ) -> Result<Vec<Result<Registration, RegistryError>>, RegistryError> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let sealer = self.sealer(records.len()).await?;
        self.register_prepared(Prepared::new(records, &sealer)?, now).await
    }

    /// What [`Prepared::new`] needs for so many records.
    ///
    /// # Errors
    /// The key management system's.
    pub async fn sealer(&self, records: usize) -> Result<Sealer, RegistryError> {
        Ok(self.kms.sealer(records).await?)
    }

    /// As [`Self::register`], of records whose keys are wrapped already.
    ///
    /// # Errors
    /// The store's; then none was registered.
    pub async fn register_prepared(
        &self,
        prepared: Prepared,
        now: UnixTime,
    ) -> Result<Vec<Result<Registration, RegistryError>>, RegistryError> {
        let Prepared { records, devices } = prepared;
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let added = self.store.add_devices(devices, self.change(now)).await?;
        let noted = self.note_comparisons(&records, &added, now).await;
        let mut outcomes = Vec::with_capacity(records.len());
        for (record, added) in records.iter().zip(added) {
            outcomes.push(match added {
                Added::New(_) => Ok(Registration::Added),
                Added::Exists(device) => match &noted {
                    Ok(()) => self.compare(record, &device).await,
                    Err(error) => Err(error.clone().into()),
                },
                Added::Failed(error) => Err(error.into()),
                Added::NoCustodian => {
                    Err(RegistryError::UnknownCustodian(record.custodian.clone().unwrap_or_default()))
                }
            });
        }
        Ok(outcomes)
    }

    /// The device of an identity: `kind:value`, or a value that only one device has.
    ///
    /// # Errors
    /// [`RegistryError::UnknownDevice`], [`RegistryError::AmbiguousDevice`], or the store's.
    pub async fn device(&self, identity: &str) -> Result<Device, RegistryError> {
        let (kind, value) = match IdentityKind::split(identity) {
            Some((kind, value)) => (Some(kind), value),
            None => (None, identity),
        };
        let mut found = self.store.find_devices(kind, value).await?;
        match (found.pop(), found.is_empty()) {
            (Some(device), true) => Ok(device),
            (Some(_), false) => Err(RegistryError::AmbiguousDevice(identity.into())),
            (None, _) => Err(RegistryError::UnknownDevice(identity.into())),
        }
    }

    /// Starts a rotation of keys, or goes on with the one under way.
    ///
    /// # Errors
    /// The key management system's.
    pub async fn rotate(&self, full: bool, now: UnixTime) -> Result<Rotation, RegistryError> {
        Ok(self.kms.rotate(full, self.change(now)).await?)
    }

    /// Writes a backup of everything into `out`, all of it or without its end; says how many rows it has.
    ///
    /// # Errors
    /// [`BackupError`].
    pub async fn write_backup(&self, out: &mpsc::Sender<Bytes>) -> Result<u64, BackupError> {
        backup::write(&self.store, &self.kms, out).await
    }

    /// Restores the backup that comes as `body` into an empty database; says how many rows it had.
    ///
    /// # Errors
    /// [`BackupError`].
    pub async fn restore<B>(&self, body: B, now: UnixTime) -> Result<u64, BackupError>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        backup::restore(&self.store, &self.kms, self.change(now), body).await
    }

    /// Its key management system.
    pub(crate) const fn kms(&self) -> &Kms {
        &self.kms
    }

    /// A change in the name of whoever this registry acts for.
    pub(crate) fn change(&self, at: UnixTime) -> Change {
        Change {
            actor: self.actor.clone(),
            reason: self.reason.clone(),
            addressees: self.addressees.clone(),
            at,
        }
    }

    /// A row of the audit for each key that is about to be opened.
    async fn note_comparisons(
        &self,
        records: &[DeviceRecord],
        added: &[Added],
        now: UnixTime,
    ) -> Result<(), StoreError> {
        let opened = records.iter().zip(added).filter_map(|(record, added)| match added {
            Added::Exists(device) => device.active(record.mode()).and_then(|credential| {
                match (&record.source, &credential.source) {
                    (RecordSource::Kms(_), Source::Kms(_)) => device.primary(),
                    _ => None,
                }
            }),
            _ => None,
        });
        let acts: Vec<Act> = opened
            .map(|primary| Act {
                actor: (*self.actor).to_owned(),
                action: "key.use".to_owned(),
                object: primary.to_string(),
                reason: "comparison with a record that came again".to_owned(),
                detail: (*self.reason).to_owned(),
            })
            .collect();
        if acts.is_empty() { Ok(()) } else { self.store.record_acts(acts, now).await }
    }

    async fn compare(&self, record: &DeviceRecord, device: &Device) -> Result<Registration, RegistryError> {
        let of_device = [
            ("identities", record.identities != device.identities),
            ("home network", record.mnc_length != device.mnc_length),
            ("kyc expiry", record.kyc_expiry != device.kyc_expiry),
            (
                "custodian",
                record.custodian.as_deref()
                    != device.custodian.as_ref().map(|custodian| custodian.id.as_str()),
            ),
        ];
        let mut differs: Vec<_> =
            of_device.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect();
        match device.active(record.mode()) {
            Some(credential) => differs.extend(self.compare_credential(record, device, credential).await?),
            None => differs.push("key"),
        }
        if differs.is_empty() {
            return Ok(Registration::Unchanged);
        }
        let identity = device.primary().map(GlobalIdentity::value).unwrap_or_default().to_owned();
        Err(RegistryError::Conflict { identity, differs: differs.join(", ") })
    }

    /// What of the record is not as in the credential.
    async fn compare_credential(
        &self,
        record: &DeviceRecord,
        device: &Device,
        credential: &Credential,
    ) -> Result<Vec<&'static str>, RegistryError> {
        let aka = credential.aka();
        let differs = [
            ("technology", record.technology != credential.technology),
            (
                "key",
                match (&record.source, &credential.source) {
                    (RecordSource::Kms(key), Source::Kms(_)) => match envelope(device, credential) {
                        Some(kept) => !self.kms.is_key_of(key, kept).await?,
                        None => true,
                    },
                    (RecordSource::Hlr(name), Source::Hlr(known)) => name != known,
                    _ => true,
                },
            ),
            ("amf", record.amf != aka.amf),
            ("sqn", record.sqn != aka.initial_sqn),
            ("minimum algorithm", record.minimum_algorithm != aka.minimum_algorithm),
        ];
        Ok(differs.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect())
    }
}

/// The key of a device's credential as it is kept; `None` if it is elsewhere.
pub(crate) fn envelope<'a>(device: &'a Device, credential: &'a Credential) -> Option<Envelope<'a>> {
    let KeyEnvelope { algorithm, wrapped } = credential.envelope()?;
    Some(Envelope { primary: device.primary()?, algorithm: *algorithm, octets: wrapped })
}

fn wrapped(record: &DeviceRecord, sealer: &Sealer) -> Result<NewDevice, RegistryError> {
    let primary = record.primary().ok_or_else(|| RegistryError::UnknownDevice(String::new()))?;
    let source = match &record.source {
        RecordSource::Kms(key) => {
            Source::Kms(KeyEnvelope { algorithm: key.algorithm(), wrapped: sealer.wrap(key, primary)? })
        }
        RecordSource::Hlr(name) => Source::Hlr(name.clone()),
    };
    let credential = Credential {
        key_index: FIRST_KEY_INDEX,
        technology: record.technology,
        state: CredentialState::Active,
        source,
        parameters: Parameters::Aka(AkaParameters {
            amf: record.amf,
            minimum_algorithm: record.minimum_algorithm,
            initial_sqn: record.sqn,
            sqn: record.sqn,
        }),
    };
    Ok(NewDevice {
        identities: record.identities.clone(),
        mnc_length: record.mnc_length,
        credentials: vec![credential],
        state: record.state,
        kyc_expiry: record.kyc_expiry,
        custodian: record.custodian.clone(),
    })
}
