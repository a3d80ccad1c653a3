//! An application provider registers itself; an operator approves (SPEC R1).

use super::{
    Reply,
    administrators::{account, new_token},
    entries, led_to, versioned,
};
use crate::admin::{Problem, api::AdminApi, request::Asked};
use hyper::StatusCode;
use obf_admin::{Role, resource::administrators::AdministratorRecord};
use obf_store::resource::{
    AdministratorAccount, AdministratorAccounts, Entry, EntryKind, Registered, Registrations, State,
};
use serde_json::json;

/// The longest id whose administrator's id still is one.
const LONGEST_ID: usize = 60;

pub async fn register(api: &AdminApi, asked: Asked) -> Reply {
    let entry = entries::entry(api, &asked, asked.body(), State::Registered).await?;
    if entry.id.len() > LONGEST_ID {
        return Err(Problem::rule(format_args!("application_provider: at most {LONGEST_ID} characters")));
    }
    let record = AdministratorRecord {
        administrator: administrator_of(&entry.id),
        role: Role::ApplicationProvider,
        application_provider: Some(entry.id.clone()),
        cert_name: None,
    };
    let token = new_token()?;
    let account = account(api, &record, &token, State::Registered);
    let most = api.most_registrations;
    match api.store().register_provider(entry.clone(), account, most, api.change()).await? {
        Registered::Done => {}
        Registered::Exists => return Err(Problem::exists("application-provider", &entry.id)),
        Registered::Full => return Err(Problem::registrations_full(most)),
    }
    let mut told = entries::shown(&entry);
    if let Some(told) = told.as_object_mut() {
        told.insert("administrator".into(), json!(record.administrator));
        told.insert("token".into(), json!(*token));
    }
    versioned(StatusCode::CREATED, &told, entry.version)
}

pub async fn approve(api: &AdminApi, asked: Asked) -> Reply {
    let there = entries::load(api, EntryKind::ApplicationProvider, asked.path(0)).await?;
    let state = led_to(&asked, asked.path(0), there.state)?;
    let version = there.version;
    let answer = entries::apply(api, &asked, version, Entry { state, ..there }).await?;
    let account = api.store().administrator(&administrator_of(asked.path(0))).await?;
    if let Some(account) = account.filter(|account| account.state == State::Registered) {
        let account = AdministratorAccount { state: State::Active, ..account };
        api.store().replace_administrator(account, None, api.change()).await?;
    }
    Ok(answer)
}

fn administrator_of(provider: &str) -> String {
    format!("ap-{provider}")
}
