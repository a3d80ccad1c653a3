//! Devices.

use super::{Reply, done, page, patched, settled, state_asked, streamed, target_state, versioned};
use crate::{
    admin::{Administration, problem::explained},
    provisioning::{import::Import, ingest::read_key_file},
    registry::{DeviceRecord, Registration},
};
use hyper::StatusCode;
use obf_admin::resource::devices::{
    AlgorithmName, BootstrapAlgorithm, CSV, Device as View, DeviceRecord as Described, DeviceSettings, PSKC,
    Source, TechnologyName,
};
use obf_admin_http::{AdminRequest, Problem, body};
use obf_kms::{Format, KeyPart, TransportKey};
use obf_store::resource::{
    AkaAlgorithm, Credential, Device, DeviceFilter, DeviceId, DeviceUpdate, Source as StoredSource,
};
use obf_token::{Algorithm, Mode, Technology};

pub async fn list(work: &Administration, asked: AdminRequest) -> Reply {
    let filter = DeviceFilter {
        state: state_asked(&asked),
        custodian: asked.query("custodian").map(str::to_owned),
        group: asked.query("group").map(str::to_owned),
    };
    let after = asked.query_as("after")?.map(DeviceId::from_cursor);
    let devices = work.registry.list_devices(filter, after, asked.limit() + 1).await?;
    let devices = devices.iter().map(|device| Ok((device.id, shown(device)?)));
    let devices = devices.collect::<Result<Vec<_>, Problem>>()?;
    page("devices", devices, asked.limit(), |(id, _)| id.to_cursor().to_string(), |(_, view)| view.clone())
}

pub async fn add(work: &Administration, asked: AdminRequest) -> Reply {
    let record = DeviceRecord::read(&asked.record::<Described<KeyPart>>()?, work.mnc_length)?;
    let identity = record.primary().map(ToString::to_string).unwrap_or_default();
    let outcome = work.registry.register(vec![record], work.now()).await?;
    let status = match outcome.into_iter().next().transpose()? {
        Some(Registration::Unchanged) => StatusCode::OK,
        _ => StatusCode::CREATED,
    };
    let device = work.registry.device(&identity).await?;
    versioned(status, &shown(&device)?, device.version)
}

pub async fn import(work: &Administration, asked: AdminRequest) -> Reply {
    let format = match asked.media_type {
        CSV => Some(Format::Csv),
        PSKC => Some(Format::Pskc),
        _ => None,
    };
    let key = asked.transport_key.as_ref().and_then(|text| text.split_once(':'));
    let key = key.and_then(|(name, key)| TransportKey::from_octets(name, key.as_bytes()));
    let key_file = match (format, key) {
        (None, _) => None,
        (Some(format), Some(key)) => Some(read_key_file(format, key, work.mnc_length)),
        (Some(_), None) => return Err(Problem::rule("Obf-Transport-Key: is needed for a key file")),
    };
    let Some(stream) = asked.stream() else { return Err(Problem::internal(&"no stream")) };
    let (report, ending, answer) = body::stream(body::WAITING_PIECES);
    let kept = report.clone();
    let import = Import {
        explain: explained,
        registry: work.registry.clone(),
        mnc_length: work.mnc_length,
        clock: work.clock.clone(),
        report,
    };
    work.running.spawn(async move {
        let whole = match key_file {
            None => import.lines(stream).await,
            Some(file) => import.key_file(stream, file).await,
        };
        if whole {
            ending.whole();
        }
        drop(kept);
    });
    Ok(streamed("application/jsonl", answer))
}

pub async fn show(work: &Administration, asked: AdminRequest) -> Reply {
    answer(&work.registry.device(asked.path(0)).await?)
}

pub async fn set(work: &Administration, asked: AdminRequest) -> Reply {
    let device = work.registry.device(asked.path(0)).await?;
    let settings: DeviceSettings = patched(&settings(&device)?, &asked)?;
    let update = DeviceUpdate {
        state: device.state,
        minimum_algorithm: match settings.minimum_algorithm {
            BootstrapAlgorithm::Akav1Md5 => Algorithm::AkaV1Md5,
            BootstrapAlgorithm::Akav2Sha256 => Algorithm::AkaV2Sha256,
        },
        kyc_expiry: settings.kyc_expiry.map(|expiry| expiry.0),
        custodian: settings.custodian,
    };
    apply(work, &asked, &device, update).await
}

