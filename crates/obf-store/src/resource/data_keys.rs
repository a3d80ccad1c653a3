//! Data keys: what encrypts the subscriber keys, each wrapped under a key-encryption key (SPEC C2, R8).

use super::{Change, DeviceId, ResourceDb, device_rows};
use crate::{
    StoreError,
    sql::{Session, Value, values},
};
use obf_types::{GlobalIdentity, UnixTime};
use std::collections::HashMap;

/// A data key, wrapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataKey {
    /// Its number: the first four octets of every envelope under it.
    pub id: u32,
    /// The key-encryption key that it is wrapped under, by its name.
    pub kek: String,
    /// The wrapped key.
    pub wrapped: Vec<u8>,
    /// When it was made.
    pub created_at: UnixTime,
}

/// A key of a device as it is wrapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    /// The device.
    pub device: DeviceId,
    /// Its primary identity.
    pub primary: GlobalIdentity,
    /// The envelope.
    pub envelope: Vec<u8>,
}

/// A device's key wrapped anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrapped {
    /// The device.
    pub device: DeviceId,
    /// The envelope that it had; if it has another by now, it is left alone.
    pub old: Vec<u8>,
    /// The envelope that it gets.
    pub new: Vec<u8>,
}

const SET_ROTATION: &str = "INSERT INTO rotation (id, document) VALUES (1, ?1)
                            ON CONFLICT (id) DO UPDATE SET document = excluded.document";
const UNDER: &str = "SELECT 1 FROM credentials WHERE substr(wrapped_key, 1, 4) = ?1 LIMIT 1";

const PAGE: &str = "SELECT k.device, d.identity_kind, d.identity, k.wrapped_key, k.mode, k.state
     FROM credentials k JOIN devices d ON d.id = k.device
     WHERE k.device > ?1 AND k.wrapped_key IS NOT NULL ORDER BY k.device, k.mode, k.state LIMIT ?2";
const REST_OF_DEVICE: &str = "SELECT k.device, d.identity_kind, d.identity, k.wrapped_key, k.mode, k.state
     FROM credentials k JOIN devices d ON d.id = k.device
     WHERE k.device = ?1 AND (k.mode, k.state) > (?2, ?3) AND k.wrapped_key IS NOT NULL";

