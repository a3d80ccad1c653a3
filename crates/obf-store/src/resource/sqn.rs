//! Sequence numbers: each is taken by one atomic statement and answered after its fsync, so that none is ever
//! handed out twice, whatever crashes (TS 33.102 6.3, C.1.1: SQN = SEQ ‖ IND, IND of 5 bits). Each is a use of the
//! device's key, and a row of the audit.

use super::{
    Credential, CredentialState, Device, DeviceId, ResourceDb, RightsPage,
    device_rows::{load, load_of},
    rights,
};
use crate::{
    StoreError,
    sql::{Session, values},
};
use obf_aka::{CounterScheme, Sqn, SqnExhausted};
use obf_token::Mode;
use obf_types::{GlobalIdentity, Refusal, UnixTime};
use std::sync::Arc;

/// How long a used (device, RAND) of a resynchronisation is remembered: far longer than any challenge lives.
const RESYNCHRONISATION_MEMORY: u64 = 7 * 86_400;

/// A device and the credential that it authenticates with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscriber {
    /// The device.
    pub device: Device,
    /// Its active credential of the mode asked for. Where an SQN was taken it is the fresh one, unless the credential's
    /// source has the sequence numbers.
    pub credential: Credential,
}

/// A device with a fresh SQN, and its rights as asked for.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The device and its credential, with the fresh SQN.
    pub subscriber: Subscriber,
    /// What it is granted.
    pub rights: RightsPage,
}

/// What to read together with the SQN.
#[derive(Clone, Copy, Debug)]
pub struct WithRights {
    /// At most so many grants.
    pub limit: u32,
}

/// For whom a key is used, and when.
#[derive(Clone, Debug)]
pub struct KeyUse {
    /// The Authentication Server that asked, by its registered name.
    pub actor: Arc<str>,
    /// Now.
    pub at: UnixTime,
}

/// The sequence numbers of the devices.
impl ResourceDb {
    /// Takes the next SQN of the device with that identity: SEQ + 1 with this `ind` (0..=31), if `permit` lets the
    /// device. The inner error is `permit`'s, or [`Refusal::UnknownIdentity`], also where it authenticates in no such
    /// mode; then no SQN was taken, but it took as long.
    pub async fn take_sqn(
        &self,
        identity: GlobalIdentity,
        mode: Mode,
        ind: u8,
        with: WithRights,
        key_use: KeyUse,
        permit: impl FnOnce(&Device) -> Result<(), Refusal> + Send + 'static,
    ) -> Result<Result<Taken, Refusal>, StoreError> {
        // Without a savepoint: should the audit's row fail after the SQN was taken, that SQN is skipped, nothing else.
        self.engine
            .write_statement(move |s| match permitted(s, &identity, mode, permit)? {
                Ok(subscriber) => next(s, subscriber, ind, with, &key_use, "vector").map(Ok),
                Err(refusal) => Ok(Err(refusal)),
            })
            .await
    }

    /// The device with that identity, if `permit` lets it, so that a resynchronisation token of it is verified with its
    /// key: a use of the key, in the audit before this returns. The inner error is as that of
    /// [`ResourceDb::take_sqn`].
    pub async fn begin_resynchronisation(
        &self,
        identity: GlobalIdentity,
        mode: Mode,
        key_use: KeyUse,
        permit: impl FnOnce(&Device) -> Result<(), Refusal> + Send + 'static,
    ) -> Result<Result<Subscriber, Refusal>, StoreError> {
        self.engine
            .write_statement(move |s| {
                let found = permitted(s, &identity, mode, permit)?;
                if let Ok(Subscriber { device, credential }) = &found
                    && credential.source.is_ours()
                {
                    record(s, device, &key_use, "verification of AUTS")?;
                }
                Ok(found)
            })
            .await
    }

