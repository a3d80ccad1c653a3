//! A request's way: who asks, how often, for what, and who may.

use super::{
    Administrators, Caller, Problem,
    authentication::{Credential, Known},
    body::{self, Answer},
    handlers::{self, Offer},
    limits::{Limiter, source},
    request::{Asked, Carried, carried, drained},
};
use crate::registry::Registry;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{ALLOW, CACHE_CONTROL, CONNECTION, ETAG, HeaderValue},
};
use obf_admin::{Access, NoRoute, Operation, Role};
use obf_net::{Clock, Running, http::Peer};
use obf_store::{
    StoreError,
    resource::{Change, Claim, Idempotency, KeptAnswer, ResourceDb},
};
use obf_types::{HomeNetwork, UnixTime};
use std::{net::IpAddr, sync::Arc, time::Instant};

/// How many times its requests per second an administrator may make at once.
const AT_ONCE: u32 = 4;
/// The same for a source address without a credential.
const STRANGERS_AT_ONCE: u32 = 10;

/// What administrators and strangers may ask for: requests per second, and registrations.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Requests per second of one administrator.
    pub administrator: u32,
    /// Requests per second of one source address without a valid credential.
    pub stranger: u32,
    /// Application providers that may wait for approval at once.
    pub registrations: u64,
}

/// The admin API of a Resource Server. Clones share it.
#[derive(Clone)]
pub struct AdminApi {
    pub(super) registry: Registry,
    pub(super) home_network: HomeNetwork,
    pub(super) offer: Arc<Offer>,
    pub(super) running: Running,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) most_registrations: u64,
    administrators: Administrators,
    callers: Arc<Limiter<Arc<str>>>,
    strangers: Arc<Limiter<IpAddr>>,
    known: Arc<Known>,
}

impl AdminApi {
    /// On that registry, for those administrators. Imports run in the group of `running`.
    pub fn new(
        registry: Registry,
        administrators: Administrators,
        offer: Offer,
        rates: Rates,
        home_network: HomeNetwork,
        clock: Arc<dyn Clock>,
        running: Running,
    ) -> Self {
        let limiter = |rate: u32, at_once: u32| (rate, rate.saturating_mul(at_once));
        let (administrator, stranger) =
            (limiter(rates.administrator, AT_ONCE), limiter(rates.stranger, STRANGERS_AT_ONCE));
        Self {
            registry,
            home_network,
            offer: Arc::new(offer),
            running,
            clock,
            most_registrations: rates.registrations,
            administrators,
            callers: Arc::new(Limiter::new(administrator.0, administrator.1)),
            strangers: Arc::new(Limiter::new(stranger.0, stranger.1)),
            known: Arc::default(),
        }
    }

    /// Answers one request.
    pub async fn handle(self, request: Request<Incoming>, peer: Peer) -> Response<Answer> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        // Whoever is not known does not fill our memory.
        let caller = self.caller(&request, &peer).await;
        let read = match &caller {
            Ok(_) => carried(request).await,
            Err(_) => drained(request).await,
        };
        let request = match read {
            Ok(request) => request,
            Err(problem) => {
                let mut answer = caller.err().unwrap_or(problem).into_response();
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                return answer;
            }
        };
        let streams = matches!(request.body(), Carried::Stream(_));
        let (caller, answer) = match caller {
            Ok(caller) => {
                let answer = self.answer(request, caller.as_ref()).await;
                (caller, answer)
            }
            Err(problem) => (None, Err(problem)),
        };
        let status = answer.as_ref().map_or_else(|problem| problem.status, Response::status);
        if let Some(caller) = caller {
            tracing::info!(administrator = &*caller.name, %method, path, %status, "admin request");
        }
        if let Err(problem) = &answer
            && status.is_server_error()
        {
            tracing::warn!(%method, path, code = problem.code, detail = problem.detail, "admin request failed");
        }
        let unread = streams && answer.is_err();
        let mut answer = answer.unwrap_or_else(Problem::into_response);
        if unread {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        answer
    }

    /// Now.
    pub(super) fn now(&self) -> UnixTime {
        self.clock.now()
    }

    /// Where everything is kept.
    pub(super) const fn store(&self) -> &ResourceDb {
        &self.registry.store
    }

    /// A change now, by whom this request comes from and for the reason that it says.
    pub(super) fn change(&self) -> Change {
        self.registry.change(self.now())
    }

