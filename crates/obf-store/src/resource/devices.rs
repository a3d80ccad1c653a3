//! Devices: identities unchanged (SPEC R9), what they authenticate with, and where their epoch stands.

use super::{
    Change, Credential, CredentialState, KycStanding, NoticeKind, Outcome, ResourceDb, State, add_devices,
    change_of_state, check, credentials, custodians,
    device_rows::{self, load},
    standing,
};
use crate::{
    StoreError,
    sql::{Session, values},
};
use obf_token::{Algorithm, Mode};
use obf_types::{Epoch, GlobalIdentity, IdentityKind, MncLength, UnixTime};

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

/// A device to be added. Its key is wrapped already.
#[derive(Clone, Debug)]
pub struct NewDevice {
    /// All that it can be found by, the primary one first; at least one.
    pub identities: Vec<GlobalIdentity>,
    /// How its IMSI splits.
    pub mnc_length: MncLength,
    /// What it authenticates with.
    pub credentials: Vec<Credential>,
    /// Where it is to stand.
    pub state: State,
    /// When it is to be refused for want of KYC, if ever, whatever its custodian's records say.
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
    pub mnc_length: MncLength,
    /// What it authenticates with: all of it, in order of mode and state.
    pub credentials: Vec<Credential>,
    /// Rises whenever its tokens are ended.
    pub epoch: Epoch,
    /// Where it stands: only an active device may authenticate.
    pub state: State,
    /// When it is to be refused for want of KYC, if ever, whatever its custodian's records say.
    pub kyc_expiry: Option<UnixTime>,
    /// Its custodian, if registered.
    pub custodian: Option<DeviceCustodian>,
    /// Rises with every administrative change.
    pub version: u64,
    /// When it was added.
    pub created_at: UnixTime,
    /// When it was changed last.
    pub updated_at: UnixTime,
}

/// The custodian of a device, as far as a decision needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceCustodian {
    /// Its name.
    pub id: String,
    /// Its state.
    pub state: State,
    /// Its KYC records, expired ones included; those that were taken back expired in 1970.
    pub kyc: Vec<KycStanding>,
}

impl Device {
    /// The identity it is registered under first of all.
    pub fn primary(&self) -> Option<&GlobalIdentity> {
        self.identities.first()
    }

    /// The credential that it authenticates with in that mode; `None`: it does not.
    pub fn active(&self, mode: Mode) -> Option<&Credential> {
        let active = |held: &&Credential| held.mode() == mode && held.state == CredentialState::Active;
        self.credentials.iter().find(active)
    }
}

/// What can be changed of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceUpdate {
    /// Where it is to stand. Its tokens end when it ceases to be active.
    pub state: State,
    /// The weakest algorithm that it may bootstrap with by AKA.
    pub minimum_algorithm: Algorithm,
    /// See [`Device`].
    pub kyc_expiry: Option<UnixTime>,
    /// See [`Device`].
    pub custodian: Option<String>,
}

/// Which devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceFilter {
    /// In that state.
    pub state: Option<State>,
    /// Of that custodian.
    pub custodian: Option<String>,
    /// In that group.
    pub group: Option<String>,
}

/// What became of a device that was to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is there now.
    New(DeviceId),
    /// Nothing was changed: this device has one of its identities already.
    Exists(Box<Device>),
    /// Nothing was changed: its custodian is not there.
    NoCustodian,
    /// Nothing was changed: others were in its way, however often it was tried. It may be tried again.
    Failed(StoreError),
}

const STANDING: &str = "SELECT version, state FROM devices WHERE id = ?1";

/// The registry of devices.
impl ResourceDb {
    /// Adds devices, each or not at all, and says for each what became of it, in order. One row of the audit tells
    /// of them all. Where others add the same ones at the same time, each is added by one of them.
    pub async fn add_devices(
        &self,
        devices: Vec<NewDevice>,
        change: Change,
    ) -> Result<Vec<Added>, StoreError> {
        add_devices::add(&self.engine, devices, change).await
    }

    /// The devices that have this value among their identities (of that kind, or of any): one, unless two kinds
    /// collide.
    pub async fn find_devices(
        &self,
        kind: Option<IdentityKind>,
        value: &str,
    ) -> Result<Vec<Device>, StoreError> {
        let value = value.to_owned();
        self.engine
            .read(move |s| {
                let found = device_rows::with_identity(s, kind, &value)?;
                found.into_iter().filter_map(|id| load(s, id).transpose()).collect()
            })
            .await
    }

    /// Up to `limit` devices in order of their ids, after that one.
    pub async fn list_devices(
        &self,
        filter: DeviceFilter,
        after: Option<DeviceId>,
        limit: u32,
    ) -> Result<Vec<Device>, StoreError> {
        // Each has an index of its own to walk along.
        let (from, by) = match (&filter.group, &filter.custodian) {
            (Some(_), _) => (
                "group_members m JOIN devices d ON d.id = m.device",
                "m.group_id = ?4 AND m.device > ?1 AND (CAST(?3 AS TEXT) IS NULL OR d.custodian = ?3)
                 ORDER BY m.device",
            ),
            (None, Some(_)) => {
                ("devices d", "d.custodian = ?3 AND d.id > ?1 AND CAST(?4 AS TEXT) IS NULL ORDER BY d.id")
            }
            (None, None) => (
                "devices d",
                "d.id > ?1 AND CAST(?3 AS TEXT) IS NULL AND CAST(?4 AS TEXT) IS NULL ORDER BY d.id",
            ),
        };
        let sql = format!(
            "SELECT d.id FROM {from} WHERE (CAST(?2 AS BIGINT) IS NULL OR d.state = ?2) AND {by} LIMIT ?5"
        );
        self.engine
            .read(move |s| {
                let values = values![
                    after.map_or(0, |id| id.0),
                    filter.state.map(|state| state as u8),
                    filter.custodian.as_deref(),
                    filter.group.as_deref(),
                    limit
                ];
                let ids = s.all(&sql, values, |row| row.number(0))?;
                ids.into_iter().filter_map(|id| load(s, DeviceId(id)).transpose()).collect()
            })
            .await
    }

