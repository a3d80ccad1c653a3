//! The audit.

use crate::admin::Administration;
use obf_admin_http::{AdminRequest, Reply, audit};

pub async fn list(work: &Administration, asked: AdminRequest) -> Reply {
    audit::list(&work.audit, asked).await
}

pub async fn export(work: &Administration, asked: AdminRequest) -> Reply {
    audit::export(&work.audit, &work.running, &asked)
}

pub async fn verify(work: &Administration, asked: AdminRequest) -> Reply {
    audit::verify(&work.audit, asked).await
}
