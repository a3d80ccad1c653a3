//! Sequence numbers: each is taken by one atomic statement and answered after its fsync, so that none is ever
//! handed out twice, whatever crashes (TS 33.102 6.3, C.1.1: SQN = SEQ ‖ IND, IND of 5 bits).

use super::{
    Device, DeviceId, ResourceDb, RightsPage,
    devices::{find, load},
    grants,
};
use crate::StoreError;
use obf_types::{GlobalIdentity, Refusal, UnixTime};
use rusqlite::{Connection, OptionalExtension, params};
use std::future::Future;

/// How long a used (device, RAND) of a resynchronisation is remembered: far longer than any challenge lives.
const RESYNCHRONISATION_MEMORY: u64 = 7 * 86_400;

/// A device with a fresh SQN, and its rights as asked for.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The device; its `sqn` is the fresh one.
    pub device: Device,
    /// What it is granted.
    pub rights: RightsPage,
}

/// What to read together with the SQN.
#[derive(Clone, Copy, Debug)]
pub struct WithRights {
    /// At most so many grants.
    pub limit: u32,
}

/// The sequence numbers of the devices.
pub trait SequenceNumbers {
    /// Takes the next SQN of the device with that identity: SEQ + 1 with this `ind` (0..=31), if `permit` lets the
    /// device. The inner error is `permit`'s, or [`Refusal::UnknownIdentity`]; then no SQN was taken, but it took as long.
    fn take_sqn(
        &self,
        identity: GlobalIdentity,
        ind: u8,
        with: WithRights,
        permit: impl FnOnce(&Device) -> Result<(), Refusal> + Send + 'static,
    ) -> impl Future<Output = Result<Result<Taken, Refusal>, StoreError>> + Send;

    /// Records (device, RAND) for good and takes the next SQN as [`SequenceNumbers::take_sqn`] does; before that,
    /// SQN := `sqn_ms` if `adopt`, asked with the SQN as it stands, says so. The caller has verified MAC-S.
    /// A RAND used before is refused as [`Refusal::BadResynchronisation`].
    #[expect(clippy::too_many_arguments, reason = "the parts of one resynchronisation, each once")]
    fn resynchronise(
        &self,
        device: DeviceId,
        rand: [u8; 16],
        sqn_ms: u64,
        adopt: impl FnOnce(u64) -> bool + Send + 'static,
        ind: u8,
        with: WithRights,
        now: UnixTime,
    ) -> impl Future<Output = Result<Result<Taken, Refusal>, StoreError>> + Send;
}

impl SequenceNumbers for ResourceDb {
    async fn take_sqn(
        &self,
        identity: GlobalIdentity,
        ind: u8,
        with: WithRights,
        permit: impl FnOnce(&Device) -> Result<(), Refusal> + Send + 'static,
    ) -> Result<Result<Taken, Refusal>, StoreError> {
        self.database
            .write_statement(move |c| {
                let Some(device) = find(c, &identity)?.map(|id| load(c, id)).transpose()?.flatten() else {
                    count_refusal(c)?;
                    return Ok(Err(Refusal::UnknownIdentity));
                };
                if let Err(refusal) = permit(&device) {
                    count_refusal(c)?;
                    return Ok(Err(refusal));
                }
                next(c, device, ind, with).map(Ok)
            })
            .await
    }

    async fn resynchronise(
        &self,
        device: DeviceId,
        rand: [u8; 16],
        sqn_ms: u64,
        adopt: impl FnOnce(u64) -> bool + Send + 'static,
        ind: u8,
        with: WithRights,
        now: UnixTime,
    ) -> Result<Result<Taken, Refusal>, StoreError> {
        self.database
            .write(move |c| {
                let Some(mut device) = load(c, device)? else {
                    return Ok(Err(Refusal::UnknownIdentity));
                };
                c.prepare_cached("DELETE FROM resynchronisations WHERE device = ?1 AND at < ?2")?
                    .execute(params![device.id.0, now.0.saturating_sub(RESYNCHRONISATION_MEMORY)])?;
                let fresh = c
                    .prepare_cached("INSERT OR IGNORE INTO resynchronisations VALUES (?1, ?2, ?3)")?
                    .execute(params![device.id.0, rand, now.0])?;
                if fresh == 0 {
                    return Ok(Err(Refusal::BadResynchronisation));
                }
                if adopt(device.sqn) {
                    c.prepare_cached("UPDATE devices SET sqn = ?2 WHERE id = ?1")?
                        .execute(params![device.id.0, sqn_ms])?;
                    device.sqn = sqn_ms;
                }
                next(c, device, ind, with).map(Ok)
            })
            .await
    }
}

/// A refusal waits for an fsync like a vector does, so that how long an answer takes does not tell whether there is such
/// a device (WIRES "No oracle"). SQLite writes only what changes, so something has to.
fn count_refusal(c: &Connection) -> Result<(), StoreError> {
    c.prepare_cached("UPDATE refused_vectors SET count = count + 1")?.execute([])?;
    Ok(())
}

fn next(c: &Connection, mut device: Device, ind: u8, with: WithRights) -> Result<Taken, StoreError> {
    // Read before the one changing statement, so that nothing can fail after it.
    let rights = grants::page(c, device.id, None, with.limit)?;
    let sqn = c
        .prepare_cached(
            "UPDATE devices SET sqn = (((sqn >> 5) + 1) << 5) | ?2
             WHERE id = ?1 AND sqn < 281474976710655 - 31 RETURNING sqn",
        )?
        .query_row(params![device.id.0, ind & 31], |row| row.get(0))
        .optional()?;
    device.sqn = sqn.ok_or_else(|| StoreError::Other("the device's sequence numbers are used up".into()))?;
    Ok(Taken { device, rights })
}
