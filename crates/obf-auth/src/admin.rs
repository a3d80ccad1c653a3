//! Admin API of an Authentication Server: HTTP and JSON, a bearer token (RFC 6750), problem documents (RFC 9457).
//!
//! | route | does |
//! |---|---|
//! | `GET /v1/tokens[?device=&app=&after=&limit=]` | live tokens, of a device or with a right for an application |
//! | `GET /v1/tokens/{id}` | one token; never its key |
//! | `POST /v1/tokens/{id}:revoke` | ends it: applications that may hold a key are told at once |

use crate::{
    config::{self, AdminConfig, ConfigError},
    tokens::Tokens,
};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::Incoming,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE},
};
use obf_net::{Clock, http::Reply};
use obf_store::{
    StoreError,
    auth::{Lookup, StoredToken, TokenFilter},
};
use obf_token::TokenId;
use obf_types::{AppId, GlobalIdentity, IdentityKind, Refusal};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// The most rows of one listing; the answer's `next` leads on.
const MAX_ROWS: u32 = 1000;

/// The admin API.
#[derive(Clone, Debug)]
pub(crate) struct AdminApi {
    clock: Arc<dyn Clock>,
    tokens: Arc<Tokens>,
    /// SHA-256 of the administrator's token.
    administrator: [u8; 32],
}

impl AdminApi {
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        tokens: Arc<Tokens>,
        config: &AdminConfig,
    ) -> Result<Self, ConfigError> {
        let hash = obf_types::hex::array(&config.token_sha256);
        let administrator = hash.ok_or_else(|| config::wrong("admin.token_sha256", "64 hex digits"))?;
        Ok(Self { clock, tokens, administrator })
    }

    /// Answers one request.
    pub(crate) async fn answer(self, request: Request<Incoming>) -> Reply {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let answer = if self.authenticates(request.headers()) {
            let answer = self.route(&request).await;
            let status = answer.as_ref().map_or_else(|problem| problem.status, |(status, _)| *status);
            tracing::info!(%method, path, %status, "admin request");
            answer
        } else {
            Err(Problem::UNAUTHENTICATED.with("the request has no valid administrator token"))
        };
        match answer {
            Ok((status, value)) => document(status, "application/json", &value),
            Err(problem) => problem.into_reply(),
        }
    }

    /// Whether the request has the administrator's token; compared in constant time.
    fn authenticates(&self, headers: &HeaderMap) -> bool {
        let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        value.and_then(|value| value.split_once(' ')).is_some_and(|(scheme, token)| {
            let hash = <[u8; 32]>::from(Sha256::digest(token.trim().as_bytes()));
            scheme.eq_ignore_ascii_case("bearer") && bool::from(hash.ct_eq(&self.administrator))
        })
    }

    async fn route(&self, request: &Request<Incoming>) -> Result<(StatusCode, Value), Problem> {
        let path = request.uri().path();
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        // A token id contains `/` where its writer did not escape it.
        let (route, id) = match segments.as_slice() {
            ["v1", "tokens"] => ("tokens", String::new()),
            ["v1", "tokens", id @ ..] => ("token", id.join("/")),
            _ => return Err(Problem::UNKNOWN_ROUTE.with(format!("nothing is served at {path}"))),
        };
        let method = request.method();
        match (route, method, id.strip_suffix(":revoke")) {
            ("tokens", &Method::GET, _) => self.list(request.uri().query()).await,
            ("token", &Method::GET, None) => self.show(&token_id(&id)?).await,
            ("token", &Method::POST, Some(id)) => self.revoke(&token_id(id)?).await,
            _ => Err(Problem::METHOD.with(format!("{method} does nothing here"))),
        }
    }

    async fn list(&self, query: Option<&str>) -> Result<(StatusCode, Value), Problem> {
        let (mut filter, mut after, mut limit) = (TokenFilter::default(), None, MAX_ROWS);
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decoded(value)?;
            match name {
                _ if value.is_empty() => {}
                "device" => filter.device = Some(device(&value)?),
                "app" => filter.app = Some(AppId::new(&value).map_err(|error| parameter("app", &error))?),
                "after" => after = Some(token_id(&value)?),
                "limit" => limit = value.parse().map_err(|error| parameter("limit", &error))?,
                _ => return Err(parameter(name, &"no such parameter")),
            }
        }
        let limit = limit.clamp(1, MAX_ROWS);
        let tokens = self.tokens.list(filter, after, limit, self.clock.now()).await?;
        let next = tokens.last().filter(|_| tokens.len() >= limit as usize).map(|token| token.id.to_string());
        let rows: Vec<_> = tokens.iter().map(row).collect();
        Ok((StatusCode::OK, json!({ "tokens": rows, "next": next })))
    }

    async fn show(&self, id: &TokenId) -> Result<(StatusCode, Value), Problem> {
        match self.tokens.lookup(id, self.clock.now()).await? {
            Lookup::Live(token) => Ok((StatusCode::OK, row(&token))),
            Lookup::Expired => Err(Problem::refusal(Refusal::TokenExpired)),
            Lookup::Revoked => Err(Problem::refusal(Refusal::TokenRevoked)),
            Lookup::Unknown => Err(Problem::refusal(Refusal::UnknownToken)),
        }
    }

    /// Ends a token; ending one that has ended is no error.
    async fn revoke(&self, id: &TokenId) -> Result<(StatusCode, Value), Problem> {
        let now = self.clock.now();
        let ended = self.tokens.end(id, now).await?;
        if !ended {
            match self.tokens.lookup(id, now).await? {
                Lookup::Unknown => return Err(Problem::refusal(Refusal::UnknownToken)),
                Lookup::Expired => return Err(Problem::refusal(Refusal::TokenExpired)),
                Lookup::Live(_) | Lookup::Revoked => {}
            }
        }
        self.tokens.settle().await?;
        Ok((StatusCode::OK, json!({ "id": id.to_string(), "ended": ended })))
    }
}