/// Wrapped keys with mode and state of their credentials.
fn wrapped(
    s: &mut dyn Session,
    sql: &str,
    values: &[Value<'_>],
) -> Result<Vec<(WrappedKey, i64, i64)>, StoreError> {
    s.all(sql, values, |row| {
        let key = WrappedKey {
            device: DeviceId(row.number(0)?),
            primary: device_rows::identity(row.fitting(1)?, row.string(2)?)?,
            envelope: row.blob(3)?.to_vec(),
        };
        Ok((key, row.number(4)?, row.number(5)?))
    })
}

/// The data keys, and where a rotation of them stands.
impl ResourceDb {
    /// Adds one; false, and nothing changed, if its number is taken.
    pub async fn add_data_key(&self, key: DataKey, change: Change) -> Result<bool, StoreError> {
        self.engine
            .write(move |s| {
                let added = s.execute(
                    "INSERT INTO data_keys (id, kek, wrapped, created_at) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (id) DO NOTHING",
                    values![key.id, &key.kek, &key.wrapped, key.created_at.0],
                )?;
                if added > 0 {
                    change.record(s, "kms.add-data-key", &key.id.to_string(), &key.kek)?;
                }
                Ok(added > 0)
            })
            .await
    }

    /// Every data key, oldest first.
    pub async fn data_keys(&self) -> Result<Vec<DataKey>, StoreError> {
        self.engine
            .read(|s| {
                let sql = "SELECT id, kek, wrapped, created_at FROM data_keys ORDER BY created_at, id";
                s.all(sql, &[], |row| {
                    Ok(DataKey {
                        id: row.fitting(0)?,
                        kek: row.string(1)?.to_owned(),
                        wrapped: row.blob(2)?.to_vec(),
                        created_at: UnixTime(row.fitting(3)?),
                    })
                })
            })
            .await
    }

    /// Puts other wrappings of data keys in place of those that are there, all or none.
    pub async fn rewrap_data_keys(&self, keys: Vec<DataKey>, change: Change) -> Result<(), StoreError> {
        self.engine
            .write(move |s| {
                for key in &keys {
                    s.execute(
                        "UPDATE data_keys SET kek = ?2, wrapped = ?3 WHERE id = ?1",
                        values![key.id, &key.kek, &key.wrapped],
                    )?;
                    change.record(s, "kms.rewrap-data-key", &key.id.to_string(), &key.kek)?;
                }
                Ok(())
            })
            .await
    }

    /// Removes those data keys of these that no envelope needs; says which.
    pub async fn remove_unused_data_keys(
        &self,
        ids: Vec<u32>,
        change: Change,
    ) -> Result<Vec<u32>, StoreError> {
        self.engine
            .write(move |s| {
                let mut removed = Vec::new();
                for id in ids {
                    if !s.exists(UNDER, values![&id.to_be_bytes()])?
                        && s.execute("DELETE FROM data_keys WHERE id = ?1", values![id])? > 0
                    {
                        change.record(s, "kms.remove-data-key", &id.to_string(), "")?;
                        removed.push(id);
                    }
                }
                Ok(removed)
            })
            .await
    }

    /// How many envelopes there are under each data key. Reads every credential.
    pub async fn envelopes_by_data_key(&self) -> Result<HashMap<u32, u64>, StoreError> {
        self.engine
            .read(|s| {
                let sql =
                    "SELECT substr(wrapped_key, 1, 4), count(*) FROM credentials WHERE wrapped_key IS NOT NULL
                           GROUP BY substr(wrapped_key, 1, 4)";
                let counted = s.all(sql, &[], |row| {
                    let id = row.blob(0)?.try_into().map(u32::from_be_bytes);
                    Ok((
                        id.map_err(|_| StoreError::Corrupt("an envelope is cut short".into()))?,
                        row.fitting(1)?,
                    ))
                })?;
                Ok(counted.into_iter().collect())
            })
            .await
    }

    /// Up to `limit` wrapped keys in order of their devices behind `after`, and further keys of the last device: one page
    /// has all keys of a device.
    pub async fn wrapped_keys(
        &self,
        after: Option<DeviceId>,
        limit: u32,
    ) -> Result<Vec<WrappedKey>, StoreError> {
        self.engine
            .read(move |s| {
                let mut page = wrapped(s, PAGE, values![after.map_or(0, |id| id.0), limit])?;
                if page.len() >= usize::try_from(limit).unwrap_or(usize::MAX)
                    && let Some((last, mode, state)) =
                        page.last().map(|(key, mode, state)| (key.device.0, *mode, *state))
                {
                    page.extend(wrapped(s, REST_OF_DEVICE, values![last, mode, state])?);
                }
                Ok(page.into_iter().map(|(key, ..)| key).collect())
            })
            .await
    }

    /// Puts new envelopes in place of old ones and notes where the rotation stands, in one transaction; says how many
    /// were still the old ones. With `opened`, the devices whose keys were opened for it, an act for the audit
    /// (`kms.rewrap-keys`).
    pub async fn rewrap(
        &self,
        envelopes: Vec<Rewrapped>,
        rotation: String,
        opened: Option<(String, Change)>,
    ) -> Result<u64, StoreError> {
        self.engine
            .write(move |s| {
                let mut changed = 0;
                for Rewrapped { device, old, new } in &envelopes {
                    changed += s.execute(
                        "UPDATE credentials SET wrapped_key = ?3 WHERE device = ?1 AND wrapped_key = ?2",
                        values![device.0, old, new],
                    )?;
                }
                if let Some((devices, change)) = &opened {
                    change.record(s, "kms.rewrap-keys", devices, &format!("{} keys", envelopes.len()))?;
                }
                s.execute(SET_ROTATION, values![&rotation])?;
                Ok(changed)
            })
            .await
    }

    /// Where the last rotation stands, as it was noted.
    pub async fn rotation(&self) -> Result<Option<String>, StoreError> {
        self.engine
            .read(|s| {
                let sql = "SELECT document FROM rotation WHERE id = 1";
                s.one(sql, &[], |row| row.string(0).map(str::to_owned))
            })
            .await
    }

    /// Notes where a rotation stands; with `act`, what is wrapped anew, as an act for the audit (`kms.rotate`).
    pub async fn set_rotation(
        &self,
        rotation: String,
        act: Option<(&'static str, Change)>,
    ) -> Result<(), StoreError> {
        self.engine
            .write(move |s| {
                s.execute(SET_ROTATION, values![&rotation])?;
                match act {
                    Some((what, change)) => change.record(s, "kms.rotate", what, ""),
                    None => Ok(()),
                }
            })
            .await
    }
}
