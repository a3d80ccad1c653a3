//! Administrators. A token is told once and kept as its SHA-256.

use super::{Reply, done, page, patched, settled, target_state, versioned};
use crate::admin::Administration;
use hyper::StatusCode;
use obf_admin::{
    Role,
    resource::administrators::{Administrator as View, AdministratorRecord, AdministratorToken},
};
use obf_admin_http::{AdminRequest, Problem, authentication::CONFIGURED};
use obf_store::resource::{AdministratorAccount, StakeholderKind, State};
use obf_types::hex;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

pub async fn list(work: &Administration, asked: AdminRequest) -> Reply {
    let after = asked.query("after").unwrap_or_default();
    let accounts = work.registry.list_administrators(after, asked.limit() + 1).await?;
    page("administrators", accounts, asked.limit(), |account| account.id.clone(), shown)
}

pub async fn add(work: &Administration, asked: AdminRequest) -> Reply {
    let record: AdministratorRecord = asked.record()?;
    if record.administrator == CONFIGURED {
        return Err(Problem::exists("administrator", CONFIGURED));
    }
    check(work, &record).await?;
    let token = new_token()?;
    let account = account(work, &record, &token, State::Active);
    if !work.registry.add_administrator(account.clone(), work.now()).await? {
        return Err(Problem::exists("administrator", &record.administrator));
    }
    told(StatusCode::CREATED, &account, &token)
}

pub async fn show(work: &Administration, asked: AdminRequest) -> Reply {
    answer(&load(work, asked.path(0)).await?)
}

pub async fn set(work: &Administration, asked: AdminRequest) -> Reply {
    let there = load(work, asked.path(0)).await?;
    let record: AdministratorRecord = patched(&described(&there), &asked)?;
    check(work, &record).await?;
    let changed = AdministratorAccount {
        role: record.role.name().to_owned(),
        application_provider: record.application_provider,
        cert_name: record.cert_name,
        ..there
    };
    answer(&apply(work, &asked, changed).await?)
}

pub async fn set_state(work: &Administration, asked: AdminRequest) -> Reply {
    let there = load(work, asked.path(0)).await?;
    let state = target_state(&asked, asked.path(0), there.state)?;
    answer(&apply(work, &asked, AdministratorAccount { state, ..there }).await?)
}

pub async fn renew_token(work: &Administration, asked: AdminRequest) -> Reply {
    let there = load(work, asked.path(0)).await?;
    let token = new_token()?;
    let changed = AdministratorAccount { token_sha256: Sha256::digest(token.as_bytes()).into(), ..there };
    told(StatusCode::OK, &apply(work, &asked, changed).await?, &token)
}

pub async fn remove(work: &Administration, asked: AdminRequest) -> Reply {
    let outcome = work.registry.remove_administrator(asked.path(0), asked.expected, work.now()).await?;
    settled(outcome, "administrator", asked.path(0))?;
    Ok(done())
}

async fn apply(
    work: &Administration,
    asked: &AdminRequest,
    changed: AdministratorAccount,
) -> Result<AdministratorAccount, Problem> {
    let expected = asked.expected.or(Some(changed.version));
    settled(
        work.registry.replace_administrator(changed, expected, work.now()).await?,
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
    work: &Administration,
    record: &AdministratorRecord,
    token: &str,
    state: State,
) -> AdministratorAccount {
    let now = work.now();
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

async fn check(work: &Administration, record: &AdministratorRecord) -> Result<(), Problem> {
    match (record.role, &record.application_provider) {
        (Role::ApplicationProvider, Some(provider)) => {
            let found = work.registry.stakeholder(StakeholderKind::ApplicationProvider, provider).await?;
            found.map(|_| ()).ok_or_else(|| Problem::unknown("application-provider", provider))
        }
        (Role::ApplicationProvider, None) => {
            Err(Problem::rule("application_provider: is needed for the role application-provider"))
        }
        (_, Some(_)) => Err(Problem::rule("application_provider: only for the role application-provider")),
        (_, None) => Ok(()),
    }
}

async fn load(work: &Administration, id: &str) -> Result<AdministratorAccount, Problem> {
    work.registry.administrator(id).await?.ok_or_else(|| Problem::unknown("administrator", id))
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
