//! Custodians.

use super::Registry;
use obf_store::{
    StoreError,
    resource::{Custodian, Outcome, State},
};
use obf_types::UnixTime;

impl Registry {
    /// Up to `limit` custodians, in that state or in any, in order of their names behind `after`.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_custodians(
        &self,
        state: Option<State>,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Custodian>, StoreError> {
        self.store.list_custodians(state, after, limit).await
    }

    /// The custodian of that name.
    ///
    /// # Errors
    /// The store's.
    pub async fn custodian(&self, id: &str) -> Result<Option<Custodian>, StoreError> {
        self.store.custodian(id).await
    }

    /// Adds it, at version 1; false, and nothing changed, if there is one.
    ///
    /// # Errors
    /// The store's.
    pub async fn add_custodian(&self, custodian: Custodian, now: UnixTime) -> Result<bool, StoreError> {
        self.store.add_custodian(custodian, self.change(now)).await
    }

    /// Puts everything of `custodian` but its name in place of what stands there, if that is at the version
    /// `expected`. When it ceases to be active, the tokens of its devices end.
    ///
    /// # Errors
    /// The store's.
    pub async fn replace_custodian(
        &self,
        custodian: Custodian,
        expected: Option<u64>,
        now: UnixTime,
    ) -> Result<Outcome<Custodian>, StoreError> {
        self.store.replace_custodian(custodian, expected, self.change(now)).await
    }

    /// Removes it with its records, unless a device has it.
    ///
    /// # Errors
    /// The store's.
    pub async fn remove_custodian(
        &self,
        id: &str,
        expected: Option<u64>,
        now: UnixTime,
    ) -> Result<Outcome, StoreError> {
        self.store.remove_custodian(id, expected, self.change(now)).await
    }
}
