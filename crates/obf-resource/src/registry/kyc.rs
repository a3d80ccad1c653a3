//! Verifications of custodians.

use super::Registry;
use obf_store::{
    StoreError,
    resource::{KycFilter, KycRecord, KycStanding, Outcome},
};
use obf_types::UnixTime;

impl Registry {
    /// Up to `limit` records that pass the filter, in order of their numbers behind `after`.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_kyc_records(
        &self,
        filter: KycFilter,
        after: i64,
        limit: u32,
    ) -> Result<Vec<KycRecord>, StoreError> {
        self.store.list_kyc_records(filter, after, limit).await
    }

    /// The record of that number.
    ///
    /// # Errors
    /// The store's.
    pub async fn kyc_record(&self, id: i64) -> Result<Option<KycRecord>, StoreError> {
        self.store.kyc_record(id).await
    }

    /// What is verified of a custodian: its records, expired ones included; those that were taken back expired in 1970.
    ///
    /// # Errors
    /// The store's.
    pub async fn kyc_standing(&self, custodian: &str) -> Result<Vec<KycStanding>, StoreError> {
        self.store.kyc_standing(custodian).await
    }

    /// Adds it, at version 1, and tells the Authentication Servers of the custodian's devices;
    /// [`Outcome::NoParent`] if there is no such custodian.
    ///
    /// # Errors
    /// The store's.
    pub async fn add_kyc_record(
        &self,
        record: KycRecord,
        now: UnixTime,
    ) -> Result<Outcome<KycRecord>, StoreError> {
        self.store.add_kyc_record(record, self.change(now)).await
    }

    /// Takes it back and tells the Authentication Servers of the custodian's devices.
    ///
    /// # Errors
    /// The store's.
    pub async fn revoke_kyc_record(
        &self,
        id: i64,
        expected: Option<u64>,
        now: UnixTime,
    ) -> Result<Outcome<KycRecord>, StoreError> {
        self.store.revoke_kyc_record(id, expected, self.change(now)).await
    }
}
