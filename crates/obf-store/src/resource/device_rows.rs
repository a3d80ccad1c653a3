//! A device's rows: found, read, added, forgotten.

use super::{
    Added, Credential, Device, DeviceId, NewDevice, credentials, custodians, devices::DeviceCustodian, kyc,
    state_of,
};
use crate::{
    StoreError,
    sql::{Row, Session, Value, values},
};
use obf_types::{Epoch, GlobalIdentity, IdentityKind, MncLength, UnixTime};
use std::fmt::Write as _;

// A row for each credential, or one without: nearly every device has one.
macro_rules! record {
    () => {
        concat!(
            "SELECT d.id, d.identity_kind, d.identity, d.other_identities, d.home_network, d.epoch, d.state,
                    d.kyc_expiry, d.custodian, c.state, d.version, d.created_at, d.updated_at, ",
            credentials::columns!(),
            " "
        )
    };
}
/// How many columns of the record stand before those of the credential.
const OF_DEVICE: usize = 13;

/// What stands behind the table `d` in every query for a record.
macro_rules! joined {
    () => {
        " LEFT JOIN custodians c ON c.id = d.custodian LEFT JOIN credentials k ON k.device = d.id "
    };
}

/// The devices that have this value as an identity, of that kind or of any.
pub(super) fn with_identity(
    s: &mut dyn Session,
    kind: Option<IdentityKind>,
    value: &str,
) -> Result<Vec<DeviceId>, StoreError> {
    s.all(
        "SELECT DISTINCT device FROM identities WHERE value = ?1 AND (CAST(?2 AS BIGINT) IS NULL OR kind = ?2)",
        values![value, kind.map(|kind| kind as u8)],
        |row| row.number(0).map(DeviceId),
    )
}

/// The whole record.
pub(super) fn load(s: &mut dyn Session, id: DeviceId) -> Result<Option<Device>, StoreError> {
    one(s, concat!(record!(), "FROM devices d", joined!(), "WHERE d.id = ?1"), values![id.0])
}

/// The whole record of the device that has this identity.
pub(super) fn load_of(s: &mut dyn Session, identity: &GlobalIdentity) -> Result<Option<Device>, StoreError> {
    let sql = concat!(
        record!(),
        "FROM identities i JOIN devices d ON d.id = i.device",
        joined!(),
        "WHERE i.value = ?1 AND i.kind = ?2"
    );
    one(s, sql, values![identity.value(), identity.kind() as u8])
}

/// The device whose rows these are.
fn one(s: &mut dyn Session, sql: &str, values: &[Value<'_>]) -> Result<Option<Device>, StoreError> {
    let mut found: Option<Device> = None;
    s.query(sql, values, &mut |row| {
        let credential = credentials::read(row, OF_DEVICE)?;
        match &mut found {
            Some(device) => device.credentials.extend(credential),
            None => found = Some(read(row, credential)?),
        }
        Ok(true)
    })?;
    let Some(mut device) = found else { return Ok(None) };
    device.credentials.sort_by_key(|credential| (credential.mode() as u8, credential.state));
    if let Some(custodian) = &mut device.custodian {
        custodian.kyc = kyc::of_custodian(s, &custodian.id)?;
    }
    Ok(Some(device))
}

/// What is the same for all devices of one transaction.
pub(super) struct Adding {
    now: UnixTime,
    /// Whether any device was ever removed.
    remembers: bool,
}

impl Adding {
    /// At that time.
    pub fn begin(s: &mut dyn Session, now: UnixTime) -> Result<Self, StoreError> {
        let remembers = s.exists("SELECT 1 FROM former_identities LIMIT 1", &[])?;
        Ok(Self { now, remembers })
    }

    /// Adds a device, or says why not.
    pub fn add(&self, s: &mut dyn Session, device: &NewDevice) -> Result<Added, StoreError> {
        let Some(primary) = device.identities.first() else {
            return Err(StoreError::Constraint("a device needs an identity".into()));
        };
        if !credentials::fit_together(&device.credentials) {
            return Err(StoreError::Constraint(
                "two credentials of a device are in each other's place".into(),
            ));
        }
        // A record that comes again is found by its primary identity; the others are looked at where they are put in.
        if let Some(existing) = existing(s, primary)? {
            return Ok(Added::Exists(existing));
        }
        if let Some(custodian) = &device.custodian
            && !custodians::exists(s, custodian)?
        {
            return taken(s, &device.identities).map(|taken| taken.unwrap_or(Added::NoCustodian));
        }
        let id = self.insert(s, primary, device)?;
        for (place, identity) in device.identities.iter().enumerate() {
            let put_in = s.execute(
                "INSERT INTO identities (value, kind, device) VALUES (?1, ?2, ?3) ON CONFLICT (value, kind) DO NOTHING",
                values![identity.value(), identity.kind() as u8, id],
            )?;
            if put_in == 0 {
                take_back(s, id, device.identities.get(..place).unwrap_or_default())?;
                let taken = taken(s, &device.identities)?;
                return taken.ok_or_else(|| StoreError::Constraint("an identity is there twice".into()));
            }
        }
        Ok(Added::New(DeviceId(id)))
    }

    fn insert(
        &self,
        s: &mut dyn Session,
        primary: &GlobalIdentity,
        device: &NewDevice,
    ) -> Result<i64, StoreError> {
        let (reached, epoch) = self.reached(s, device)?;
        let mut other_identities = String::new();
        for identity in device.identities.iter().skip(1) {
            // Writing to a String does not fail.
            let _ = writeln!(other_identities, "{} {}", identity.kind() as u8, identity.value());
        }
        let id = s.one(
            "INSERT INTO devices (identity_kind, identity, other_identities, home_network, epoch, state, kyc_expiry,
                                  custodian, version, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1, ?9, ?9) RETURNING id",
            values![
                primary.kind() as u8,
                primary.value(),
                &other_identities,
                device.mnc_length.digits(),
                epoch,
                device.state as u8,
                device.kyc_expiry.map(|at| at.0),
                device.custodian.as_deref(),
                self.now.0
            ],
            |row| row.number(0),
        )?;
        let id = id.ok_or_else(|| StoreError::Other("the new device got no number".into()))?;
        for credential in &device.credentials {
            credentials::insert(s, id, credential, credential.aka().sqn.max(reached))?;
        }
        Ok(id)
    }

    /// SQN and epoch to begin with: not behind what a removed device of the same identity had reached. An Authentication
    /// Server remembers epochs of devices that this database never heard of, because it was restored from before they were
    /// added; epochs begin at the time in seconds, so that none of those is ahead of it.
    fn reached(&self, s: &mut dyn Session, device: &NewDevice) -> Result<(u64, u64), StoreError> {
        let (mut sqn, mut epoch) = (0, self.now.0);
        if self.remembers {
            for identity in &device.identities {
                let former = s.one(
                    "SELECT sqn, epoch FROM former_identities WHERE value = ?1 AND kind = ?2",
                    values![identity.value(), identity.kind() as u8],
                    |row| Ok((row.fitting::<u64>(0)?, row.fitting::<u64>(1)?)),
                )?;
                if let Some((former_sqn, former_epoch)) = former {
                    (sqn, epoch) = (sqn.max(former_sqn), epoch.max(former_epoch));
                }
            }
        }
        Ok((sqn, epoch))
    }
}

