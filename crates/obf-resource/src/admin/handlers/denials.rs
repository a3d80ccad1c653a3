//! Denials, of devices and of groups.

use super::{Reply, done, grants, page, settled, versioned};
use crate::admin::Administration;
use hyper::StatusCode;
use obf_admin::resource::denials::{Denial as View, DenialRecord};
use obf_admin_http::{AdminRequest, Problem};
use obf_store::resource::{Denial, DenialFilter, Grantee, NewDenial, Outcome};
use obf_types::{AppId, UnixTime};

pub async fn list(work: &Administration, asked: AdminRequest) -> Reply {
    let device = match asked.query("device") {
        None => None,
        Some(identity) => Some(work.registry.device(identity).await?.id),
    };
    let filter =
        DenialFilter { device, group: asked.query("group").map(str::to_owned), app: asked.query_as("app")? };
    let after = asked.query_as("after")?.unwrap_or(0);
    let denials = work.registry.list_denials(filter, after, asked.limit() + 1).await?;
    let now = work.now();
    page("denials", denials, asked.limit(), |denial| denial.id.to_string(), |denial| shown(denial, now))
}

pub async fn add(work: &Administration, asked: AdminRequest) -> Reply {
    let record: DenialRecord = asked.record()?;
    let app = AppId::new(&record.app).map_err(|error| Problem::rule(format_args!("app: {error}")))?;
    let (grantee, _) = grants::grantee(work, record.device.as_deref(), record.group.as_deref()).await?;
    let until = record.until.map(|until| until.0);
    let denial = NewDenial { grantee, app: app.clone(), until };
    let outcome = work.registry.put_denial(denial, work.now()).await;
    match outcome? {
        Outcome::NoParent => Err(Problem::unknown("app", app.as_str())),
        outcome => {
            let denial = settled(outcome, "denial", app.as_str())?;
            versioned(StatusCode::CREATED, &shown(&denial, work.now()), denial.version)
        }
    }
}

pub async fn show(work: &Administration, asked: AdminRequest) -> Reply {
    let denial = work.registry.denial(id(&asked)?).await?;
    let denial = denial.ok_or_else(|| Problem::unknown("denial", asked.path(0)))?;
    versioned(StatusCode::OK, &shown(&denial, work.now()), denial.version)
}

pub async fn remove(work: &Administration, asked: AdminRequest) -> Reply {
    let outcome = work.registry.remove_denial(id(&asked)?, asked.expected, work.now()).await;
    settled(outcome?, "denial", asked.path(0))?;
    Ok(done())
}

fn id(asked: &AdminRequest) -> Result<i64, Problem> {
    asked.path(0).parse().map_err(|_| Problem::parameter("denial", "a number"))
}

fn shown(denial: &Denial, now: UnixTime) -> View {
    View {
        denial: u64::try_from(denial.id).unwrap_or_default(),
        device: denial.device.as_ref().map(|identity| identity.value().to_owned()),
        group: match &denial.grantee {
            Grantee::Group(group) => Some(group.clone()),
            Grantee::Device(_) => None,
        },
        app: denial.app.to_string(),
        until: denial.until.map(Into::into),
        over: denial.until.is_some_and(|until| until <= now),
        reason: Some(denial.reason.clone()).filter(|reason| !reason.is_empty()),
        version: denial.version,
        created_at: denial.created_at.into(),
        updated_at: denial.updated_at.into(),
    }
}
