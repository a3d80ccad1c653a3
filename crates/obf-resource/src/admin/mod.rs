//! Admin API, the first routes: HTTP and JSON, a bearer token, problem documents (RFC 9457).
//!
//! | route | does |
//! |---|---|
//! | `POST /v1/devices` | registers one device (a record as for the import) |
//! | `POST /v1/devices:import` | JSON lines in, a JSON line out for each, while they come |
//! | `GET /v1/devices[?after=&limit=]`, `GET\|DELETE /v1/devices/{identity}` | list, show, remove |
//! | `POST /v1/devices/{identity}:suspend\|resume\|revoke` | as said |
//! | `POST\|GET /v1/apps`, `GET\|DELETE /v1/apps/{app}`, `POST /v1/apps/{app}:suspend\|resume` | applications |
//! | `POST\|GET /v1/grants[?device=&app=]`, `DELETE /v1/grants/{identity}/{app}` | grants |

mod authentication;
mod body;
mod import;
mod problem;
mod route;

pub use authentication::{Administrator, AdministratorError, Administrators};
pub use problem::Problem;

use crate::registry::{
    ApplicationRecord, ApplicationView, DeviceRecord, DeviceView, GrantRecord, GrantView, Registration,
    Registry,
};
use body::Answer;
use hyper::{Method, Request, Response, StatusCode, body::Incoming};
use obf_net::{Clock, Running};
use obf_store::resource::{DeviceId, Grantee, State};
use obf_types::{AppId, HomeNetwork};
use route::{Query, Route};
use serde::{Serialize, de::DeserializeOwned};
use std::{sync::Arc, time::Duration};

/// The longest body of a request that is not an import, octets.
const MAX_BODY: usize = 64 * 1024;
const BODY_TIME: Duration = Duration::from_secs(10);
/// The most rows of one listing; the answer's `next` leads on.
const MAX_ROWS: u32 = 1000;

/// The admin API of a Resource Server.
#[derive(Clone)]
pub struct AdminApi {
    registry: Registry,
    administrators: Administrators,
    home_network: HomeNetwork,
    clock: Arc<dyn Clock>,
    running: Running,
}

impl AdminApi {
    /// On that registry, for those administrators. Imports run in the group of `running`.
    pub fn new(
        registry: Registry,
        administrators: Administrators,
        home_network: HomeNetwork,
        clock: Arc<dyn Clock>,
        running: Running,
    ) -> Self {
        Self { registry, administrators, home_network, clock, running }
    }