/// A token as an administrator sees it.
fn row(token: &StoredToken) -> Value {
    let facts = &token.facts;
    let apps: Vec<_> = token
        .rights
        .iter()
        .map(|right| {
            let until = facts.rights_at.plus(right.lifetime).min(facts.expires);
            json!({ "app": right.app.as_str(), "until": until.to_xs_date_time() })
        })
        .collect();
    json!({
        "id": token.id.to_string(),
        "device": token.device.to_string(),
        "user_name": String::from_utf8_lossy(&token.user_name),
        "schema": facts.schema.name(),
        "algorithm": facts.method.algorithm_name(),
        "epoch": facts.epoch.0,
        "counter": facts.counter,
        "bootstrapped": facts.bootstrapped_at.to_xs_date_time(),
        "expires": facts.expires.to_xs_date_time(),
        "apps": apps,
        "more": token.rights.more(),
    })
}

/// `kind:value`, or a bare IMSI or IMPI.
fn device(text: &str) -> Result<GlobalIdentity, Problem> {
    let device = match IdentityKind::split(text) {
        Some((kind, value)) => GlobalIdentity::new(kind, value),
        None => GlobalIdentity::from_user_name(text),
    };
    device.map_err(|error| parameter("device", &error))
}

fn token_id(text: &str) -> Result<TokenId, Problem> {
    TokenId::parse(&decoded(text)?).map_err(|error| parameter("id", &error))
}

fn decoded(text: &str) -> Result<String, Problem> {
    let octets = obf_types::percent::decode(text.as_bytes())
        .ok_or_else(|| parameter("path or query", &"malformed percent-encoding"))?;
    String::from_utf8(octets).map_err(|error| parameter("path or query", &error))
}

fn parameter(name: &str, wanted: &dyn std::fmt::Display) -> Problem {
    Problem::PARAMETER.with(format!("{name}: {wanted}"))
}

/// An answer that is an error: a stable `code`, what was wrong, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Problem {
    status: StatusCode,
    code: String,
    detail: String,
    next: &'static str,
}

/// A kind of problem, before its details.
struct Kind(StatusCode, &'static str, &'static str);

impl Kind {
    fn with(&self, detail: impl Into<String>) -> Problem {
        Problem { status: self.0, code: self.1.into(), detail: detail.into(), next: self.2 }
    }
}

impl Problem {
    const UNAUTHENTICATED: Kind = Kind(
        StatusCode::UNAUTHORIZED,
        "not-authenticated",
        "send 'Authorization: Bearer TOKEN' with the token of a configured administrator",
    );
    const UNKNOWN_ROUTE: Kind =
        Kind(StatusCode::NOT_FOUND, "unknown-route", "see the routes under /v1/tokens");
    const METHOD: Kind =
        Kind(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "GET reads, POST …:revoke ends a token");
    const PARAMETER: Kind = Kind(StatusCode::BAD_REQUEST, "bad-parameter", "correct the path or the query");

    fn refusal(refusal: Refusal) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            code: format!("OBF-{:03}", refusal.code()),
            detail: refusal.text().into(),
            next: "see what is live: obf token list",
        }
    }

    fn into_reply(self) -> Reply {
        let value = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
            "next": self.next,
        });
        let mut reply = document(self.status, "application/problem+json", &value);
        if self.status == StatusCode::UNAUTHORIZED {
            reply.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        reply
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let (status, refusal) = match error {
            StoreError::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, Refusal::Overloaded),
            StoreError::Locked => (StatusCode::SERVICE_UNAVAILABLE, Refusal::StorageFailed),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, Refusal::StorageFailed),
        };
        Self {
            status,
            code: format!("OBF-{:03}", refusal.code()),
            detail: error.to_string(),
            next: "see to the cause and send the request again",
        }
    }
}

fn document(status: StatusCode, kind: &'static str, value: &Value) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(value.to_string())));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_and_token_ids_are_read() {
        assert_eq!(device("imsi:001010000000001").unwrap().kind(), IdentityKind::Imsi);
        assert_eq!(device("001010000000001").unwrap().kind(), IdentityKind::Imsi);
        assert_eq!(device("a@b.example").unwrap().kind(), IdentityKind::Impi);
        assert_eq!(device("x:1").unwrap_err().code, "bad-parameter");
        let id = "IyMjIyMjIyMjIyMjIyMjIw==@rs.as.example";
        for written in [id.to_owned(), id.replace('=', "%3D").replace('@', "%40")] {
            assert_eq!(token_id(&written).unwrap().to_string(), id);
        }
        assert_eq!(token_id("%4").unwrap_err().status, StatusCode::BAD_REQUEST);
    }
}
