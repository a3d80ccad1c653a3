//! Problem documents (RFC 9457): a stable `code`, what was wrong (`detail`), what to do (`next`).
//!
//! This is the one table from an error to what an administrator sees.

use crate::body::{self, Answer};
use hyper::{
    Method, Response, StatusCode,
    header::{ALLOW, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE},
};
use obf_admin::{Fault, NoRoute, Operation, ProblemDocument, ProblemFault, Role, Roles};
use obf_net::http::BodyError;
use obf_store::{StoreError, resource::State};
use obf_types::Refusal;

/// An answer that is an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// HTTP status.
    pub status: StatusCode,
    /// Stable code.
    pub code: &'static str,
    /// What was wrong.
    pub detail: String,
    /// What to do about it.
    pub next: &'static str,
    /// What few problems have.
    pub more: Box<More>,
}

/// What few problems have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct More {
    /// Every fault of a request that does not fit its description.
    pub faults: Vec<ProblemFault>,
    /// The version of the object, where another was expected.
    pub version: Option<u64>,
    /// Seconds to wait before asking again.
    pub wait: Option<u64>,
    /// Methods that the path has.
    pub allow: Option<String>,
}

impl Problem {
    /// A problem.
    pub fn new(status: StatusCode, code: &'static str, detail: impl ToString, next: &'static str) -> Self {
        let detail = detail.to_string();
        Self { status, code, detail, next, more: Box::default() }
    }

    fn with(self, more: More) -> Self {
        Self { more: Box::new(more), ..self }
    }

