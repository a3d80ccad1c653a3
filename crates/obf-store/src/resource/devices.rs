//! Devices: identities unchanged (SPEC R9), the wrapped key, and where SQN and epoch stand.

use super::{Change, NoticeKind, ResourceDb, outbox};
use crate::StoreError;
use obf_types::{Epoch, GlobalIdentity, HomeNetwork, IdentityKind, UnixTime};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::future::Future;

/// A device's key in the store; means nothing outside of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceId(pub(super) i64);

impl DeviceId {
    /// As a cursor of a listing.
    pub const fn to_cursor(self) -> i64 {
        self.0
    }

    /// From a cursor of a listing.
    pub const fn from_cursor(cursor: i64) -> Self {
        Self(cursor)
    }
}

/// Whether a device may authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceState {
    /// It may.
    Active = 0,
    /// Not until it is resumed.
    Suspended = 1,
}

/// What the device's key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AkaAlgorithm {
    /// TS 35.206.
    Milenage = 1,
    /// TS 35.231.
    Tuak = 2,
}

/// A device to be added. Its key is wrapped already.
#[derive(Clone, Debug)]
pub struct NewDevice {
    /// All that it can be found by, the primary one first; at least one.
    pub identities: Vec<GlobalIdentity>,
    /// How its IMSI splits.
    pub home_network: HomeNetwork,
    /// What the key is for.
    pub algorithm: AkaAlgorithm,
    /// The subscriber key as an envelope.
    pub wrapped_key: Vec<u8>,
    /// The AMF of its vectors.
    pub amf: [u8; 2],
    /// The last SQN used, SEQ ‖ IND, 48 bits.
    pub sqn: u64,
    /// The lowest algorithm it may bootstrap with: 1 AKAv1-MD5, 2 AKAv2-SHA-256.
    pub minimum_algorithm: u8,
    /// When its custodian's KYC ends, if ever.
    pub kyc_expiry: Option<UnixTime>,
    /// Its custodian, if registered (SPEC R6).
    pub custodian: Option<String>,
}

/// A device as registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its key here.
    pub id: DeviceId,
    /// All that it can be found by, the primary one first; never empty.
    pub identities: Vec<GlobalIdentity>,
    /// How its IMSI splits.
    pub home_network: HomeNetwork,
    /// What the key is for.
    pub algorithm: AkaAlgorithm,
    /// The subscriber key as an envelope.
    pub wrapped_key: Vec<u8>,
    /// The AMF of its vectors.
    pub amf: [u8; 2],
    /// The SQN it was added with.
    pub initial_sqn: u64,
    /// The last SQN handed out.
    pub sqn: u64,
    /// Rises whenever its tokens are ended.
    pub epoch: Epoch,
    /// Whether it may authenticate.
    pub state: DeviceState,
    /// 1 AKAv1-MD5, 2 AKAv2-SHA-256.
    pub minimum_algorithm: u8,
    /// When its custodian's KYC ends, if ever.
    pub kyc_expiry: Option<UnixTime>,
    /// Its custodian, if registered.
    pub custodian: Option<String>,
    /// When it was added.
    pub created_at: UnixTime,
}

impl Device {
    /// The identity it is registered under first of all.
    pub fn primary(&self) -> Option<&GlobalIdentity> {
        self.identities.first()
    }
}

/// What became of a device that was to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is there now.
    New(DeviceId),
    /// Nothing was changed: this device has one of its identities already.
    Exists(Box<Device>),
}

/// The registry of devices.
pub trait Devices {
    /// Adds devices, each or not at all, and says for each what became of it, in order.
    fn add_devices(
        &self,
        devices: Vec<NewDevice>,
        now: UnixTime,
    ) -> impl Future<Output = Result<Vec<Added>, StoreError>> + Send;

    /// The devices that have this value among their identities (of that kind, or of any): one, unless two kinds
    /// collide.
    fn find_devices(
        &self,
        kind: Option<IdentityKind>,
        value: &str,
    ) -> impl Future<Output = Result<Vec<Device>, StoreError>> + Send;

