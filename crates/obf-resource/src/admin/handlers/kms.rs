//! Key management: status, rotation, key files for new secure elements.

use super::{Reply, object, streamed};
use crate::{
    admin::Administration,
    provisioning::creation,
    registry::{self, RegistryError},
};
use hyper::StatusCode;
use obf_admin::resource::{
    devices::AlgorithmName,
    kms::{CreationRecord, DataKey, KeyFileFormat, KmsStatus, Rotation, RotationRecord},
};
use obf_admin_http::{AdminRequest, Problem, body};
use obf_kms::{Algorithm, Format, KeyPart, creation::Batch, rotation};
use obf_types::UnixTime;
use std::time::Duration;
use tokio::time::timeout;

/// How long the other end may take nothing.
const PATIENCE: Duration = Duration::from_secs(30);

pub async fn show(work: &Administration, _: AdminRequest) -> Reply {
    let status = work.registry.kms().status().await.map_err(RegistryError::from)?;
    let data_keys = status.data_keys.into_iter().map(|key| DataKey {
        id: key.id,
        kek: key.kek,
        records: key.records,
        created_at: UnixTime(key.created_at).into(),
    });
    object(StatusCode::OK, &KmsStatus { kek: status.kek, data_keys: data_keys.collect() })
}

pub async fn rotate(work: &Administration, asked: AdminRequest) -> Reply {
    let RotationRecord { full } = asked.record()?;
    let rotation = work.registry.rotate(full, work.now()).await?;
    object(StatusCode::OK, &shown(&rotation))
}

pub async fn rotation(work: &Administration, _: AdminRequest) -> Reply {
    let rotation = work.registry.kms().rotation().await.map_err(RegistryError::from)?;
    object(StatusCode::OK, &rotation.as_ref().map(shown).unwrap_or_default())
}

fn shown(rotation: &rotation::Rotation) -> Rotation {
    Rotation {
        running: rotation.state == rotation::State::Running,
        full: rotation.full,
        data_keys: rotation.data_keys_done,
        done: rotation.records_done,
        total: rotation.records_total,
        started_at: Some(UnixTime(rotation.started_at).into()),
        finished_at: rotation.finished_at.map(|at| UnixTime(at).into()),
        problem: rotation.problem.clone(),
    }
}

pub async fn create(work: &Administration, asked: AdminRequest) -> Reply {
    let record: CreationRecord<KeyPart> = asked.record()?;
    let algorithm = match record.algorithm {
        AlgorithmName::Milenage => Algorithm::Milenage,
        AlgorithmName::Tuak => Algorithm::Tuak,
    };
    let batch = Batch::new(&record.imsi, record.iccid.as_deref(), record.count, algorithm);
    let mut batch = batch.map_err(Problem::rule)?;
    batch.technology = registry::technology(record.technology)?;
    let format = match record.format {
        KeyFileFormat::Csv => Format::Csv,
        KeyFileFormat::Pskc => Format::Pskc,
    };
    let key = record.transport_key.into_transport_key(&record.transport_key_name);
    let key = key.ok_or_else(|| Problem::rule("transport_key: 16 or 32 octets"))?;
    // Keys leave in this file, so who took it is in the audit before the first is made.
    let detail = format!("{} keys, under the transport key {}", record.count, record.transport_key_name);
    work.registry.note("kms.create", &format!("imsi:{}", record.imsi), &detail, work.now()).await?;
    let (pieces, ending, answer) = body::stream(body::WAITING_PIECES);
    let (registry, mnc_length, clock) = (work.registry.clone(), work.mnc_length, work.clock.clone());
    work.running.spawn(async move {
        let take = |piece: Vec<u8>| {
            let pieces = pieces.clone();
            async move { matches!(timeout(PATIENCE, pieces.send(piece.into())).await, Ok(Ok(()))) }
        };
        match creation::create(&registry, batch, mnc_length, (format, key), || clock.now(), take).await {
            Ok(made) => {
                tracing::info!(created = made.created, refused = made.refused, "keys made");
                ending.whole();
                for (device, reason) in made.examples {
                    tracing::warn!(device, reason, "no key made");
                }
            }
            Err(error) => tracing::error!(%error, "the making of keys broke off"),
        }
    });
    Ok(streamed("application/octet-stream", answer))
}
