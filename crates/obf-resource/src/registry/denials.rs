//! Denials, as administration makes and reads them.

use super::Registry;
use obf_store::{
    StoreError,
    resource::{Denial, DenialFilter, NewDenial, Outcome},
};
use obf_types::UnixTime;

impl Registry {
    /// Up to `limit` denials that pass the filter, those that are over included, in order of their numbers behind `after`.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_denials(
        &self,
        filter: DenialFilter,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Denial>, StoreError> {
        self.store.list_denials(filter, after, limit).await
    }

    /// The denial of that number.
    ///
    /// # Errors
    /// The store's.
    pub async fn denial(&self, id: i64) -> Result<Option<Denial>, StoreError> {
        self.store.denial(id).await
    }

    /// Makes a denial, or gives the one that is there another end and reason, and tells the Authentication Servers of every
    /// device concerned; [`Outcome::NoParent`] if there is no such device, group or application.
    ///
    /// # Errors
    /// The store's.
    pub async fn put_denial(&self, denial: NewDenial, now: UnixTime) -> Result<Outcome<Denial>, StoreError> {
        self.store.put_denial(denial, self.change(now)).await
    }

    /// Takes a denial back, if it is at the version `expected`, and tells the Authentication Servers.
    ///
    /// # Errors
    /// The store's.
    pub async fn remove_denial(
        &self,
        id: i64,
        expected: Option<u64>,
        now: UnixTime,
    ) -> Result<Outcome, StoreError> {
        self.store.remove_denial(id, expected, self.change(now)).await
    }
}