/// The device that has one of these identities.
fn taken(s: &mut dyn Session, identities: &[GlobalIdentity]) -> Result<Option<Added>, StoreError> {
    for identity in identities {
        if let Some(existing) = existing(s, identity)? {
            return Ok(Some(Added::Exists(existing)));
        }
    }
    Ok(None)
}

fn existing(s: &mut dyn Session, identity: &GlobalIdentity) -> Result<Option<Box<Device>>, StoreError> {
    Ok(load_of(s, identity)?.map(Box::new))
}

/// Removes a device of this very transaction.
fn take_back(s: &mut dyn Session, id: i64, identities: &[GlobalIdentity]) -> Result<(), StoreError> {
    remove_identities(s, identities)?;
    s.execute("DELETE FROM devices WHERE id = ?1", values![id])?;
    Ok(())
}

fn remove_identities(s: &mut dyn Session, identities: &[GlobalIdentity]) -> Result<(), StoreError> {
    for identity in identities {
        let key = values![identity.value(), identity.kind() as u8];
        s.execute("DELETE FROM identities WHERE value = ?1 AND kind = ?2", key)?;
    }
    Ok(())
}

/// Removes a device, remembering what it had reached.
pub(super) fn forget(s: &mut dyn Session, device: &Device) -> Result<(), StoreError> {
    let sqn = device.credentials.iter().map(|credential| credential.aka().sqn).max().unwrap_or_default();
    for identity in &device.identities {
        s.execute(
            "INSERT INTO former_identities AS f (value, kind, sqn, epoch) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (value, kind) DO UPDATE SET
                 sqn = CASE WHEN f.sqn > excluded.sqn THEN f.sqn ELSE excluded.sqn END,
                 epoch = CASE WHEN f.epoch > excluded.epoch THEN f.epoch ELSE excluded.epoch END",
            values![identity.value(), identity.kind() as u8, sqn, device.epoch.0],
        )?;
    }
    remove_identities(s, &device.identities)?;
    s.execute("DELETE FROM devices WHERE id = ?1", values![device.id.0])?;
    Ok(())
}

/// An identity as stored.
pub(super) fn identity(kind: u8, value: &str) -> Result<GlobalIdentity, StoreError> {
    IdentityKind::from_number(kind)
        .and_then(|kind| GlobalIdentity::new(kind, value).ok())
        .ok_or_else(|| StoreError::Corrupt(format!("identity of kind {kind} is none")))
}

fn identities(row: &dyn Row) -> Result<Vec<GlobalIdentity>, StoreError> {
    let mut found = vec![identity(row.fitting(1)?, row.string(2)?)?];
    for line in row.string(3)?.lines() {
        let (kind, value) = line.split_once(' ').unwrap_or_default();
        found.push(identity(kind.parse().unwrap_or(0), value)?);
    }
    Ok(found)
}

fn read(row: &dyn Row, credential: Option<Credential>) -> Result<Device, StoreError> {
    let custodian = match (row.text(8)?, row.integer(9)?) {
        (Some(id), Some(state)) => {
            Some(DeviceCustodian { id: id.to_owned(), state: state_of(state)?, kyc: Vec::new() })
        }
        _ => None,
    };
    Ok(Device {
        id: DeviceId(row.number(0)?),
        identities: identities(row)?,
        mnc_length: mnc_length(row.number(4)?)?,
        credentials: credential.into_iter().collect(),
        epoch: Epoch(row.fitting(5)?),
        state: state_of(row.number(6)?)?,
        kyc_expiry: row.maybe(7)?.map(UnixTime),
        custodian,
        version: row.fitting(10)?,
        created_at: UnixTime(row.fitting(11)?),
        updated_at: UnixTime(row.fitting(12)?),
    })
}

fn mnc_length(digits: i64) -> Result<MncLength, StoreError> {
    let length = u64::try_from(digits).ok().and_then(MncLength::from_digits);
    length.ok_or_else(|| StoreError::Corrupt(format!("no MNC has {digits} digits")))
}
