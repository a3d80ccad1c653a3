//! Grants, of devices and of groups.

use super::{Reply, applications::visible, done, object};
use crate::{admin::Administration, registry::terms};
use hyper::StatusCode;
use obf_admin::{
    Role,
    resource::grants::{Grant as View, GrantRecord},
};
use obf_admin_http::{AdminRequest, Problem};
use obf_store::resource::{DeviceId, Grant, Grantee};
use obf_types::{AppId, Lifetime, hex};
use serde_json::json;

/// Where a page goes on.
enum After {
    Device(DeviceId, AppId),
    Group(String, AppId),
}

pub async fn list(work: &Administration, asked: AdminRequest) -> Reply {
    // Which devices there are is not a provider's to know, whatever its application is told of one that comes to it.
    let anonymous = asked.caller.role == Role::ApplicationProvider;
    if anonymous {
        let Some(app) = asked.query("app") else {
            return Err(Problem::not_yours("the grants of all applications; name one of yours: ?app="));
        };
        visible(work, &asked.caller, app).await?;
        if asked.query("device").is_some() {
            return Err(Problem::not_yours("which devices there are"));
        }
    }
    let app: Option<AppId> = asked.query_as("app")?;
    let group = asked.query("group").map(str::to_owned);
    let device = match asked.query("device") {
        None => None,
        Some(identity) => Some(work.registry.device(identity).await?.id),
    };
    let after = asked.query("after").map(cursor).transpose()?;
    let limit = asked.limit();
    let mut rows: Vec<(View, String)> = Vec::new();
    let (after_device, after_group) = match after {
        Some(After::Device(device, app)) => (Some((device, app)), None),
        Some(After::Group(group, app)) => (None, Some((group, app))),
        None => (None, None),
    };
    if group.is_none() && after_group.is_none() {
        let grants = work.registry.list_grants(device, app.clone(), after_device, limit + 1).await?;
        rows.extend(grants.iter().map(|(identity, grant)| (shown(identity.value(), grant), place(grant))));
    }
    if device.is_none() && rows.len() <= limit as usize {
        let left = limit + 1 - u32::try_from(rows.len()).unwrap_or(limit);
        let grants = work.registry.list_group_grants(group, app, after_group, left).await?;
        rows.extend(grants.iter().map(|grant| (shown("", grant), place(grant))));
    }
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = rows.last().filter(|_| more).map(|(_, place)| place.clone());
    let view = |(view, _): (View, String)| View { device: view.device.filter(|_| !anonymous), ..view };
    let rows: Vec<View> = rows.into_iter().map(view).collect();
    object(StatusCode::OK, &json!({ "grants": rows, "next": next }))
}

pub async fn add(work: &Administration, asked: AdminRequest) -> Reply {
    let record: GrantRecord = asked.record()?;
    let app = AppId::new(&record.app).map_err(|error| Problem::rule(format_args!("app: {error}")))?;
    let (grantee, device) = grantee(work, record.device.as_deref(), record.group.as_deref()).await?;
    let grant = Grant { grantee, app: app.clone(), terms: terms(&record)?, created_at: work.now() };
    let known = work.registry.put_grant(grant.clone(), work.now()).await;
    if !known? {
        return Err(Problem::unknown("app", app.as_str()));
    }
    object(StatusCode::CREATED, &shown(&device, &grant))
}

/// Who is meant, and the primary identity of a device.
pub(super) async fn grantee(
    work: &Administration,
    device: Option<&str>,
    group: Option<&str>,
) -> Result<(Grantee, String), Problem> {
    match (device, group) {
        (Some(identity), None) => {
            let device = work.registry.device(identity).await?;
            let primary = device.primary().map(|identity| identity.value().to_owned()).unwrap_or_default();
            Ok((Grantee::Device(device.id), primary))
        }
        (None, Some(group)) => match work.registry.group(group).await? {
            Some(_) => Ok((Grantee::Group(group.to_owned()), String::new())),
            None => Err(Problem::unknown("group", group)),
        },
        _ => Err(Problem::rule("exactly one of device and group is needed")),
    }
}

pub async fn remove(work: &Administration, asked: AdminRequest) -> Reply {
    let device = work.registry.device(asked.path(0)).await?;
    take_back(work, &asked, Grantee::Device(device.id)).await
}

pub async fn remove_group(work: &Administration, asked: AdminRequest) -> Reply {
    take_back(work, &asked, Grantee::Group(asked.path(0).to_owned())).await
}

async fn take_back(work: &Administration, asked: &AdminRequest, grantee: Grantee) -> Reply {
    let app = AppId::new(asked.path(1)).map_err(|error| Problem::parameter("app", error))?;
    let found = work.registry.remove_grant(grantee, app.clone(), work.now()).await;
    if found? { Ok(done()) } else { Err(Problem::no_grant(asked.path(0), app.as_str())) }
}

/// `device/000000000000000001/track.example`, `group/fleet/track.example`.
fn place(grant: &Grant) -> String {
    match &grant.grantee {
        Grantee::Device(device) => format!("device/{:018}/{}", device.to_cursor(), grant.app),
        Grantee::Group(group) => format!("group/{group}/{}", grant.app),
    }
}

fn cursor(text: &str) -> Result<After, Problem> {
    let parts: Vec<&str> = text.split('/').collect();
    let app = |name: &str| AppId::new(name).ok();
    let after = match parts.as_slice() {
        ["device", device, name] => device
            .parse()
            .ok()
            .zip(app(name))
            .map(|(device, app)| After::Device(DeviceId::from_cursor(device), app)),
        ["group", group, name] => app(name).map(|app| After::Group((*group).to_owned(), app)),
        _ => None,
    };
    after.ok_or_else(Problem::no_cursor)
}

fn shown(device: &str, grant: &Grant) -> View {
    let terms = &grant.terms;
    View {
        device: Some(device.to_owned()).filter(|device| !device.is_empty()),
        group: match &grant.grantee {
            Grantee::Group(group) => Some(group.clone()),
            Grantee::Device(_) => None,
        },
        app: grant.app.to_string(),
        lifetime: terms.lifetime.map(Lifetime::seconds),
        expires: terms.expires_at.map(Into::into),
        settings: terms.settings.as_deref().map(hex::encode),
        local_validity: terms.local_validity.map(Lifetime::seconds),
        kyc_level: Some(terms.kyc_level).filter(|level| *level > 0),
    }
}
