//! What administrators change of devices and applications that are there.

use super::Registry;
use obf_store::{
    StoreError,
    resource::{Application, ApplicationFilter, Device, DeviceFilter, DeviceId, DeviceUpdate, Outcome},
};
use obf_types::{AppId, Epoch, UnixTime};

impl Registry {
    /// Up to `limit` devices in order of their ids, after that one.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_devices(
        &self,
        filter: DeviceFilter,
        after: Option<DeviceId>,
        limit: u32,
    ) -> Result<Vec<Device>, StoreError> {
        self.store.list_devices(filter, after, limit).await
    }

    /// Changes it, if it is at the version `expected`, and tells the Authentication Servers;
    /// [`Outcome::NoParent`] if there is no such custodian.
    ///
    /// # Errors
    /// The store's.
    pub async fn update_device(
        &self,
        id: DeviceId,
        update: DeviceUpdate,
        expected: Option<u64>,
        now: UnixTime,
    ) -> Result<Outcome<Device>, StoreError> {
        self.store.update_device(id, update, expected, self.change(now)).await
    }

    /// Ends all its tokens: the epoch rises, and each Authentication Server of `change` gets a Disconnect.
    ///
    /// # Errors
    /// The store's.
    pub async fn end_tokens(
        &self,
        id: DeviceId,
        expected: Option<u64>,
        now: UnixTime,
    ) -> Result<Outcome<Epoch>, StoreError> {
        self.store.end_tokens(id, expected, self.change(now)).await
    }

    /// Removes it and its grants, ending its tokens.
    ///
    /// # Errors
    /// The store's.
    pub async fn remove_device(
        &self,
        id: DeviceId,
        expected: Option<u64>,
        now: UnixTime,
    ) -> Result<Outcome, StoreError> {
        self.store.remove_device(id, expected, self.change(now)).await
    }

    /// Up to `limit` applications in order of their ids, after that one.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_applications(
        &self,
        filter: ApplicationFilter,
        after: Option<AppId>,
        limit: u32,
    ) -> Result<Vec<Application>, StoreError> {
        self.store.list_applications(filter, after, limit).await
    }

    /// Puts everything of `application` but its id in place of what stands there, if that is at the version
    /// `expected`, and tells the Authentication Servers.
    ///
    /// # Errors
    /// The store's.
    pub async fn replace_application(
        &self,
        application: Application,
        expected: Option<u64>,
        now: UnixTime,
    ) -> Result<Outcome<Application>, StoreError> {
        self.store.replace_application(application, expected, self.change(now)).await
    }

    /// Removes it with its grants and tells the Authentication Servers.
    ///
    /// # Errors
    /// The store's.
    pub async fn remove_application(
        &self,
        id: AppId,
        expected: Option<u64>,
        now: UnixTime,
    ) -> Result<Outcome, StoreError> {
        self.store.remove_application(id, expected, self.change(now)).await
    }
}
