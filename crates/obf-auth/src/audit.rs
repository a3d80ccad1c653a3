//! What administrators did here: rows that the store chains, so that nobody alters or removes them unnoticed.

use obf_admin_http::audit::AuditLog;
use obf_net::Clock;
use obf_store::{
    StoreError,
    audit::{AuditFilter, AuditRow, Verified},
    auth::{AuthStore, TokenStore as _},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::Notify;

/// How often rows are sealed that another node wrote and could not seal any more.
const LOOK: Duration = Duration::from_secs(30);

/// The audit of the deployment, which its nodes share. Clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct AuditTrail {
    store: AuthStore,
    written: Arc<Notify>,
}

impl AuditTrail {
    pub(crate) fn new(store: AuthStore) -> Self {
        Self { store, written: Arc::default() }
    }

    /// A row was written: it is sealed now.
    pub(crate) fn written(&self) {
        self.written.notify_one();
    }

    /// Seals what was written, until it is dropped.
    pub(crate) async fn run(&self, clock: &dyn Clock) {
        loop {
            if let Err(error) = self.store.seal_audit(clock.now()).await {
                tracing::error!(%error, "the audit cannot be sealed");
            }
            tokio::select! {
                () = self.written.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
}

impl AuditLog for AuditTrail {
    async fn audit_rows(
        &self,
        filter: AuditFilter,
        after: i64,
        limit: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        self.store.audit_rows(filter, after, limit).await
    }

    async fn verify_audit(&self, noted: Option<[u8; 32]>) -> Result<Verified, StoreError> {
        self.store.verify_audit(noted).await
    }
}
