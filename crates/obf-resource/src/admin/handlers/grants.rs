//! Grants.

use super::{Reply, done, json, page};
use crate::{
    admin::{Problem, api::AdminApi, request::Asked},
    registry::{GrantRecord, GrantView},
};
use hyper::StatusCode;
use obf_store::resource::DeviceId;
use obf_types::AppId;

pub async fn list(api: &AdminApi, asked: Asked) -> Reply {
    let device = match asked.query("device") {
        None => None,
        Some(identity) => Some(api.registry.device(identity).await?.id),
    };
    let after = asked.query("after").map(cursor).transpose()?;
    let grants = api.registry.list_grants(device, asked.query_as("app")?, after, asked.limit() + 1).await?;
    page(
        "grants",
        grants,
        asked.limit(),
        |(_, grant)| format!("{:018}/{}", grant.device.to_cursor(), grant.app),
        |(device, grant)| GrantView::of(device, grant),
    )
}

pub async fn add(api: &AdminApi, asked: Asked) -> Reply {
    let record: GrantRecord = asked.record()?;
    json(StatusCode::CREATED, &api.registry.grant(&record, api.now()).await?)
}

pub async fn remove(api: &AdminApi, asked: Asked) -> Reply {
    let app = AppId::new(asked.path(1)).map_err(|error| Problem::parameter("app", error))?;
    api.registry.remove_grant(asked.path(0), app, api.now()).await?;
    Ok(done())
}

/// `{device}/{app}`, the device's number in 18 digits.
fn cursor(text: &str) -> Result<(DeviceId, AppId), Problem> {
    let cursor = text
        .split_once('/')
        .and_then(|(device, app)| Some((DeviceId::from_cursor(device.parse().ok()?), AppId::new(app).ok()?)));
    cursor.ok_or_else(|| Problem::parameter("after", "the 'next' of the page before"))
}
