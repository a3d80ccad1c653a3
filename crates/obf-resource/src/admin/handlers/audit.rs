//! The audit.

use super::Reply;
use crate::{admin::Administration, registry::Registry};
use obf_admin_http::{
    AdminRequest,
    audit::{self, AuditLog},
};
use obf_store::{
    StoreError,
    audit::{AuditFilter, AuditRow, Verified},
};

impl AuditLog for Registry {
    async fn audit_rows(
        &self,
        filter: AuditFilter,
        after: i64,
        limit: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        Self::audit_rows(self, filter, after, limit).await
    }

    async fn verify_audit(&self, noted: Option<[u8; 32]>) -> Result<Verified, StoreError> {
        Self::verify_audit(self, noted).await
    }
}

pub async fn list(work: &Administration, asked: AdminRequest) -> Reply {
    audit::list(&work.registry, asked).await
}

pub async fn export(work: &Administration, asked: AdminRequest) -> Reply {
    audit::export(&work.registry, &work.running, &asked)
}

pub async fn verify(work: &Administration, asked: AdminRequest) -> Reply {
    audit::verify(&work.registry, asked).await
}