    /// Up to `limit` devices in order of their ids, after that one.
    fn list_devices(
        &self,
        after: Option<DeviceId>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Device>, StoreError>> + Send;

    /// Lets it authenticate again; false if there is no such device.
    fn resume_device(&self, id: DeviceId) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Ends all its tokens: the epoch rises, and each Authentication Server of `change` gets a Disconnect. With
    /// `state`, that state is set as well. `None` if there is no such device.
    fn end_tokens(
        &self,
        id: DeviceId,
        state: Option<DeviceState>,
        change: Change,
    ) -> impl Future<Output = Result<Option<Epoch>, StoreError>> + Send;

    /// Removes it and its grants, ending its tokens; false if there is no such device.
    fn remove_device(
        &self,
        id: DeviceId,
        change: Change,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

impl Devices for ResourceDb {
    async fn add_devices(&self, devices: Vec<NewDevice>, now: UnixTime) -> Result<Vec<Added>, StoreError> {
        self.database.write(move |c| devices.iter().map(|device| add(c, device, now)).collect()).await
    }

    async fn find_devices(&self, kind: Option<IdentityKind>, value: &str) -> Result<Vec<Device>, StoreError> {
        let value = value.to_owned();
        self.database
            .read(move |c| {
                let mut ids = c.prepare_cached(
                    "SELECT DISTINCT device FROM identities WHERE value = ?1 AND (?2 IS NULL OR kind = ?2)",
                )?;
                let ids = ids.query_map(params![value, kind.map(|kind| kind as u8)], |row| row.get(0))?;
                let ids = ids.collect::<Result<Vec<i64>, _>>()?;
                ids.into_iter().filter_map(|id| load(c, DeviceId(id)).transpose()).collect()
            })
            .await
    }

    async fn list_devices(&self, after: Option<DeviceId>, limit: u32) -> Result<Vec<Device>, StoreError> {
        self.database
            .read(move |c| {
                let mut ids =
                    c.prepare_cached("SELECT id FROM devices WHERE id > ?1 ORDER BY id LIMIT ?2")?;
                let ids = ids.query_map(params![after.map_or(0, |id| id.0), limit], |row| row.get(0))?;
                let ids = ids.collect::<Result<Vec<i64>, _>>()?;
                ids.into_iter().filter_map(|id| load(c, DeviceId(id)).transpose()).collect()
            })
            .await
    }

    async fn resume_device(&self, id: DeviceId) -> Result<bool, StoreError> {
        self.database
            .write_statement(move |c| {
                Ok(c.prepare_cached("UPDATE devices SET state = 0 WHERE id = ?1")?.execute([id.0])? > 0)
            })
            .await
    }

    async fn end_tokens(
        &self,
        id: DeviceId,
        state: Option<DeviceState>,
        change: Change,
    ) -> Result<Option<Epoch>, StoreError> {
        self.database.write(move |c| end_tokens(c, id, state, &change)).await
    }

    async fn remove_device(&self, id: DeviceId, change: Change) -> Result<bool, StoreError> {
        self.database
            .write(move |c| {
                if end_tokens(c, id, None, &change)?.is_none() {
                    return Ok(false);
                }
                let remember = "
                    INSERT INTO former_identities (value, kind, sqn, epoch)
                    SELECT i.value, i.kind, d.sqn, d.epoch
                    FROM identities i JOIN devices d ON d.id = i.device WHERE d.id = ?1
                    ON CONFLICT DO UPDATE
                    SET sqn = max(sqn, excluded.sqn), epoch = max(epoch, excluded.epoch)";
                c.prepare_cached(remember)?.execute([id.0])?;
                c.prepare_cached("DELETE FROM devices WHERE id = ?1")?.execute([id.0])?;
                Ok(true)
            })
            .await
    }
}

fn add(c: &Connection, device: &NewDevice, now: UnixTime) -> Result<Added, StoreError> {
    let (mut sqn, mut epoch) = (device.sqn, 0);
    for identity in &device.identities {
        if let Some(existing) = find(c, identity)?.map(|id| load(c, id)).transpose()?.flatten() {
            return Ok(Added::Exists(Box::new(existing)));
        }
        let former = c
            .prepare_cached("SELECT sqn, epoch FROM former_identities WHERE value = ?1 AND kind = ?2")?
            .query_row(params![identity.value(), identity.kind() as u8], |row| {
                Ok((row.get::<_, u64>(0)?, row.get::<_, u64>(1)?))
            })
            .optional()?;
        if let Some((former_sqn, former_epoch)) = former {
            (sqn, epoch) = (sqn.max(former_sqn), epoch.max(former_epoch));
        }
    }
    let mut insert = c.prepare_cached(
        "INSERT INTO devices (home_network, wrapped_key, amf, initial_sqn, sqn, epoch, state,
                              minimum_algorithm, kyc_expiry, custodian, created_at, algorithm)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, ?8, ?9, ?10, ?11) RETURNING id",
    )?;
    let digits = match device.home_network {
        HomeNetwork::TwoDigitMnc => 2,
        HomeNetwork::ThreeDigitMnc => 3,
    };
    let values = params![
        digits,
        device.wrapped_key,
        u16::from_be_bytes(device.amf),
        device.sqn,
        sqn,
        epoch,
        device.minimum_algorithm,
        device.kyc_expiry.map(|at| at.0),
        device.custodian,
        now.0,
        device.algorithm as u8,
    ];
    let id: i64 = insert.query_row(values, |row| row.get(0))?;
    let mut insert =
        c.prepare_cached("INSERT INTO identities (value, kind, device, rank) VALUES (?1, ?2, ?3, ?4)")?;
    for (rank, identity) in device.identities.iter().enumerate() {
        insert.execute(params![identity.value(), identity.kind() as u8, id, rank])?;
    }
    Ok(Added::New(DeviceId(id)))
}

fn end_tokens(
    c: &Connection,
    id: DeviceId,
    state: Option<DeviceState>,
    change: &Change,
) -> Result<Option<Epoch>, StoreError> {
    let epoch = c
        .prepare_cached(
            "UPDATE devices SET epoch = epoch + 1, state = coalesce(?2, state) WHERE id = ?1 RETURNING epoch",
        )?
        .query_row(params![id.0, state.map(|state| state as u8)], |row| row.get(0))
        .optional()?
        .map(Epoch);
    let Some(epoch) = epoch else { return Ok(None) };
    let primary = identities(c, id)?.into_iter().next();
    outbox::announce(c, change, NoticeKind::Disconnect, primary.as_ref().map(|p| (p, epoch)), None)?;
    Ok(Some(epoch))
}

/// The device that has this identity.
pub(super) fn find(c: &Connection, identity: &GlobalIdentity) -> Result<Option<DeviceId>, StoreError> {
    Ok(c.prepare_cached("SELECT device FROM identities WHERE value = ?1 AND kind = ?2")?
        .query_row(params![identity.value(), identity.kind() as u8], |row| row.get(0).map(DeviceId))
        .optional()?)
}

/// The whole record.
pub(super) fn load(c: &Connection, id: DeviceId) -> Result<Option<Device>, StoreError> {
    let device = c
        .prepare_cached(
            "SELECT home_network, wrapped_key, amf, initial_sqn, sqn, epoch, state, minimum_algorithm,
                    kyc_expiry, custodian, created_at, algorithm FROM devices WHERE id = ?1",
        )?
        .query_row([id.0], |row| device(id, row))
        .optional()?;
    let Some(mut device) = device else { return Ok(None) };
    device.identities = identities(c, id)?;
    Ok(Some(device))
}

pub(super) fn identities(c: &Connection, id: DeviceId) -> Result<Vec<GlobalIdentity>, StoreError> {
    let mut statement =
        c.prepare_cached("SELECT kind, value FROM identities WHERE device = ?1 ORDER BY rank")?;
    let mut rows = statement.query([id.0])?;
    let mut identities = Vec::new();
    while let Some(row) = rows.next()? {
        identities.push(identity(row.get(0)?, row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?)?);
    }
    Ok(identities)
}

/// An identity as stored.
pub(super) fn identity(kind: u8, value: &str) -> Result<GlobalIdentity, StoreError> {
    IdentityKind::from_number(kind)
        .and_then(|kind| GlobalIdentity::new(kind, value).ok())
        .ok_or_else(|| StoreError::Corrupt(format!("identity of kind {kind} is none")))
}

fn device(id: DeviceId, row: &Row<'_>) -> rusqlite::Result<Device> {
    Ok(Device {
        id,
        identities: Vec::new(),
        home_network: match row.get::<_, u8>(0)? {
            3 => HomeNetwork::ThreeDigitMnc,
            _ => HomeNetwork::TwoDigitMnc,
        },
        wrapped_key: row.get(1)?,
        amf: row.get::<_, u16>(2)?.to_be_bytes(),
        initial_sqn: row.get(3)?,
        sqn: row.get(4)?,
        epoch: Epoch(row.get(5)?),
        state: if row.get::<_, u8>(6)? == 0 { DeviceState::Active } else { DeviceState::Suspended },
        minimum_algorithm: row.get(7)?,
        kyc_expiry: row.get::<_, Option<u64>>(8)?.map(UnixTime),
        custodian: row.get(9)?,
        created_at: UnixTime(row.get(10)?),
        algorithm: if row.get::<_, u8>(11)? == 1 { AkaAlgorithm::Milenage } else { AkaAlgorithm::Tuak },
    })
}
