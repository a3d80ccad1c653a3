//! Backups out and in.

use super::{Reply, object};
use crate::{
    admin::{Problem, api::AdminApi, body, request::Asked},
    backup::{self, BackupError},
};
use hyper::{
    Response, StatusCode,
    header::{CONTENT_TYPE, HeaderValue},
};
use obf_admin::resource::backup::{MEDIA_TYPE, Restored};
use obf_kms::KmsError;
use obf_store::resource::{Act, Audit, RestoreError};

pub async fn make(api: &AdminApi, asked: Asked) -> Reply {
    let act = Act {
        actor: (*asked.caller.name).to_owned(),
        action: "database.backup".into(),
        object: "database".into(),
        reason: String::new(),
        detail: String::new(),
    };
    api.store().record_acts(vec![act], api.now()).await?;
    let (octets, ending, answer) = body::stream(body::WAITING_PIECES);
    let (store, kms) = (api.store().clone(), api.registry.kms().clone());
    api.running.spawn(async move {
        match backup::write(&store, &kms, &octets).await {
            Ok(rows) => {
                tracing::info!(rows, "backup made");
                ending.whole();
            }
            Err(error) => tracing::error!(%error, "a backup broke off"),
        }
    });
    let mut response = Response::new(answer);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    Ok(response)
}

pub async fn restore(api: &AdminApi, asked: Asked) -> Reply {
    let Some(stream) = asked.stream() else { return Err(Problem::internal(&"no stream")) };
    let restored = backup::restore(api.store(), api.registry.kms(), api.change(), stream).await;
    api.registry.announce();
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
        BackupError::Kms(error) => error.into(),
        _ => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad-backup",
            detail,
            "nothing was changed: take another copy of the backup, or an older one",
        ),
    }
}
