//! Administrators. A token is told once and kept as its SHA-256.

use super::{Reply, done, led_to, page, patched, settled, versioned};
use crate::admin::{Problem, api::AdminApi, authentication::CONFIGURED, request::Asked};
use hyper::StatusCode;
use obf_admin::{
    Role,
    resource::administrators::{Administrator as View, AdministratorRecord, AdministratorToken},
};
use obf_store::resource::{AdministratorAccount, AdministratorAccounts, Entries, EntryKind, State};
use obf_types::hex;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

pub async fn list(api: &AdminApi, asked: Asked) -> Reply {
    let after = asked.query("after").unwrap_or_default();
    let accounts = api.store().list_administrators(after, asked.limit() + 1).await?;
    page("administrators", accounts, asked.limit(), |account| account.id.clone(), shown)
}

pub async fn add(api: &AdminApi, asked: Asked) -> Reply {
    let record: AdministratorRecord = asked.record()?;
    if record.administrator == CONFIGURED {
        return Err(Problem::exists("administrator", CONFIGURED));
    }
    check(api, &record).await?;
    let token = new_token()?;
    let account = account(api, &record, &token, State::Active);
    if !api.store().add_administrator(account.clone(), api.change()).await? {
        return Err(Problem::exists("administrator", &record.administrator));
    }
    told(StatusCode::CREATED, &account, &token)
}

pub async fn show(api: &AdminApi, asked: Asked) -> Reply {
    answer(&load(api, asked.path(0)).await?)
}

pub async fn set(api: &AdminApi, asked: Asked) -> Reply {
    let there = load(api, asked.path(0)).await?;
    let record: AdministratorRecord = patched(&described(&there), &asked)?;
    check(api, &record).await?;
    let changed = AdministratorAccount {
        role: record.role.name().to_owned(),
        application_provider: record.application_provider,
        cert_name: record.cert_name,
        ..there
    };
    answer(&apply(api, &asked, changed).await?)
}

pub async fn set_state(api: &AdminApi, asked: Asked) -> Reply {
    let there = load(api, asked.path(0)).await?;
    let state = led_to(&asked, asked.path(0), there.state)?;
    answer(&apply(api, &asked, AdministratorAccount { state, ..there }).await?)
}

pub async fn renew_token(api: &AdminApi, asked: Asked) -> Reply {
    let there = load(api, asked.path(0)).await?;
    let token = new_token()?;
    let changed = AdministratorAccount { token_sha256: Sha256::digest(token.as_bytes()).into(), ..there };
    told(StatusCode::OK, &apply(api, &asked, changed).await?, &token)
}

pub async fn remove(api: &AdminApi, asked: Asked) -> Reply {
    let outcome = api.store().remove_administrator(asked.path(0), asked.expected, api.change()).await?;
    settled(outcome, "administrator", asked.path(0))?;
    Ok(done())
}

async fn apply(
    api: &AdminApi,
    asked: &Asked,
    changed: AdministratorAccount,
) -> Result<AdministratorAccount, Problem> {
    let expected = asked.expected.or(Some(changed.version));
    settled(
        api.store().replace_administrator(changed, expected, api.change()).await?,
        "administrator",
        asked.path(0),
    )
}

/// 256 random bits as hex digits.
pub fn new_token() -> Result<Zeroizing<String>, Problem> {
    let mut octets = Zeroizing::new([0_u8; 32]);
    getrandom::fill(&mut *octets).map_err(|error| Problem::internal(&error))?;
    Ok(Zeroizing::new(hex::encode(&*octets)))
}

/// The account that a record describes.
pub fn account(
    api: &AdminApi,
    record: &AdministratorRecord,
    token: &str,
    state: State,
) -> AdministratorAccount {
    let now = api.now();
    AdministratorAccount {
        id: record.administrator.clone(),
        role: record.role.name().to_owned(),
        application_provider: record.application_provider.clone(),
        token_sha256: Sha256::digest(token.as_bytes()).into(),
        cert_name: record.cert_name.clone(),
        state,
        version: 1,
        created_at: now,
        updated_at: now,
    }
}

async fn check(api: &AdminApi, record: &AdministratorRecord) -> Result<(), Problem> {
    match (record.role, &record.application_provider) {
        (Role::ApplicationProvider, Some(provider)) => {
            let found = api.store().entry(EntryKind::ApplicationProvider, provider).await?;
            found.map(|_| ()).ok_or_else(|| Problem::unknown("application-provider", provider))
        }
        (Role::ApplicationProvider, None) => {
            Err(Problem::rule("application_provider: is needed for the role application-provider"))
        }
        (_, Some(_)) => Err(Problem::rule("application_provider: only for the role application-provider")),
        (_, None) => Ok(()),
    }
}

async fn load(api: &AdminApi, id: &str) -> Result<AdministratorAccount, Problem> {
    api.store().administrator(id).await?.ok_or_else(|| Problem::unknown("administrator", id))
}

fn answer(account: &AdministratorAccount) -> Reply {
    versioned(StatusCode::OK, &shown(account), account.version)
}

fn told(status: StatusCode, account: &AdministratorAccount, token: &str) -> Reply {
    let told = AdministratorToken { administrator: shown(account), token: token.to_owned() };
    versioned(status, &told, account.version)
}

fn described(account: &AdministratorAccount) -> AdministratorRecord {
    AdministratorRecord {
        administrator: account.id.clone(),
        role: Role::from_name(&account.role).unwrap_or(Role::ReadOnly),
        application_provider: account.application_provider.clone(),
        cert_name: account.cert_name.clone(),
    }
}

fn shown(account: &AdministratorAccount) -> View {
    View {
        record: described(account),
        state: account.state,
        version: account.version,
        created_at: account.created_at.into(),
        updated_at: account.updated_at.into(),
    }
}
