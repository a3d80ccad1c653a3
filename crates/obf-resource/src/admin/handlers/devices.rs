//! Devices.

use super::{Reply, done, json, page};
use crate::{
    admin::{Problem, api::AdminApi, body, import, request::Asked},
    registry::{DeviceRecord, Registration},
};
use hyper::{
    Response, StatusCode,
    header::{CONTENT_TYPE, HeaderValue},
};
use obf_admin::resource::{
    State,
    devices::{AlgorithmName, BootstrapAlgorithm, Device as View, Source},
};
use obf_store::resource::{AkaAlgorithm, Device, DeviceId, DeviceState};

pub async fn list(api: &AdminApi, asked: Asked) -> Reply {
    let after = asked.query_as("after")?.map(DeviceId::from_cursor);
    let devices = api.registry.list(after, asked.limit() + 1).await?;
    page("devices", devices, asked.limit(), |device| device.id.to_cursor().to_string(), shown)
}

pub async fn add(api: &AdminApi, asked: Asked) -> Reply {
    let record = DeviceRecord::parse(&asked.text(), api.home_network)?;
    let identity = record.primary().map(|primary| format!("{primary:?}")).unwrap_or_default();
    let outcome = api.registry.register(vec![record], api.now()).await?;
    let status = match outcome.into_iter().next().transpose()? {
        Some(Registration::Unchanged) => StatusCode::OK,
        _ => StatusCode::CREATED,
    };
    json(status, &shown(&api.registry.device(&identity).await?))
}

pub async fn import(api: &AdminApi, asked: Asked) -> Reply {
    let Some(stream) = asked.stream() else { return Err(Problem::internal(&"no stream")) };
    let (report, answer) = body::stream();
    let import = import::run(api.registry.clone(), api.home_network, api.clock.clone(), stream, report);
    api.running.spawn(import);
    let mut response = Response::new(answer);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/jsonl"));
    Ok(response)
}

pub async fn show(api: &AdminApi, asked: Asked) -> Reply {
    json(StatusCode::OK, &shown(&api.registry.device(asked.path(0)).await?))
}

pub async fn remove(api: &AdminApi, asked: Asked) -> Reply {
    api.registry.remove(asked.path(0), api.now()).await?;
    Ok(done())
}

pub async fn suspend(api: &AdminApi, asked: Asked) -> Reply {
    api.registry.suspend(asked.path(0), api.now()).await?;
    show(api, asked).await
}

pub async fn resume(api: &AdminApi, asked: Asked) -> Reply {
    api.registry.resume(asked.path(0)).await?;
    show(api, asked).await
}

pub async fn revoke(api: &AdminApi, asked: Asked) -> Reply {
    api.registry.revoke(asked.path(0), api.now()).await?;
    show(api, asked).await
}

/// Everything but its key.
fn shown(device: &Device) -> View {
    View {
        device: device.primary().map(ToString::to_string).unwrap_or_default(),
        identities: device.identities.iter().map(|identity| format!("{identity:?}")).collect(),
        algorithm: match device.algorithm {
            AkaAlgorithm::Milenage => AlgorithmName::Milenage,
            AkaAlgorithm::Tuak => AlgorithmName::Tuak,
        },
        source: Source::Own,
        state: match device.state {
            DeviceState::Active => State::Active,
            DeviceState::Suspended => State::Suspended,
        },
        epoch: device.epoch.0,
        amf: format!("{:04x}", u16::from_be_bytes(device.amf)),
        sqn: format!("{:012x}", device.sqn),
        minimum_algorithm: match device.minimum_algorithm {
            2 => BootstrapAlgorithm::Akav2Sha256,
            _ => BootstrapAlgorithm::Akav1Md5,
        },
        kyc_expiry: device.kyc_expiry.map(Into::into),
        custodian: device.custodian.clone(),
        version: 1,
        created_at: device.created_at.into(),
    }
}
