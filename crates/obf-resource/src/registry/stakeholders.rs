//! Providers, Resource Servers and application providers.

use super::Registry;
use obf_store::{
    StoreError,
    resource::{AdministratorAccount, Outcome, Registered, Stakeholder, StakeholderKind, State},
};
use obf_types::UnixTime;

impl Registry {
    /// Up to `limit` records of a kind, of that parent and in that state or in any, in order of their names behind
    /// `after`.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_stakeholders(
        &self,
        kind: StakeholderKind,
        parent: Option<String>,
        state: Option<State>,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Stakeholder>, StoreError> {
        self.store.list_stakeholders(kind, parent, state, after, limit).await
    }

    /// The record.
    ///
    /// # Errors
    /// The store's.
    pub async fn stakeholder(
        &self,
        kind: StakeholderKind,
        id: &str,
    ) -> Result<Option<Stakeholder>, StoreError> {
        self.store.stakeholder(kind, id).await
    }

    /// Adds it, at version 1; false, and nothing changed, if there is one.
    ///
    /// # Errors
    /// The store's.
    pub async fn add_stakeholder(&self, stakeholder: Stakeholder, now: UnixTime) -> Result<bool, StoreError> {
        self.store.add_stakeholder(stakeholder, self.change(now)).await
    }

    /// Puts `stakeholder`'s parent, state and document in place of what stands there, if that is at the version `expected`. The
    /// applications of an application provider follow it out of use and back, and the Authentication Servers are told.
    ///
    /// # Errors
    /// The store's.
    pub async fn replace_stakeholder(
        &self,
        stakeholder: Stakeholder,
        expected: Option<u64>,
        now: UnixTime,
    ) -> Result<Outcome<Stakeholder>, StoreError> {
        self.store.replace_stakeholder(stakeholder, expected, self.change(now)).await
    }

    /// Removes it, unless something has it for a parent.
    ///
    /// # Errors
    /// The store's.
    pub async fn remove_stakeholder(
        &self,
        kind: StakeholderKind,
        id: &str,
        expected: Option<u64>,
        now: UnixTime,
    ) -> Result<Outcome, StoreError> {
        self.store.remove_stakeholder(kind, id, expected, self.change(now)).await
    }

    /// Takes an application provider into use, if it is at the version `expected`, and the administrator that came with it,
    /// if that waits still: both or none.
    ///
    /// # Errors
    /// The store's.
    pub async fn approve_provider(
        &self,
        provider: Stakeholder,
        expected: Option<u64>,
        administrator: &str,
        now: UnixTime,
    ) -> Result<Outcome<Stakeholder>, StoreError> {
        self.store.approve_provider(provider, expected, administrator, self.change(now)).await
    }

    /// Adds an application provider in state registered and its administrator, both or none; none if `most` wait already.
    ///
    /// # Errors
    /// The store's.
    pub async fn register_provider(
        &self,
        provider: Stakeholder,
        administrator: AdministratorAccount,
        most: u64,
        now: UnixTime,
    ) -> Result<Registered, StoreError> {
        self.store.register_provider(provider, administrator, most, self.change(now)).await
    }
}
