//! The audit of a Resource Server.

use super::ResourceDb;
use crate::{
    StoreError,
    audit::{Act, AuditFilter, AuditRow, Chain, Verified},
};
use obf_types::UnixTime;

impl ResourceDb {
    /// Writes a row for each of these acts, which change nothing else here; all or none.
    pub async fn record_acts(&self, acts: Vec<Act>, at: UnixTime) -> Result<(), StoreError> {
        Chain(&self.engine).record_acts(acts, at).await
    }

    /// Up to `limit` rows behind that number, oldest first.
    pub async fn audit_rows(
        &self,
        filter: AuditFilter,
        after: i64,
        limit: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        Chain(&self.engine).audit_rows(filter, after, limit).await
    }

    /// Seals what waits; says how many rows it sealed.
    pub async fn seal_audit(&self, now: UnixTime) -> Result<u64, StoreError> {
        Chain(&self.engine).seal_audit(now).await
    }

    /// Verifies the whole chain, and that the `noted` hash is in it.
    pub async fn verify_audit(&self, noted: Option<[u8; 32]>) -> Result<Verified, StoreError> {
        Chain(&self.engine).verify_audit(noted).await
    }
}
