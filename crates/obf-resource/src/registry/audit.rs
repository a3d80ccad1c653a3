//! The audit, and requests that are done once.

use super::Registry;
use obf_store::{
    StoreError,
    resource::{Act, AuditFilter, AuditRow, Claim, KeptAnswer, Verified},
};
use obf_types::UnixTime;

impl Registry {
    /// Notes an act that changes nothing here, in the name of whom this registry acts for.
    ///
    /// # Errors
    /// The store's.
    pub async fn note(
        &self,
        action: &str,
        object: &str,
        detail: &str,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        let act = Act {
            actor: (*self.actor).to_owned(),
            action: action.to_owned(),
            object: object.to_owned(),
            reason: (*self.reason).to_owned(),
            detail: detail.to_owned(),
        };
        self.store.record_acts(vec![act], now).await
    }

    /// Up to `limit` rows of the audit behind that number, oldest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn audit_rows(
        &self,
        filter: AuditFilter,
        after: i64,
        limit: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        self.store.audit_rows(filter, after, limit).await
    }

    /// Verifies the whole chain of the audit, and that the `noted` hash is in it.
    ///
    /// # Errors
    /// The store's.
    pub async fn verify_audit(&self, noted: Option<[u8; 32]>) -> Result<Verified, StoreError> {
        self.store.verify_audit(noted).await
    }

    /// Claims that key of that actor for a request: it is carried out once.
    ///
    /// # Errors
    /// The store's.
    pub async fn claim(
        &self,
        actor: &str,
        key: &str,
        request: [u8; 32],
        now: UnixTime,
    ) -> Result<Claim, StoreError> {
        self.store.claim(actor, key, request, now).await
    }

    /// Keeps the answer to the request that claimed `key`.
    ///
    /// # Errors
    /// The store's.
    pub async fn keep_answer(
        &self,
        actor: &str,
        key: &str,
        request: [u8; 32],
        answer: KeptAnswer,
    ) -> Result<(), StoreError> {
        self.store.keep_answer(actor, key, request, answer).await
    }

    /// Gives `key` back: the request came to nothing and may be tried again.
    ///
    /// # Errors
    /// The store's.
    pub async fn release_claim(&self, actor: &str, key: &str, request: [u8; 32]) -> Result<(), StoreError> {
        self.store.release_claim(actor, key, request).await
    }
}
