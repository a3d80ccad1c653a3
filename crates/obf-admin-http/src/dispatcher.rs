//! A request's way: who asks, how often, for what, and who may.

use crate::{
    Administrators, Caller, Problem, Reply,
    authentication::{Credential, RecentCredentials},
    body::{self, Answer},
    limits::Limiter,
    request::{AdminRequest, RequestBody, Target, drained, with_body},
};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{ALLOW, CACHE_CONTROL, CONNECTION, HeaderValue},
};
use obf_admin::{Access, Api, NoRoute, Operation, Role};
use obf_net::{http::Peer, source_network};
use std::{future::Future, sync::Arc, time::Instant};

/// How many times its requests per second an administrator may make at once.
const AT_ONCE: u32 = 4;
/// The same for a source address without a credential.
const STRANGERS_AT_ONCE: u32 = 10;

/// What a node puts behind the dispatcher.
pub trait Service: Clone + Send + Sync + 'static {
    /// The operations that it serves.
    const API: Api;

    /// The administrator with that credential, whom the configuration does not name, for that request. Whether its role is
    /// one of the operation's is not looked at here.
    ///
    /// # Errors
    /// A 401 problem where there is none, which does not say whether there was a token; 403 for one that is known and
    /// not in use, or has nothing to do there; 503 where it cannot be known.
    fn administrator(
        &self,
        credential: Credential,
        target: &Target,
    ) -> impl Future<Output = Result<Caller, Problem>> + Send;

    /// Does what is asked: it fits its description, and the caller may.
    ///
    /// # Errors
    /// What is wrong with it.
    fn answer(&self, asked: AdminRequest) -> impl Future<Output = Reply> + Send;
}

/// What administrators and strangers may ask for, requests per second.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Of one administrator.
    pub administrator: u32,
    /// Of one source address without a valid credential.
    pub stranger: u32,
}

/// The admin API of a node. Clones share it.
#[derive(Clone)]
pub struct Dispatcher<S> {
    service: S,
    administrators: Administrators,
    callers: Arc<Limiter>,
    strangers: Arc<Limiter>,
    known: Arc<RecentCredentials>,
}

impl<S: Service> Dispatcher<S> {
    /// Before that service; `administrators` are those of the configuration.
    pub fn new(service: S, administrators: Administrators, rates: Rates) -> Self {
        Self {
            service,
            administrators,
            callers: Arc::new(Limiter::new(rates.administrator, AT_ONCE)),
            strangers: Arc::new(Limiter::new(rates.stranger, STRANGERS_AT_ONCE)),
            known: Arc::default(),
        }
    }

    /// Answers one request.
    pub async fn handle(self, request: Request<Incoming>, peer: Peer) -> Response<Answer> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        // Whoever is not known does not fill our memory.
        let caller = self.caller(&request, &peer).await;
        let read = match &caller {
            Ok(_) => with_body(S::API, request).await,
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
        let streams = matches!(request.body(), RequestBody::Stream(_));
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

    /// Who asks; nobody where nobody needs to be known.
    async fn caller(&self, request: &Request<Incoming>, peer: &Peer) -> Result<Option<Caller>, Problem> {
        let now = Instant::now();
        let target = Target::of(S::API, request);
        let anyone = target.operation().is_some_and(|operation| operation.access == Access::Anyone);
        let source = source_network(peer.address.ip());
        let stranger = || self.strangers.take(&source, now).map_err(Problem::too_many);
        if anyone {
            return stranger().map(|()| None);
        }
        let admitted = |caller: Caller| {
            self.callers.take(&*caller.name, now).map_err(Problem::too_many)?;
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
        match self.service.administrator(credential.clone(), &target).await {
            Ok(caller) => {
                if !known {
                    self.strangers.give_back(&source, now);
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

    async fn answer(&self, request: Request<RequestBody>, caller: Option<&Caller>) -> Reply {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let route = match S::API.route(method.as_str(), &path) {
            Ok(route) => route,
            Err(NoRoute::Method(allowed)) if method == Method::OPTIONS => return Ok(options(&allowed)),
            Err(reason) => return Err(Problem::no_route(&method, &path, reason)),
        };
        let caller = match caller {
            Some(caller) => permitted(route.operation, caller)?.clone(),
            None => Caller::new("anyone", Role::ReadOnly),
        };
        let asked = AdminRequest::read(route, caller, request)?;
        self.service.answer(asked).await
    }
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
