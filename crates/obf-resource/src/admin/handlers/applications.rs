//! Applications.

use super::{Reply, done, hex, json, page};
use crate::{
    admin::{Problem, api::AdminApi, request::Asked},
    registry::{ApplicationRecord, Registration},
};
use hyper::StatusCode;
use obf_admin::resource::{
    State,
    applications::{Application as View, ApplicationRecord as Shown},
};
use obf_store::resource::{Application, ApplicationState};
use obf_types::AppId;

pub async fn list(api: &AdminApi, asked: Asked) -> Reply {
    let apps = api.registry.list_applications(asked.query_as("after")?, asked.limit() + 1).await?;
    page("apps", apps, asked.limit(), |app| app.id.to_string(), shown)
}

pub async fn add(api: &AdminApi, asked: Asked) -> Reply {
    let application = asked.record::<ApplicationRecord>()?.check(api.now())?;
    let id = application.id.clone();
    let status = match api.registry.register_application(application).await? {
        Registration::Unchanged => StatusCode::OK,
        Registration::Added => StatusCode::CREATED,
    };
    json(status, &shown(&api.registry.application(id).await?))
}

pub async fn show(api: &AdminApi, asked: Asked) -> Reply {
    json(StatusCode::OK, &shown(&api.registry.application(id(&asked)?).await?))
}

pub async fn remove(api: &AdminApi, asked: Asked) -> Reply {
    api.registry.remove_application(id(&asked)?, api.now()).await?;
    Ok(done())
}

pub async fn suspend(api: &AdminApi, asked: Asked) -> Reply {
    set_state(api, asked, ApplicationState::Suspended).await
}

pub async fn resume(api: &AdminApi, asked: Asked) -> Reply {
    set_state(api, asked, ApplicationState::Active).await
}

async fn set_state(api: &AdminApi, asked: Asked, state: ApplicationState) -> Reply {
    api.registry.set_application_state(id(&asked)?, state, api.now()).await?;
    show(api, asked).await
}

fn id(asked: &Asked) -> Result<AppId, Problem> {
    AppId::new(asked.path(0)).map_err(|error| Problem::parameter("app", error))
}

fn shown(app: &Application) -> View {
    View {
        record: Shown {
            app: app.id.to_string(),
            provider: None,
            cert_names: app.cert_names.clone(),
            protocols: Vec::new(),
            ua: app.ua_classes.clone(),
            max_lifetime: None,
            kyc_level: None,
            settings: hex(&app.settings),
            disclose_identity: app.discloses_identity,
        },
        state: match app.state {
            ApplicationState::Active => State::Active,
            ApplicationState::Suspended => State::Suspended,
        },
        version: 1,
        created_at: app.created_at.into(),
    }
}
