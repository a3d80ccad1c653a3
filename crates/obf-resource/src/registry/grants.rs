//! Grants.

use super::Registry;
use obf_store::{
    StoreError,
    resource::{DeviceId, Grant, Grantee},
};
use obf_types::{AppId, GlobalIdentity, UnixTime};

impl Registry {
    /// Up to `limit` grants to single devices, of that device or all, for that application or all, in order of
    /// (device, application) after that pair; each with the device's primary identity.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_grants(
        &self,
        device: Option<DeviceId>,
        app: Option<AppId>,
        after: Option<(DeviceId, AppId)>,
        limit: u32,
    ) -> Result<Vec<(GlobalIdentity, Grant)>, StoreError> {
        self.store.list_grants(device, app, after, limit).await
    }

    /// As [`Self::list_grants`] for grants to groups.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_group_grants(
        &self,
        group: Option<String>,
        app: Option<AppId>,
        after: Option<(String, AppId)>,
        limit: u32,
    ) -> Result<Vec<Grant>, StoreError> {
        self.store.list_group_grants(group, app, after, limit).await
    }

    /// Makes or replaces a grant and tells the Authentication Servers of every device concerned; false, and nothing
    /// changed, if there is no such device, group or application.
    ///
    /// # Errors
    /// The store's.
    pub async fn put_grant(&self, grant: Grant, now: UnixTime) -> Result<bool, StoreError> {
        self.store.put_grant(grant, self.change(now)).await
    }

    /// Removes a grant and tells the Authentication Servers; false if there is none.
    ///
    /// # Errors
    /// The store's.
    pub async fn remove_grant(
        &self,
        grantee: Grantee,
        app: AppId,
        now: UnixTime,
    ) -> Result<bool, StoreError> {
        self.store.remove_grant(grantee, app, self.change(now)).await
    }
}