    /// No, or no valid, token.
    pub fn unauthenticated() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "not-authenticated",
            "the request has no valid administrator token",
            "send 'Authorization: Bearer TOKEN' with the token of a configured administrator",
        )
    }

    /// Another role is needed.
    pub fn not_permitted(operation: &Operation, role: Role, needed: Roles) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "not-permitted",
            format_args!("{} is for {needed}; this administrator is {}", operation.id, role.name()),
            "ask an administrator of that role",
        )
    }

    /// Too many requests.
    pub fn too_many(wait: u64) -> Self {
        let detail = format_args!("too many requests: wait {wait} s");
        let next = "send fewer requests, or many devices in one import";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", detail, next)
            .with(More { wait: Some(wait), ..More::default() })
    }

    /// No operation.
    pub fn no_route(method: &Method, path: &str, reason: NoRoute) -> Self {
        match reason {
            NoRoute::Unknown => Self::new(
                StatusCode::NOT_FOUND,
                "unknown-route",
                format_args!("nothing is served at {path}"),
                "see /v1/openapi.json",
            ),
            NoRoute::Method(allowed) => {
                let allow = allowed.join(", ");
                let detail = format_args!("{method} does nothing here; {allow} do");
                let problem = Self::new(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "method-not-allowed",
                    detail,
                    "see /v1/openapi.json",
                );
                problem.with(More { allow: Some(allow), ..More::default() })
            }
            NoRoute::Encoding => Self::parameter("path or query", "malformed percent-encoding"),
        }
    }

    /// A malformed part of path, query or head.
    pub fn parameter(name: &str, wanted: impl std::fmt::Display) -> Self {
        let fault = ProblemFault { pointer: format!("?{name}"), detail: wanted.to_string() };
        let detail = format_args!("{name}: {wanted}");
        let problem = Self::new(
            StatusCode::BAD_REQUEST,
            "bad-parameter",
            detail,
            "correct the path, the query or the head",
        );
        problem.with(More { faults: vec![fault], ..More::default() })
    }

    /// The same as what an object's version would have answered.
    pub fn precondition(self) -> Self {
        Self { status: StatusCode::PRECONDITION_FAILED, code: "precondition-failed", ..self }
    }

    /// The body is no JSON.
    pub fn syntax(error: &serde_json::Error) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "bad-body",
            error,
            "send one JSON object with the fields of this route",
        )
    }

    /// The body is not as its description says.
    pub fn faults(faults: Vec<Fault>) -> Self {
        let name = |pointer: &str| pointer.trim_start_matches('/').to_owned();
        let said = faults.first().map(|Fault { pointer, wanted }| match name(pointer) {
            field if field.is_empty() => wanted.clone(),
            field => format!("{field}: {wanted}"),
        });
        let problem = Self::new(
            StatusCode::BAD_REQUEST,
            "bad-record",
            said.unwrap_or_default(),
            "correct the field named",
        );
        let fault = |Fault { pointer, wanted }| ProblemFault { pointer, detail: wanted };
        problem.with(More { faults: faults.into_iter().map(fault).collect(), ..More::default() })
    }

    /// What fits its description breaks a rule that no description says: a check digit, two fields that do not go
    /// together, a name of nothing.
    pub fn rule(detail: impl ToString) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "bad-record", detail, "correct the field named")
    }

    /// There is none of that kind with that id.
    pub fn unknown(kind: &str, id: &str) -> Self {
        let (code, name, next) = match kind {
            "device" => ("unknown-device", "device", "import the device first: obf device import FILE"),
            "app" => ("unknown-app", "application", "register it first: obf app add APP --cert-name NAME"),
            "group" => ("unknown-group", "group", "make it first: obf group add GROUP"),
            "custodian" => ("unknown-custodian", "custodian", "register it first: obf custodian add"),
            "denial" => ("unknown-denial", "denial", "see those there are: obf denial list"),
            "kyc" => ("unknown-kyc", "verification", "see those there are: obf kyc list"),
            "provider" => ("unknown-provider", "provider", "register it first: obf provider add"),
            "resource-server" => ("unknown-resource-server", "Resource Server", "obf resource-server list"),
            "application-provider" => (
                "unknown-application-provider",
                "application provider",
                "register it first: obf application-provider add",
            ),
            _ => ("unknown-administrator", "administrator", "obf administrator list"),
        };
        Self::new(StatusCode::NOT_FOUND, code, format_args!("no {name} {id}"), next)
    }

    /// The device or group has no such grant.
    pub fn no_grant(whom: &str, app: &str) -> Self {
        let detail = format_args!("{whom} has no grant for {app}");
        Self::new(StatusCode::NOT_FOUND, "unknown-grant", detail, "see what is granted: obf grant list")
    }

    /// No listing has ended there.
    pub fn no_cursor() -> Self {
        let detail = "after: no page has ended there";
        Self::new(StatusCode::NOT_FOUND, "unknown-cursor", detail, "give the 'next' of the page before")
    }

    /// There is one of that id, with other content.
    pub fn exists(kind: &'static str, id: &str) -> Self {
        let detail = format_args!("{kind} {id} is registered already, with other content");
        Self::new(StatusCode::CONFLICT, "exists", detail, "choose another id, or change the one there is")
    }

    /// Something else refers to it.
    pub fn in_use(kind: &'static str, id: &str) -> Self {
        let detail = format_args!("{kind} {id} is referred to");
        let next = "change what refers to it first, or retire it";
        Self::new(StatusCode::CONFLICT, "in-use", detail, next)
    }

    /// As many application providers wait for approval as may.
    pub fn registrations_full(most: u64) -> Self {
        let detail = format_args!("{most} application providers wait for approval already");
        let next = "ask the operator, who approves or removes some, and register again";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "registrations-full", detail, next)
            .with(More { wait: Some(3600), ..More::default() })
    }

    /// It cannot go from the state that it is in to the one wanted.
    pub fn state(id: &str, state: State) -> Self {
        let detail = format_args!("{id} is {}", state.name());
        let next = match state {
            State::Registered => "activate it first",
            State::Retired => "what is retired stays retired; register it anew",
            _ => "suspend and resume go to and fro, activate is for what is registered",
        };
        Self::new(StatusCode::CONFLICT, "wrong-state", detail, next)
    }

    /// An application provider asks for something of others.
    pub fn not_yours(what: &str) -> Self {
        let detail = format_args!("an application provider does not see {what}");
        Self::new(StatusCode::FORBIDDEN, "not-permitted", detail, "ask for one of your own applications")
    }

    /// The administrator is known, but may do nothing: it, or its application provider, is not active.
    pub fn not_active(state: State) -> Self {
        let (code, detail, next) = match state {
            State::Registered => {
                ("not-approved", "this administrator awaits approval", "an operator approves it")
            }
            _ => ("suspended", "this administrator is out of use", "an operator resumes it"),
        };
        Self::new(StatusCode::FORBIDDEN, code, detail, next)
    }

    /// It is not at the version that was expected.
    pub fn stale(version: u64) -> Self {
        let detail = format_args!("it is at version {version} now");
        let next = "read it again and decide anew";
        let problem = Self::new(StatusCode::PRECONDITION_FAILED, "precondition-failed", detail, next);
        problem.with(More { version: Some(version), ..More::default() })
    }

    /// A request with the same Idempotency-Key is being carried out.
    pub fn under_way() -> Self {
        let detail = "this request is being carried out";
        Self::new(StatusCode::CONFLICT, "under-way", detail, "ask again in a moment")
    }

    /// The Idempotency-Key was another request's.
    pub fn other_request() -> Self {
        let detail = "this Idempotency-Key was sent with another request";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused", detail, "choose another key")
    }

    /// The store failed; nothing was changed.
    pub fn store(error: &StoreError) -> Self {
        let (status, code) = match error {
            StoreError::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "OBF-303"),
            StoreError::Locked => (StatusCode::SERVICE_UNAVAILABLE, "OBF-304"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "OBF-304"),
        };
        let next = "nothing was changed: see to the cause and send the request again";
        Self::new(status, code, error, next)
    }

    /// What a wire refuses with a stable code, said to an administrator.
    pub fn refusal(status: StatusCode, refusal: Refusal, next: &'static str) -> Self {
        Self::new(status, refusal.tag(), refusal.text(), next)
    }

    /// Whether that is an administrator cannot be known at present: the Resource Server of that name, which would know, says
    /// nothing, or nothing that can be used.
    pub fn nobody_to_ask(server: &str) -> Self {
        let refusal = Refusal::ResourceServerUnreachable;
        let detail =
            format_args!("Resource Server {server:?} does not answer: it knows who the administrators are");
        let next =
            "wait until the Resource Server is back, or come as the administrator of the configuration";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, refusal.tag(), detail, next)
    }

    /// An administrator of one Resource Server asks for what is another's.
    pub fn of_another_server(theirs: &str, wanted: &str) -> Self {
        let detail = format_args!(
            "this is for administrators of Resource Server {wanted:?}; this one is of {theirs:?}"
        );
        let next = "ask an administrator of that Resource Server";
        Self::new(StatusCode::FORBIDDEN, "not-permitted", detail, next)
    }

    /// Ours.
    pub fn internal(error: &dyn std::fmt::Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error, "look into the server's log")
    }

    /// The document.
    pub fn document(&self) -> ProblemDocument {
        ProblemDocument {
            kind: "about:blank".into(),
            title: self.status.canonical_reason().unwrap_or("Error").into(),
            status: self.status.as_u16(),
            code: self.code.into(),
            detail: self.detail.clone(),
            next: self.next.into(),
            errors: self.more.faults.clone(),
            version: self.more.version,
        }
    }

    /// As an answer.
    pub fn into_response(self) -> Response<Answer> {
        let octets = serde_json::to_vec(&self.document()).unwrap_or_default();
        let mut response = body::whole(self.status, obf_admin::problem::MEDIA_TYPE, octets);
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::TOO_MANY_REQUESTS || self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from(self.more.wait.unwrap_or(1)));
        }
        if let Some(allow) = self.more.allow.and_then(|allow| HeaderValue::try_from(allow).ok()) {
            headers.insert(ALLOW, allow);
        }
        response
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        let status = match error {
            BodyError::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::Slow => StatusCode::REQUEST_TIMEOUT,
            _ => StatusCode::BAD_REQUEST,
        };
        let next = "send one object here, and many as JSON lines to /v1/devices:import";
        Self::new(status, "bad-body", error, next)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::store(&error)
    }
}