    /// Records (device, RAND) for good and takes the next SQN of `credential` as [`ResourceDb::take_sqn`] does;
    /// before that, SQN := `sqn_ms` if `adopt`, asked with the SQN as it stands, says so. The caller has verified MAC-S
    /// with that credential, or leaves that to the source which has the key. A RAND used before, or a credential that is
    /// not the active one any more, is refused as [`Refusal::BadResynchronisation`].
    #[expect(clippy::too_many_arguments, reason = "the parts of one resynchronisation, each once")]
    pub async fn resynchronise(
        &self,
        subscriber: Subscriber,
        rand: [u8; 16],
        sqn_ms: u64,
        adopt: impl FnOnce(u64) -> bool + Send + 'static,
        ind: u8,
        with: WithRights,
        key_use: KeyUse,
    ) -> Result<Result<Taken, Refusal>, StoreError> {
        self.engine
            .write(move |s| {
                let Some(device) = load(s, subscriber.device.id)? else {
                    return Ok(Err(Refusal::UnknownIdentity));
                };
                let verified = subscriber.credential;
                let mode = verified.mode();
                // What was verified with one key moves no other key's SQN.
                let Some(mut credential) =
                    device.active(mode).filter(|active| active.key_index == verified.key_index).cloned()
                else {
                    return Ok(Err(Refusal::BadResynchronisation));
                };
                s.execute(
                    "DELETE FROM resynchronisations WHERE device = ?1 AND at < ?2",
                    values![device.id.0, key_use.at.0.saturating_sub(RESYNCHRONISATION_MEMORY)],
                )?;
                let fresh = s.execute(
                    "INSERT INTO resynchronisations (device, rand, at) VALUES (?1, ?2, ?3)
                     ON CONFLICT (device, rand) DO NOTHING",
                    values![device.id.0, &rand, key_use.at.0],
                )?;
                if fresh == 0 {
                    return Ok(Err(Refusal::BadResynchronisation));
                }
                if adopt(credential.aka().sqn) {
                    s.execute(
                        "UPDATE credentials SET sqn = ?4 WHERE device = ?1 AND mode = ?2 AND state = ?3",
                        values![device.id.0, mode as u8, CredentialState::Active as u8, sqn_ms],
                    )?;
                    credential = credential.at_sqn(sqn_ms);
                }
                next(s, Subscriber { device, credential }, ind, with, &key_use, "resynchronisation").map(Ok)
            })
            .await
    }
}

/// The device of that identity, if there is one that authenticates in that mode and `permit` lets it.
fn permitted(
    s: &mut dyn Session,
    identity: &GlobalIdentity,
    mode: Mode,
    permit: impl FnOnce(&Device) -> Result<(), Refusal>,
) -> Result<Result<Subscriber, Refusal>, StoreError> {
    let permitted = load_of(s, identity)?.ok_or(Refusal::UnknownIdentity).and_then(|device| {
        permit(&device)?;
        let credential = device.active(mode).cloned().ok_or(Refusal::UnknownIdentity)?;
        Ok(Subscriber { device, credential })
    });
    if permitted.is_err() {
        count_refusal(s)?;
    }
    Ok(permitted)
}

/// A refusal waits for an fsync like a vector does, so that how long an answer takes does not tell whether there is such
/// a device (WIRES "No oracle"). SQLite writes only what changes, so something has to.
fn count_refusal(s: &mut dyn Session) -> Result<(), StoreError> {
    s.execute("UPDATE refused_vectors SET count = count + 1", &[])?;
    Ok(())
}

fn next(
    s: &mut dyn Session,
    Subscriber { device, mut credential }: Subscriber,
    ind: u8,
    with: WithRights,
    key_use: &KeyUse,
    reason: &str,
) -> Result<Taken, StoreError> {
    // Read before anything is changed, so that this cannot fail after it.
    let rights = rights::page(s, device.id, None, with.limit, key_use.at)?;
    if credential.source.is_ours() {
        credential = take(s, device.id, credential, ind)?;
    }
    record(s, &device, key_use, reason)?;
    Ok(Taken { subscriber: Subscriber { device, credential }, rights })
}

/// SEQ + 1 with this IND, after the credential's SQN, which was just read. Without RETURNING: for that SQLite copies the
/// page first, to be able to undo half a statement.
fn take(
    s: &mut dyn Session,
    device: DeviceId,
    credential: Credential,
    ind: u8,
) -> Result<Credential, StoreError> {
    let mut sqn = credential.aka().sqn;
    let (mode, key_index) = (credential.mode() as u8, credential.key_index);
    loop {
        let next = Sqn::new(sqn).ok_or(SqnExhausted).and_then(|sqn| CounterScheme::default().next(sqn, ind));
        let next = next.map_err(|error| StoreError::Other(error.to_string()))?.number();
        // Of this key and no other: a staged one may take its place meanwhile (PostgreSQL), with the same SQN.
        let values = values![device.0, mode, CredentialState::Active as u8, key_index, sqn, next];
        let taken = s.execute(
            "UPDATE credentials SET sqn = ?6
             WHERE device = ?1 AND mode = ?2 AND state = ?3 AND key_index = ?4 AND sqn = ?5",
            values,
        )?;
        if taken > 0 {
            return Ok(credential.at_sqn(next));
        }
        // Another process took one meanwhile (PostgreSQL).
        let now = s.one(
            "SELECT sqn FROM credentials WHERE device = ?1 AND mode = ?2 AND state = ?3 AND key_index = ?4",
            values![device.0, mode, CredentialState::Active as u8, key_index],
            |row| row.fitting(0),
        )?;
        sqn = now.ok_or_else(|| {
            StoreError::Other("the device was removed, or its key replaced, meanwhile".into())
        })?;
    }
}

fn record(s: &mut dyn Session, device: &Device, key_use: &KeyUse, reason: &str) -> Result<(), StoreError> {
    let object = device.primary().map(ToString::to_string).unwrap_or_default();
    crate::audit::append(s, key_use.at, &key_use.actor, "key.use", &object, reason, "")
}