    /// Changes it, if it is at the version `expected`, and tells the Authentication Servers;
    /// [`Outcome::NoParent`] if there is no such custodian.
    pub async fn update_device(
        &self,
        id: DeviceId,
        update: DeviceUpdate,
        expected: Option<u64>,
        change: Change,
    ) -> Result<Outcome<Device>, StoreError> {
        self.engine
            .write(move |s| {
                let found = standing(s, STANDING, values![id.0])?;
                let was = match check(found, expected, Some(update.state)) {
                    Ok(was) => was,
                    Err(outcome) => return Ok(outcome),
                };
                if let Some(custodian) = &update.custodian
                    && !custodians::exists(s, custodian)?
                {
                    return Ok(Outcome::NoParent);
                }
                let ends = was == State::Active && update.state != State::Active;
                s.execute(
                    "UPDATE devices SET state = ?2, kyc_expiry = ?3, custodian = ?4, epoch = epoch + ?5,
                         version = version + 1, updated_at = ?6 WHERE id = ?1",
                    values![
                        id.0,
                        update.state as u8,
                        update.kyc_expiry.map(|at| at.0),
                        update.custodian.as_deref(),
                        ends,
                        change.at.0
                    ],
                )?;
                credentials::set_minimum_algorithm(s, id, update.minimum_algorithm)?;
                let Some(device) = load(s, id)? else { return Ok(Outcome::Unknown) };
                let notice = if ends { NoticeKind::Disconnect } else { NoticeKind::Changed };
                announce(s, &device, notice, &change)?;
                record(s, change_of_state(was, update.state), &device, &change)?;
                Ok(Outcome::Done(device))
            })
            .await
    }

    /// Ends all its tokens: the epoch rises, and each Authentication Server of `change` gets a Disconnect.
    pub async fn end_tokens(
        &self,
        id: DeviceId,
        expected: Option<u64>,
        change: Change,
    ) -> Result<Outcome<Epoch>, StoreError> {
        self.engine
            .write(move |s| {
                let found = standing(s, STANDING, values![id.0])?;
                if let Err(outcome) = check::<Epoch>(found, expected, None) {
                    return Ok(outcome);
                }
                let device = end_tokens(s, id, &change)?;
                if let Some(device) = &device {
                    record(s, "revoke", device, &change)?;
                }
                Ok(device.map_or(Outcome::Unknown, |device| Outcome::Done(device.epoch)))
            })
            .await
    }

    /// Removes it and its grants, ending its tokens.
    pub async fn remove_device(
        &self,
        id: DeviceId,
        expected: Option<u64>,
        change: Change,
    ) -> Result<Outcome, StoreError> {
        self.engine
            .write(move |s| {
                let found = standing(s, STANDING, values![id.0])?;
                if let Err(outcome) = check::<()>(found, expected, None) {
                    return Ok(outcome);
                }
                let Some(device) = end_tokens(s, id, &change)? else { return Ok(Outcome::Unknown) };
                device_rows::forget(s, &device)?;
                record(s, "remove", &device, &change)?;
                Ok(Outcome::Done(()))
            })
            .await
    }
}

fn end_tokens(s: &mut dyn Session, id: DeviceId, change: &Change) -> Result<Option<Device>, StoreError> {
    let sql = "UPDATE devices SET epoch = epoch + 1, version = version + 1, updated_at = ?2 WHERE id = ?1";
    s.execute(sql, values![id.0, change.at.0])?;
    let device = load(s, id)?;
    if let Some(device) = &device {
        announce(s, device, NoticeKind::Disconnect, change)?;
    }
    Ok(device)
}

fn announce(
    s: &mut dyn Session,
    device: &Device,
    kind: NoticeKind,
    change: &Change,
) -> Result<(), StoreError> {
    change.announce(s, kind, device.primary().map(|primary| (primary, device.epoch)), None)
}

fn record(s: &mut dyn Session, verb: &str, device: &Device, change: &Change) -> Result<(), StoreError> {
    let object = device.primary().map(ToString::to_string).unwrap_or_default();
    change.record(s, &format!("device.{verb}"), &object, "")
}

/// Ends the tokens of every device of a custodian.
pub(super) fn end_tokens_of_custodian(
    s: &mut dyn Session,
    custodian: &str,
    change: &Change,
) -> Result<(), StoreError> {
    s.execute("UPDATE devices SET epoch = epoch + 1 WHERE custodian = ?1", values![custodian])?;
    change.announce_devices(s, NoticeKind::Disconnect, "d.custodian = ?4", custodian)
}

/// Says that the rights of every device of a custodian have changed.
pub(super) fn announce_custodian(
    s: &mut dyn Session,
    custodian: &str,
    change: &Change,
) -> Result<(), StoreError> {
    change.announce_devices(s, NoticeKind::Changed, "d.custodian = ?4", custodian)
}
