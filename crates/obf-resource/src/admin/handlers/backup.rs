//! Backups out and in.

use super::{Reply, object, streamed};
use crate::{admin::Administration, backup::BackupError, registry::RegistryError};
use hyper::StatusCode;
use obf_admin::resource::backup::{MEDIA_TYPE, Restored};
use obf_admin_http::{AdminRequest, Problem, body};
use obf_kms::KmsError;
use obf_store::resource::RestoreError;

pub async fn make(work: &Administration, _: AdminRequest) -> Reply {
    work.registry.note("database.backup", "database", "", work.now()).await?;
    let (octets, ending, answer) = body::stream(body::WAITING_PIECES);
    let registry = work.registry.clone();
    work.running.spawn(async move {
        match registry.write_backup(&octets).await {
            Ok(rows) => {
                tracing::info!(rows, "backup made");
                ending.whole();
            }
            Err(error) => tracing::error!(%error, "a backup broke off"),
        }
    });
    Ok(streamed(MEDIA_TYPE, answer))
}

pub async fn restore(work: &Administration, asked: AdminRequest) -> Reply {
    let Some(stream) = asked.stream() else { return Err(Problem::internal(&"no stream")) };
    let restored = work.registry.restore(stream, work.now()).await;
    if let Err(error) = &restored {
        tracing::warn!(%error, "a backup was not restored, nothing was changed");
    }
    let rows = restored.map_err(problem)?;
    tracing::info!(rows, "backup restored");
    object(StatusCode::OK, &Restored { rows })
}

fn problem(error: BackupError) -> Problem {
    let detail = error.to_string();
    match error {
        BackupError::Restore(RestoreError::NotEmpty(_)) => Problem::new(
            StatusCode::CONFLICT,
            "not-empty",
            detail,
            "restore into a new deployment, whose key-encryption key is the old one's",
        ),
        BackupError::Restore(RestoreError::Store(error)) => error.into(),
        BackupError::Kms(KmsError::UnknownKek { kek, .. }) => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "wrong-kek",
            format_args!(
                "the backup was made under the key-encryption key {kek}, which this server does not have"
            ),
            "configure that key-encryption key, at least as [[resource.kms.former]], and start the server anew",
        ),
        BackupError::Kms(error) => RegistryError::from(error).into(),
        _ => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad-backup",
            detail,
            "nothing was changed: take another copy of the backup, or an older one",
        ),
    }
}