    /// Who asks; nobody where nobody needs to be known.
    async fn caller(&self, request: &Request<Incoming>, peer: &Peer) -> Result<Option<Caller>, Problem> {
        let now = Instant::now();
        let anyone = obf_admin::route(request.method().as_str(), request.uri().path())
            .is_ok_and(|route| route.operation.access == Access::Anyone);
        let stranger = || self.strangers.take(source(peer.address.ip()), now).map_err(Problem::too_many);
        if anyone {
            return stranger().map(|()| None);
        }
        let admitted = |caller: Caller| {
            self.callers.take(caller.name.clone(), now).map_err(Problem::too_many)?;
            Ok(Some(caller))
        };
        if let Ok(caller) = self.administrators.configured(request.headers()) {
            return admitted(caller);
        }
        let Some(credential) = Credential::of(request.headers(), peer) else {
            stranger()?;
            return Err(Problem::unauthenticated());
        };
        // Before the store is asked: a flood of wrong tokens ends here.
        let known = self.known.has(&credential);
        if !known {
            stranger()?;
        }
        match self.administrators.registered(credential.clone(), self.store()).await {
            Ok(caller) => {
                if !known {
                    self.strangers.give_back(&source(peer.address.ip()));
                    self.known.add(&credential);
                }
                admitted(caller)
            }
            Err(problem) => {
                if known && !problem.status.is_server_error() {
                    self.known.forget(&credential);
                    stranger()?;
                }
                Err(problem)
            }
        }
    }

    async fn answer(
        &self,
        request: Request<Carried>,
        caller: Option<&Caller>,
    ) -> Result<Response<Answer>, Problem> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let route = match obf_admin::route(method.as_str(), &path) {
            Ok(route) => route,
            Err(NoRoute::Method(allowed)) if method == Method::OPTIONS => return Ok(options(&allowed)),
            Err(reason) => return Err(Problem::no_route(&method, &path, reason)),
        };
        let caller = match caller {
            Some(caller) => permitted(route.operation, caller)?.clone(),
            None => Caller { name: "anyone".into(), role: Role::ReadOnly, provider: None },
        };
        let asked = Asked::read(route, caller, request)?;
        let acting =
            Self { registry: self.registry.acting(&asked.caller.name, &asked.reason), ..self.clone() };
        match asked.key.clone() {
            None => handlers::answer(&acting, asked).await,
            // It goes on, and its answer is kept, though its caller should go away: else the repetition would do it twice.
            Some(key) => {
                let done = tokio::spawn(async move { acting.once(&key, asked).await });
                done.await.unwrap_or_else(|error| Err(Problem::internal(&error)))
            }
        }
    }

    /// Carries a request out the first time its key comes; afterwards tells what it told then.
    async fn once(&self, key: &str, asked: Asked) -> Result<Response<Answer>, Problem> {
        let (store, actor) = (self.store(), asked.caller.name.clone());
        let request = asked.digest();
        match store.claim(&actor, key, request, self.now()).await? {
            Claim::Answered(kept) => return Ok(again(kept)),
            Claim::UnderWay => return Err(Problem::under_way()),
            Claim::OtherRequest => return Err(Problem::other_request()),
            Claim::Fresh => {}
        }
        let answer = handlers::answer(self, asked).await;
        match &answer {
            Ok(answer) => {
                let etag = answer.headers().get(ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
                let body = answer.body().octets().map(|octets| octets.to_vec()).unwrap_or_default();
                let kept = KeptAnswer { status: answer.status().as_u16(), etag, body };
                forgiven(store.keep_answer(&actor, key, request, kept).await);
            }
            Err(_) => forgiven(store.release_claim(&actor, key, request).await),
        }
        answer
    }
}

/// What became of the request stays what is answered, also where that cannot be kept for a repetition: on a disk that has
/// just filled up, say.
fn forgiven(kept: Result<(), StoreError>) {
    if let Err(error) = kept {
        tracing::error!(%error, "what became of a request cannot be kept for its repetition");
    }
}

fn again(kept: KeptAnswer) -> Response<Answer> {
    let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    let mut answer = match kept.body {
        body if body.is_empty() => body::empty(status),
        body => body::whole(status, "application/json", body),
    };
    if let Some(tag) = kept.etag.and_then(|tag| HeaderValue::try_from(tag).ok()) {
        answer.headers_mut().insert(ETAG, tag);
    }
    answer
}

fn permitted<'a>(operation: &Operation, caller: &'a Caller) -> Result<&'a Caller, Problem> {
    match operation.access {
        Access::Roles(roles) if !roles.contains(caller.role) => {
            Err(Problem::not_permitted(operation, caller.role, roles))
        }
        _ => Ok(caller),
    }
}

fn options(allowed: &[&str]) -> Response<Answer> {
    let mut answer = body::empty(StatusCode::NO_CONTENT);
    if let Ok(allow) = HeaderValue::try_from(allowed.join(", ")) {
        answer.headers_mut().insert(ALLOW, allow);
    }
    answer
}
