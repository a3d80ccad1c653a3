//! Groups of devices.

use super::Registry;
use obf_store::{
    StoreError,
    resource::{DeviceId, Group, MembersChanged, Outcome},
};
use obf_types::{GlobalIdentity, UnixTime};

impl Registry {
    /// Up to `limit` groups in order of their names behind `after`.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_groups(&self, after: &str, limit: u32) -> Result<Vec<Group>, StoreError> {
        self.store.list_groups(after, limit).await
    }

    /// The group of that name.
    ///
    /// # Errors
    /// The store's.
    pub async fn group(&self, id: &str) -> Result<Option<Group>, StoreError> {
        self.store.group(id).await
    }

    /// Up to `limit` members in order of their ids behind `after`, with their primary identities.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_members(
        &self,
        id: &str,
        after: Option<DeviceId>,
        limit: u32,
    ) -> Result<Vec<(DeviceId, GlobalIdentity)>, StoreError> {
        self.store.list_members(id, after, limit).await
    }

    /// Adds it, empty; false, and nothing changed, if there is one.
    ///
    /// # Errors
    /// The store's.
    pub async fn add_group(&self, id: &str, name: Option<String>, now: UnixTime) -> Result<bool, StoreError> {
        self.store.add_group(id, name, self.change(now)).await
    }

    /// Renames it, if it is at the version `expected`.
    ///
    /// # Errors
    /// The store's.
    pub async fn rename_group(
        &self,
        id: &str,
        name: Option<String>,
        expected: Option<u64>,
        now: UnixTime,
    ) -> Result<Outcome<Group>, StoreError> {
        self.store.rename_group(id, name, expected, self.change(now)).await
    }

    /// Removes it with its grants, not its devices, and tells the Authentication Servers.
    ///
    /// # Errors
    /// The store's.
    pub async fn remove_group(
        &self,
        id: &str,
        expected: Option<u64>,
        now: UnixTime,
    ) -> Result<Outcome, StoreError> {
        self.store.remove_group(id, expected, self.change(now)).await
    }

    /// Puts devices into it (or takes them out), all or none, and tells the Authentication Servers. A device is named
    /// by any of its identities, `kind:value` or the value alone.
    ///
    /// # Errors
    /// The store's.
    pub async fn change_members(
        &self,
        id: &str,
        devices: Vec<String>,
        put_in: bool,
        now: UnixTime,
    ) -> Result<Outcome<MembersChanged>, StoreError> {
        self.store.change_members(id, devices, put_in, self.change(now)).await
    }
}
