//! Applications. An application provider sees its own, and none besides.

use super::{Reply, done, page, patched, settled, state_asked, target_state, versioned};
use crate::{
    admin::Administration,
    registry::{Registration, application, described},
};
use hyper::StatusCode;
use obf_admin::{
    Role,
    resource::applications::{Application as View, ApplicationRecord},
};
use obf_admin_http::{AdminRequest, Caller, Problem};
use obf_store::resource::{Application, ApplicationFilter, StakeholderKind, State};
use obf_types::AppId;

pub async fn list(work: &Administration, asked: AdminRequest) -> Reply {
    let provider = match asked.caller.role {
        Role::ApplicationProvider => Some(asked.caller.provider.clone().unwrap_or_default()),
        _ => asked.query("provider").map(str::to_owned),
    };
    let filter = ApplicationFilter { provider, state: state_asked(&asked) };
    let apps = work.registry.list_applications(filter, asked.query_as("after")?, asked.limit() + 1).await?;
    page("apps", apps, asked.limit(), |app| app.id.to_string(), shown)
}

pub async fn add(work: &Administration, asked: AdminRequest) -> Reply {
    let mut record: ApplicationRecord = asked.record()?;
    let mut state = State::Active;
    if asked.caller.role == Role::ApplicationProvider {
        if record.provider.is_some() && record.provider != asked.caller.provider {
            return Err(Problem::not_yours("an application of another provider"));
        }
        record.provider.clone_from(&asked.caller.provider);
        state = State::Registered;
    }
    provider_is_there(work, &record).await?;
    let application = application(&record, state, work.now())?;
    let id = application.id.clone();
    let status = match work.registry.register_application(application).await? {
        Registration::Unchanged => StatusCode::OK,
        Registration::Added => StatusCode::CREATED,
    };
    let app = work.registry.application(id).await?;
    versioned(status, &shown(&app), app.version)
}

pub async fn show(work: &Administration, asked: AdminRequest) -> Reply {
    answer(&visible(work, &asked.caller, asked.path(0)).await?)
}

pub async fn set(work: &Administration, asked: AdminRequest) -> Reply {
    let app = visible(work, &asked.caller, asked.path(0)).await?;
    let record: ApplicationRecord = patched(&described(&app), &asked)?;
    provider_is_there(work, &record).await?;
    let changed = application(&record, app.state, app.created_at)?;
    apply(work, &asked, app.version, changed).await
}

pub async fn set_state(work: &Administration, asked: AdminRequest) -> Reply {
    let app = visible(work, &asked.caller, asked.path(0)).await?;
    let changed = Application { state: target_state(&asked, asked.path(0), app.state)?, ..app };
    apply(work, &asked, changed.version, changed).await
}

async fn apply(work: &Administration, asked: &AdminRequest, version: u64, changed: Application) -> Reply {
    let expected = asked.expected.or(Some(version));
    let outcome = work.registry.replace_application(changed, expected, work.now()).await?;
    answer(&settled(outcome, "app", asked.path(0))?)
}

pub async fn remove(work: &Administration, asked: AdminRequest) -> Reply {
    let app = visible(work, &asked.caller, asked.path(0)).await?;
    let outcome = work.registry.remove_application(app.id, asked.expected, work.now()).await?;
    settled(outcome, "app", asked.path(0))?;
    Ok(done())
}

/// The application, if the caller may know that it is there.
pub async fn visible(work: &Administration, caller: &Caller, id: &str) -> Result<Application, Problem> {
    let id = AppId::new(id).map_err(|error| Problem::parameter("app", error))?;
    let app = work.registry.application(id.clone()).await?;
    let own = caller.provider.as_deref() == Some(app.provider.as_str());
    if caller.role == Role::ApplicationProvider && !own {
        return Err(Problem::unknown("app", id.as_str()));
    }
    Ok(app)
}

async fn provider_is_there(work: &Administration, record: &ApplicationRecord) -> Result<(), Problem> {
    let Some(provider) = &record.provider else { return Ok(()) };
    match work.registry.stakeholder(StakeholderKind::ApplicationProvider, provider).await? {
        Some(stakeholder) if stakeholder.state != State::Retired => Ok(()),
        Some(stakeholder) => Err(Problem::state(provider, stakeholder.state)),
        None => Err(Problem::unknown("application-provider", provider)),
    }
}

fn answer(app: &Application) -> Reply {
    versioned(StatusCode::OK, &shown(app), app.version)
}

fn shown(app: &Application) -> View {
    View {
        record: described(app),
        state: app.state,
        withheld: app.withheld,
        version: app.version,
        created_at: app.created_at.into(),
        updated_at: app.updated_at.into(),
    }
}