    /// Answers one request.
    pub async fn handle(mut self, request: Request<Incoming>) -> Response<Answer> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let answer = match self.administrators.authenticate(request.headers()) {
            Ok(name) => {
                let name = name.to_owned();
                self.registry = self.registry.acting(&name, "");
                let answer = self.route(request).await;
                let status = answer.as_ref().map_or_else(|problem| problem.status, Response::status);
                tracing::info!(administrator = name, %method, path, %status, "admin request");
                answer
            }
            Err(problem) => Err(problem),
        };
        answer.unwrap_or_else(|problem| problem.into_response())
    }

    async fn route(&self, request: Request<Incoming>) -> Result<Response<Answer>, Problem> {
        let route = Route::parse(request.uri().path())?;
        let query = Query::parse(request.uri().query())?;
        match (request.method().clone(), route) {
            (Method::POST, Route::Devices) => self.add_device(request).await,
            (Method::GET, Route::Devices) => self.list_devices(&query).await,
            (Method::POST, Route::DeviceImport) => Ok(self.import(request)),
            (Method::GET, Route::Device(id)) => {
                json(StatusCode::OK, &DeviceView::from(&self.registry.device(&id).await?))
            }
            (Method::DELETE, Route::Device(id)) => {
                self.registry.remove(&id, self.clock.now()).await?;
                Ok(body::empty(StatusCode::NO_CONTENT))
            }
            (Method::POST, Route::DeviceAction(id, action)) => self.act_on_device(&id, action).await,
            (Method::POST, Route::Apps) => self.add_app(request).await,
            (Method::GET, Route::Apps) => self.list_apps(&query).await,
            (Method::GET, Route::App(id)) => {
                let app = self.registry.application(id).await?;
                json(StatusCode::OK, &ApplicationView::from(&app))
            }
            (Method::DELETE, Route::App(id)) => {
                self.registry.remove_application(id, self.clock.now()).await?;
                Ok(body::empty(StatusCode::NO_CONTENT))
            }
            (Method::POST, Route::AppState(id, state)) => self.set_app_state(id, state).await,
            (Method::POST, Route::Grants) => {
                let record: GrantRecord = read(request).await?;
                json(StatusCode::CREATED, &self.registry.grant(&record, self.clock.now()).await?)
            }
            (Method::GET, Route::Grants) => self.list_grants(&query).await,
            (Method::DELETE, Route::Grant(device, app)) => {
                self.registry.remove_grant(&device, app, self.clock.now()).await?;
                Ok(body::empty(StatusCode::NO_CONTENT))
            }
            (method, _) => Err(Problem::method(&method)),
        }
    }

    async fn add_device(&self, request: Request<Incoming>) -> Result<Response<Answer>, Problem> {
        let octets = octets(request).await?;
        let record = DeviceRecord::parse(&octets, self.home_network)?;
        let identity = record.primary().map(|p| format!("{p:?}")).unwrap_or_default();
        let outcome = self.registry.register(vec![record], self.clock.now()).await?;
        let registration = outcome.into_iter().next().transpose()?;
        let device = self.registry.device(&identity).await?;
        json(created(registration), &DeviceView::from(&device))
    }

    async fn list_devices(&self, query: &Query) -> Result<Response<Answer>, Problem> {
        let after = query.number("after")?.map(DeviceId::from_cursor);
        let limit = query.limit(MAX_ROWS)?;
        let devices = self.registry.list(after, limit).await?;
        let next = devices.last().filter(|_| devices.len() >= limit as usize);
        let next = next.map(|device| device.id.to_cursor().to_string());
        let devices: Vec<_> = devices.iter().map(DeviceView::from).collect();
        json(StatusCode::OK, &serde_json::json!({ "devices": devices, "next": next }))
    }

    async fn act_on_device(
        &self,
        id: &str,
        action: route::DeviceAction,
    ) -> Result<Response<Answer>, Problem> {
        let now = self.clock.now();
        match action {
            route::DeviceAction::Suspend => self.registry.suspend(id, now).await?,
            route::DeviceAction::Resume => self.registry.resume(id, now).await?,
            route::DeviceAction::Revoke => self.registry.revoke(id, now).await?,
        }
        json(StatusCode::OK, &DeviceView::from(&self.registry.device(id).await?))
    }

    fn import(&self, request: Request<Incoming>) -> Response<Answer> {
        let (report, answer) = body::stream();
        let import = import::run(
            self.registry.clone(),
            self.home_network,
            self.clock.clone(),
            request.into_body(),
            report,
        );
        self.running.spawn(import);
        let mut response = Response::new(answer);
        response.headers_mut().insert(
            hyper::header::CONTENT_TYPE,
            hyper::header::HeaderValue::from_static("application/jsonl"),
        );
        response
    }

    async fn add_app(&self, request: Request<Incoming>) -> Result<Response<Answer>, Problem> {
        let record: ApplicationRecord = read(request).await?;
        let application = record.check(self.clock.now())?;
        let id = application.id.clone();
        let registration = self.registry.register_application(application).await?;
        let application = self.registry.application(id).await?;
        json(created(Some(registration)), &ApplicationView::from(&application))
    }

    async fn list_apps(&self, query: &Query) -> Result<Response<Answer>, Problem> {
        let limit = query.limit(MAX_ROWS)?;
        let apps = self.registry.list_applications(query.app("after")?, limit).await?;
        let next = apps.last().filter(|_| apps.len() >= limit as usize).map(|app| app.id.to_string());
        let apps: Vec<_> = apps.iter().map(ApplicationView::from).collect();
        json(StatusCode::OK, &serde_json::json!({ "apps": apps, "next": next }))
    }

    async fn set_app_state(&self, id: AppId, state: State) -> Result<Response<Answer>, Problem> {
        self.registry.set_application_state(id.clone(), state, self.clock.now()).await?;
        json(StatusCode::OK, &ApplicationView::from(&self.registry.application(id).await?))
    }

    async fn list_grants(&self, query: &Query) -> Result<Response<Answer>, Problem> {
        let limit = query.limit(MAX_ROWS)?;
        let device = match query.text("device") {
            None => None,
            Some(identity) => Some(self.registry.device(identity).await?.id),
        };
        let after = query.text("after").map(route::grant_cursor).transpose()?;
        let grants = self.registry.list_grants(device, query.app("app")?, after, limit).await?;
        let next = grants.last().filter(|_| grants.len() >= limit as usize);
        let next = next.and_then(|(_, grant)| match &grant.grantee {
            Grantee::Device(device) => Some(format!("{}/{}", device.to_cursor(), grant.app)),
            Grantee::Group(_) => None,
        });
        let grants: Vec<_> = grants.iter().map(|(device, grant)| GrantView::of(device, grant)).collect();
        json(StatusCode::OK, &serde_json::json!({ "grants": grants, "next": next }))
    }
}

fn created(registration: Option<Registration>) -> StatusCode {
    match registration {
        Some(Registration::Unchanged) => StatusCode::OK,
        _ => StatusCode::CREATED,
    }
}

fn json(status: StatusCode, value: &impl Serialize) -> Result<Response<Answer>, Problem> {
    let octets = serde_json::to_vec(value).map_err(|error| Problem::internal(&error))?;
    Ok(body::whole(status, "application/json", octets))
}

async fn octets(request: Request<Incoming>) -> Result<bytes::Bytes, Problem> {
    Ok(obf_net::http::read_body(request.into_body(), MAX_BODY, BODY_TIME).await?)
}

async fn read<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Problem> {
    serde_json::from_slice(&octets(request).await?).map_err(|error| Problem::syntax(&error))
}
