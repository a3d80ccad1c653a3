//! Problem documents (RFC 9457): a stable `code`, what was wrong (`detail`), what to do (`next`).
//!
//! This is the one table from an error to what an administrator sees.

use super::body::{self, Answer};
use crate::{
    kms::KmsError,
    registry::{FieldError, GrantError, RecordError, RegistryError},
};
use hyper::{
    Method, Response, StatusCode,
    header::{HeaderValue, WWW_AUTHENTICATE},
};
use obf_net::http::BodyError;
use obf_store::StoreError;
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
}

impl Problem {
    /// No, or no valid, token.
    pub fn unauthenticated() -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            code: "not-authenticated",
            detail: "the request has no valid administrator token".into(),
            next: "send 'Authorization: Bearer TOKEN' with the token of a configured administrator",
        }
    }

    /// No such path.
    pub fn route(path: &str) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            code: "unknown-route",
            detail: format!("nothing is served at {path}"),
            next: "see the routes under /v1/devices, /v1/apps and /v1/grants",
        }
    }

    /// Not that method.
    pub fn method(method: &Method) -> Self {
        Self {
            status: StatusCode::METHOD_NOT_ALLOWED,
            code: "method-not-allowed",
            detail: format!("{method} does nothing here"),
            next: "GET reads, POST adds or acts, DELETE removes",
        }
    }

    /// A malformed part of path or query.
    pub fn parameter(name: &str, wanted: impl std::fmt::Display) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code: "bad-parameter",
            detail: format!("{name}: {wanted}"),
            next: "correct the path or the query",
        }
    }

    /// The body is no JSON of the kind that is needed.
    pub fn syntax(error: &serde_json::Error) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code: "bad-body",
            detail: error.to_string(),
            next: "send one JSON object with the fields of this route",
        }
    }

    /// Ours.
    pub fn internal(error: &dyn std::fmt::Display) -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: "internal",
            detail: error.to_string(),
            next: "look into the server's log",
        }
    }

    /// As an answer.
    pub fn into_response(self) -> Response<Answer> {
        let document = serde_json::json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
            "next": self.next,
        });
        let octets = document.to_string().into_bytes();
        let mut response = body::whole(self.status, "application/problem+json", octets);
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
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
        Self { status, code: "bad-body", detail: error.to_string(), next }
    }
}

impl From<RecordError> for Problem {
    fn from(error: RecordError) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code: "bad-record",
            detail: error.to_string(),
            next: "correct the field named",
        }
    }
}

impl From<FieldError> for Problem {
    fn from(error: FieldError) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code: "bad-record",
            detail: error.to_string(),
            next: "correct the field named",
        }
    }
}

impl From<GrantError> for Problem {
    fn from(error: GrantError) -> Self {
        match error {
            GrantError::Field(error) => error.into(),
            GrantError::Registry(error) => error.into(),
        }
    }
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        let detail = error.to_string();
        let (status, code, next) = match error {
            RegistryError::Conflict { .. } => {
                (StatusCode::CONFLICT, "device-conflict", "remove the device first, or correct the record")
            }
            RegistryError::UnknownDevice(_) => {
                (StatusCode::NOT_FOUND, "unknown-device", "import the device first: obf device import FILE")
            }
            RegistryError::AmbiguousDevice(_) => {
                (StatusCode::CONFLICT, "ambiguous-device", "write the kind of the identity in front")
            }
            RegistryError::UnknownCustodian(_) => {
                (StatusCode::NOT_FOUND, "unknown-custodian", "register the custodian first")
            }
            RegistryError::State { .. } => {
                (StatusCode::CONFLICT, "wrong-state", "what is retired stays retired; register it anew")
            }
            RegistryError::UnknownApplication(_) => {
                (StatusCode::NOT_FOUND, "unknown-app", "register it first: obf app add APP --cert-name NAME")
            }
            RegistryError::ApplicationConflict(_) => {
                (StatusCode::CONFLICT, "app-conflict", "remove the application first, or send it as it is")
            }
            RegistryError::UnknownGrant { .. } => {
                (StatusCode::NOT_FOUND, "unknown-grant", "see what is granted: obf grant list")
            }
            RegistryError::Kms(KmsError::DoesNotOpen { .. }) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "wrong-kek",
                "check that kek_file is the one that this database was made with",
            ),
            RegistryError::Kms(_) => (StatusCode::INTERNAL_SERVER_ERROR, "kms", "look into the server's log"),
            RegistryError::Store(ref error) => return store(error),
        };
        Self { status, code, detail, next }
    }
}

fn store(error: &StoreError) -> Problem {
    let (status, code) = match error {
        StoreError::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, Refusal::Overloaded),
        StoreError::Locked => (StatusCode::SERVICE_UNAVAILABLE, Refusal::StorageFailed),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, Refusal::StorageFailed),
    };
    let code = if code == Refusal::Overloaded { "OBF-303" } else { "OBF-304" };
    let next = "nothing was changed: see to the cause and send the request again";
    Problem { status, code, detail: error.to_string(), next }
}
