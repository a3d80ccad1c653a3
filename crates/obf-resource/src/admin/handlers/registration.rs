//! An application provider registers itself; an operator approves (SPEC R1).

use super::{
    Reply,
    administrators::{account, new_token},
    settled, stakeholders, target_state, versioned,
};
use crate::admin::Administration;
use hyper::StatusCode;
use obf_admin::{Role, resource::administrators::AdministratorRecord};
use obf_admin_http::{AdminRequest, Problem};
use obf_store::resource::{Registered, Stakeholder, StakeholderKind, State};
use serde_json::json;

/// The longest id of a provider for which the id of its administrator is still valid.
const LONGEST_ID: usize = 60;

pub async fn register(work: &Administration, asked: AdminRequest) -> Reply {
    let stakeholder = stakeholders::read(work, &asked, asked.body(), State::Registered).await?;
    if stakeholder.id.len() > LONGEST_ID {
        return Err(Problem::rule(format_args!("application_provider: at most {LONGEST_ID} characters")));
    }
    let record = AdministratorRecord {
        administrator: administrator_of(&stakeholder.id),
        role: Role::ApplicationProvider,
        application_provider: Some(stakeholder.id.clone()),
        cert_name: None,
    };
    let token = new_token()?;
    let account = account(work, &record, &token, State::Registered);
    let most = work.most_registrations;
    match work.registry.register_provider(stakeholder.clone(), account, most, work.now()).await? {
        Registered::Done => {}
        Registered::Exists => return Err(Problem::exists("application-provider", &stakeholder.id)),
        Registered::Full => return Err(Problem::registrations_full(most)),
    }
    let mut told = stakeholders::shown(&stakeholder);
    if let Some(told) = told.as_object_mut() {
        told.insert("administrator".into(), json!(record.administrator));
        told.insert("token".into(), json!(*token));
    }
    versioned(StatusCode::CREATED, &told, stakeholder.version)
}

pub async fn approve(work: &Administration, asked: AdminRequest) -> Reply {
    let there = stakeholders::load(work, StakeholderKind::ApplicationProvider, asked.path(0)).await?;
    let state = target_state(&asked, asked.path(0), there.state)?;
    let expected = asked.expected.or(Some(there.version));
    let approved = Stakeholder { state, ..there };
    let administrator = administrator_of(asked.path(0));
    let outcome = work.registry.approve_provider(approved, expected, &administrator, work.now()).await?;
    stakeholders::answer(&settled(outcome, StakeholderKind::ApplicationProvider.name(), asked.path(0))?)
}

fn administrator_of(provider: &str) -> String {
    format!("ap-{provider}")
}
