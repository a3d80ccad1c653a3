//! Providers, Resource Servers and application providers: records of one form, told apart by their kind.

use super::{Reply, done, page, settled, state_asked, target_state, versioned};
use crate::admin::Administration;
use hyper::StatusCode;
use obf_admin::{
    merge,
    resource::providers::{ApplicationProviderRecord, ProviderRecord, ResourceServerRecord},
};
use obf_admin_http::{AdminRequest, Problem};
use obf_store::resource::{Stakeholder, StakeholderKind, State};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// The kind that the operation is about, the name of its listing and of its id.
fn kind(asked: &AdminRequest) -> (StakeholderKind, &'static str, &'static str) {
    match asked.operation.id.split('.').next() {
        Some("providers") => (StakeholderKind::Provider, "providers", "provider"),
        Some("resource-servers") => (StakeholderKind::ResourceServer, "resource-servers", "resource_server"),
        _ => (StakeholderKind::ApplicationProvider, "application-providers", "application_provider"),
    }
}

pub async fn list(work: &Administration, asked: AdminRequest) -> Reply {
    let (kind, name, _) = kind(&asked);
    let parent = asked.query("provider").map(str::to_owned);
    let after = asked.query("after").unwrap_or_default();
    let stakeholders =
        work.registry.list_stakeholders(kind, parent, state_asked(&asked), after, asked.limit() + 1).await?;
    page(name, stakeholders, asked.limit(), |stakeholder| stakeholder.id.clone(), shown)
}

pub async fn add(work: &Administration, asked: AdminRequest) -> Reply {
    let (kind, ..) = kind(&asked);
    let stakeholder = read(work, &asked, asked.body(), State::Active).await?;
    let (id, document) = (stakeholder.id.clone(), stakeholder.document.clone());
    let added = work.registry.add_stakeholder(stakeholder, work.now()).await?;
    let there = load(work, kind, &id).await?;
    if !added && there.document != document {
        return Err(Problem::exists(kind.name(), &id));
    }
    let status = if added { StatusCode::CREATED } else { StatusCode::OK };
    versioned(status, &shown(&there), there.version)
}

pub async fn show(work: &Administration, asked: AdminRequest) -> Reply {
    answer(&load(work, kind(&asked).0, asked.path(0)).await?)
}

pub async fn set(work: &Administration, asked: AdminRequest) -> Reply {
    let there = load(work, kind(&asked).0, asked.path(0)).await?;
    let mut document: Value =
        serde_json::from_str(&there.document).map_err(|error| Problem::internal(&error))?;
    merge::apply(&mut document, asked.body().clone());
    let changed = read(work, &asked, &document, there.state).await?;
    apply(work, &asked, there.version, changed).await
}

pub async fn set_state(work: &Administration, asked: AdminRequest) -> Reply {
    let there = load(work, kind(&asked).0, asked.path(0)).await?;
    let state = target_state(&asked, asked.path(0), there.state)?;
    apply(work, &asked, there.version, Stakeholder { state, ..there }).await
}

async fn apply(work: &Administration, asked: &AdminRequest, version: u64, changed: Stakeholder) -> Reply {
    let kind = changed.kind;
    let expected = asked.expected.or(Some(version));
    let outcome = work.registry.replace_stakeholder(changed, expected, work.now()).await?;
    answer(&settled(outcome, kind.name(), asked.path(0))?)
}

pub async fn remove(work: &Administration, asked: AdminRequest) -> Reply {
    let (kind, ..) = kind(&asked);
    let outcome = work.registry.remove_stakeholder(kind, asked.path(0), asked.expected, work.now()).await?;
    settled(outcome, kind.name(), asked.path(0))?;
    Ok(done())
}

/// What a record describes; what it belongs to must be there.
pub async fn read(
    work: &Administration,
    asked: &AdminRequest,
    record: &Value,
    state: State,
) -> Result<Stakeholder, Problem> {
    let (kind, _, id) = kind(asked);
    let document = match kind {
        StakeholderKind::Provider => canonical_text::<ProviderRecord>(record),
        StakeholderKind::ResourceServer => canonical_text::<ResourceServerRecord>(record),
        StakeholderKind::ApplicationProvider => canonical_text::<ApplicationProviderRecord>(record),
    }?;
    let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let parent = if kind == StakeholderKind::ResourceServer { text("provider") } else { String::new() };
    if !parent.is_empty() {
        load(work, StakeholderKind::Provider, &parent).await?;
    }
    let now = work.now();
    Ok(Stakeholder {
        kind,
        id: text(id),
        parent,
        state,
        version: 1,
        document,
        created_at: now,
        updated_at: now,
    })
}

/// The record written as its type writes it, so that equal ones are equal text.
fn canonical_text<R: Serialize + DeserializeOwned>(record: &Value) -> Result<String, Problem> {
    let record = R::deserialize(record).map_err(Problem::rule)?;
    serde_json::to_string(&record).map_err(|error| Problem::internal(&error))
}

pub async fn load(work: &Administration, kind: StakeholderKind, id: &str) -> Result<Stakeholder, Problem> {
    work.registry.stakeholder(kind, id).await?.ok_or_else(|| Problem::unknown(kind.name(), id))
}

pub fn answer(stakeholder: &Stakeholder) -> Reply {
    versioned(StatusCode::OK, &shown(stakeholder), stakeholder.version)
}

/// The record with what is kept beside it.
pub fn shown(stakeholder: &Stakeholder) -> Value {
    let mut view: Value = serde_json::from_str(&stakeholder.document).unwrap_or_default();
    let kept = json!({
        "state": stakeholder.state,
        "version": stakeholder.version,
        "created_at": obf_admin::Timestamp(stakeholder.created_at),
        "updated_at": obf_admin::Timestamp(stakeholder.updated_at),
    });
    if let (Value::Object(view), Value::Object(kept)) = (&mut view, kept) {
        view.extend(kept);
    }
    view
}
