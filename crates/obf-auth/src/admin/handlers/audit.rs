//! The audit.

use crate::admin::Administration;
use obf_admin_http::{Asked, Reply, audit};

pub async fn list(work: &Administration, asked: Asked) -> Reply {
    audit::list(&work.audit, asked).await
}

pub async fn export(work: &Administration, asked: Asked) -> Reply {
    audit::export(&work.audit, &work.running, &asked)
}

pub async fn verify(work: &Administration, asked: Asked) -> Reply {
    audit::verify(&work.audit, asked).await
}
