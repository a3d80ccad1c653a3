//! What administrators did here: rows that the store chains, so that nobody alters or removes them unnoticed.

use obf_admin_http::audit::AuditLog;
use obf_net::{Clock, Running};
use obf_store::{
    StoreError,
    audit::{AuditFilter, AuditRow, Verified},
    auth::{AuthStore, TokenStore as _},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::Notify;

/// How often rows are looked for that another node wrote and did not live to seal.
const LOOK: Duration = Duration::from_secs(30);
/// How long sealing pauses after the store failed.
const PAUSE: Duration = Duration::from_secs(1);

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

    /// Seals what was written, until the node stops.
    pub(crate) async fn run(&self, clock: &dyn Clock, running: &Running) {
        loop {
            // A row written while this seals leaves its permit behind, and is sealed in the next round.
            let pause = match self.store.seal_audit(clock.now()).await {
                Ok(_) => LOOK,
                Err(error) => {
                    tracing::error!(%error, "the audit cannot be sealed");
                    PAUSE
                }
            };
            tokio::select! {
                () = self.written.notified() => {}
                () = tokio::time::sleep(pause) => {}
                () = running.stopping() => break,
            }
        }
        // What the last requests wrote; whichever node looks next will see to it if this fails.
        let _ = self.store.seal_audit(clock.now()).await;
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