pub async fn set_state(work: &Administration, asked: AdminRequest) -> Reply {
    let device = work.registry.device(asked.path(0)).await?;
    let update = DeviceUpdate {
        state: target_state(&asked, asked.path(0), device.state)?,
        minimum_algorithm: credential(&device)?.aka().minimum_algorithm,
        kyc_expiry: device.kyc_expiry,
        custodian: device.custodian.as_ref().map(|custodian| custodian.id.clone()),
    };
    apply(work, &asked, &device, update).await
}

/// At the version that was expected, otherwise at the one that was read.
async fn apply(work: &Administration, asked: &AdminRequest, device: &Device, update: DeviceUpdate) -> Reply {
    let expected = asked.expected.or(Some(device.version));
    let updated = work.registry.update_device(device.id, update, expected, work.now()).await?;
    answer(&settled(updated, "device", asked.path(0))?)
}

pub async fn revoke(work: &Administration, asked: AdminRequest) -> Reply {
    let device = work.registry.device(asked.path(0)).await?;
    let ended = work.registry.end_tokens(device.id, asked.expected, work.now()).await?;
    settled(ended, "device", asked.path(0))?;
    show(work, asked).await
}

pub async fn remove(work: &Administration, asked: AdminRequest) -> Reply {
    let device = work.registry.device(asked.path(0)).await?;
    let removed = work.registry.remove_device(device.id, asked.expected, work.now()).await?;
    settled(removed, "device", asked.path(0))?;
    Ok(done())
}

fn answer(device: &Device) -> Reply {
    versioned(StatusCode::OK, &shown(device)?, device.version)
}

/// What the device authenticates with.
fn credential(device: &Device) -> Result<&Credential, Problem> {
    let active = device.active(Mode::Aka);
    active.ok_or_else(|| Problem::internal(&"the device has no active credential of AKA"))
}

fn settings(device: &Device) -> Result<DeviceSettings, Problem> {
    Ok(DeviceSettings {
        minimum_algorithm: minimum(credential(device)?),
        kyc_expiry: device.kyc_expiry.map(Into::into),
        custodian: device.custodian.as_ref().map(|custodian| custodian.id.clone()),
    })
}

const fn minimum(credential: &Credential) -> BootstrapAlgorithm {
    match credential.aka().minimum_algorithm {
        Algorithm::AkaV1Md5 => BootstrapAlgorithm::Akav1Md5,
        Algorithm::AkaV2Sha256 => BootstrapAlgorithm::Akav2Sha256,
    }
}

const fn technology(credential: &Credential) -> TechnologyName {
    match credential.technology {
        Technology::ThreeGpp => TechnologyName::ThreeGpp,
        Technology::LoRaWan => TechnologyName::Lorawan,
        Technology::Standalone => TechnologyName::Standalone,
    }
}

/// Everything but its key.
fn shown(device: &Device) -> Result<View, Problem> {
    let credential = credential(device)?;
    let aka = credential.aka();
    let (source, hlr) = match &credential.source {
        StoredSource::Kms(_) => (Source::Own, None),
        StoredSource::Hlr(name) => (Source::Hlr, Some(name.to_string())),
    };
    Ok(View {
        device: device.primary().map(|identity| identity.value().to_owned()).unwrap_or_default(),
        identities: device.identities.iter().map(ToString::to_string).collect(),
        algorithm: match credential.envelope().map(|envelope| envelope.algorithm) {
            Some(AkaAlgorithm::Tuak { .. }) => AlgorithmName::Tuak,
            Some(AkaAlgorithm::Milenage) | None => AlgorithmName::Milenage,
        },
        technology: technology(credential),
        source,
        hlr,
        state: device.state,
        epoch: device.epoch.0,
        amf: format!("{:04x}", u16::from_be_bytes(aka.amf)),
        sqn: format!("{:012x}", aka.sqn),
        minimum_algorithm: minimum(credential),
        kyc_expiry: device.kyc_expiry.map(Into::into),
        custodian: device.custodian.as_ref().map(|custodian| custodian.id.clone()),
        version: device.version,
        created_at: device.created_at.into(),
        updated_at: device.updated_at.into(),
    })
}
