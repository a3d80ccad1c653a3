//! What is asked: parameters, headers and body, checked against the operation's description before a handler sees them.

use crate::{Caller, Problem};
use bytes::Bytes;
use hyper::{
    HeaderMap, Request, StatusCode,
    body::{Body as _, Incoming},
    header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE},
};
use obf_admin::{Api, Body, Content, Operation, Route, check, openapi, parameter, routing};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::{str::FromStr, time::Duration};
use zeroize::{Zeroize, Zeroizing};

/// The longest body of a request that is not an import, octets.
const MAX_BODY: usize = 64 * 1024;
/// The longest that names many devices, octets: 100,000 identities of 32.
const MAX_LONG_BODY: usize = 4 * 1024 * 1024;
const BODY_TIME: Duration = Duration::from_secs(10);

/// What a request is for, as its head says, before anything of it is checked.
pub struct Target {
    route: Option<Route>,
    query: Vec<(String, String)>,
}

impl Target {
    /// Of that request.
    pub fn of<B>(api: Api, request: &Request<B>) -> Self {
        Self {
            route: api.route(request.method().as_str(), request.uri().path()).ok(),
            query: routing::query(request.uri().query().unwrap_or_default()).unwrap_or_default(),
        }
    }

    /// The operation; `None`: it will be refused.
    pub fn operation(&self) -> Option<&'static Operation> {
        self.route.as_ref().map(|route| route.operation)
    }

    /// The path's parameter of that number, from 0.
    pub fn path(&self, index: usize) -> Option<&str> {
        self.route.as_ref()?.parameters.get(index).map(String::as_str)
    }

    /// A parameter of the query.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The body of a request: whole, or still on its way.
pub enum RequestBody {
    /// All of it.
    Whole(Bytes),
    /// Of an operation that reads while it comes.
    Stream(Incoming),
}

/// Reads the body before anything is decided, so that the connection goes on after a refusal. Not of a stream.
///
/// # Errors
/// It is too long, or did not come.
pub async fn with_body(api: Api, request: Request<Incoming>) -> Result<Request<RequestBody>, Problem> {
    let (head, incoming) = request.into_parts();
    let operation = api.route(head.method.as_str(), head.uri.path()).map(|route| route.operation);
    let body = match operation {
        Ok(Operation { body: Body::Stream(_), .. }) => RequestBody::Stream(incoming),
        Ok(operation) if operation.path.contains("members") => {
            RequestBody::Whole(obf_net::http::read_body(incoming, MAX_LONG_BODY, BODY_TIME).await?)
        }
        _ => RequestBody::Whole(obf_net::http::read_body(incoming, MAX_BODY, BODY_TIME).await?),
    };
    Ok(Request::from_parts(head, body))
}

/// Reads a body that nobody needs, so that the connection can go on.
///
/// # Errors
/// It is too long for that, or did not come.
pub async fn drained(request: Request<Incoming>) -> Result<Request<RequestBody>, Problem> {
    let (head, incoming) = request.into_parts();
    obf_net::http::read_body(incoming, MAX_BODY, BODY_TIME).await?;
    Ok(Request::from_parts(head, RequestBody::Whole(Bytes::new())))
}

/// A request to the admin API that fits the description of its operation.
pub struct AdminRequest {
    /// For what.
    pub operation: &'static Operation,
    /// By whom.
    pub caller: Caller,
    /// Why, for the audit; may be empty.
    pub reason: String,
    /// Idempotency-Key.
    pub key: Option<String>,
    /// The version that the object must have.
    pub expected: Option<u64>,
    /// The media type of the body.
    pub media_type: &'static str,
    /// Obf-Transport-Key.
    pub transport_key: Option<Zeroizing<String>>,
    /// The body as it came; empty where it is a stream.
    octets: Octets,
    path: Vec<String>,
    query: Vec<(String, String)>,
    body: Json,
    stream: Option<Incoming>,
}

/// A body as it came, which may hold a key: wiped when it is dropped, unless the connection holds it too.
struct Octets(Bytes);

impl Drop for Octets {
    fn drop(&mut self) {
        if let Ok(mut octets) = std::mem::take(&mut self.0).try_into_mut() {
            octets.as_mut().zeroize();
        }
    }
}

/// A body, which may hold a key: wiped when it is dropped.
struct Json(Value);

impl Drop for Json {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        _ => {}
    }
}

impl AdminRequest {
    /// Reads and checks a request for the operation of `route`.
    ///
    /// # Errors
    /// A problem for each way in which it does not fit.
    pub fn read(route: Route, caller: Caller, request: Request<RequestBody>) -> Result<Self, Problem> {
        let operation = route.operation;
        for (parameter, value) in operation.path_parameters.iter().zip(&route.parameters) {
            if let Some(wanted) = parameter.fault(value) {
                return Err(Problem::parameter(parameter.name, wanted));
            }
        }
        let query = query(operation, request.uri().query().unwrap_or_default())?;
        let (head, content) = request.into_parts();
        acceptable(operation, &head.headers)?;
        let header = |wanted: &obf_admin::Parameter| header(operation, &head.headers, wanted);
        let reason = header(&parameter::REASON)?.unwrap_or_default();
        let key = header(&parameter::IDEMPOTENCY_KEY)?;
        let transport_key = header(&parameter::TRANSPORT_KEY);
        let transport_key =
            transport_key.map_err(|problem| Problem::rule(problem.detail))?.map(Zeroizing::new);
        let expected = match header(&parameter::IF_MATCH) {
            Ok(tag) => tag.map(|tag| version(&tag)).transpose()?.flatten(),
            // A tag that we never gave is no object's (RFC 9110 13.1.1).
            Err(problem) => return Err(problem.precondition()),
        };
        let mut asked = Self {
            operation,
            caller,
            reason,
            key,
            expected,
            transport_key,
            media_type: operation.media_types().first().copied().unwrap_or_default(),
            octets: Octets(Bytes::new()),
            path: route.parameters,
            query,
            body: Json(Value::Null),
            stream: None,
        };
        if !operation.changes() {
            return Ok(asked);
        }
        let media_type = media_type(operation, &head.headers)?;
        match content {
            RequestBody::Stream(incoming) => {
                if incoming.is_end_stream() {
                    return Err(Problem::rule("the body: at least one record is needed"));
                }
                asked.media_type = media_type.unwrap_or(asked.media_type);
                asked.stream = Some(incoming);
                return Ok(asked);
            }
            RequestBody::Whole(octets) => asked.octets = Octets(octets),
        }
        if !asked.octets.0.is_empty() && media_type.is_none() && head.headers.contains_key(CONTENT_TYPE) {
            return Err(unsupported(operation));
        }
        asked.body = Json(body(operation, &asked.octets.0)?);
        Ok(asked)
    }

    /// The path's parameter of that number, from 0.
    pub fn path(&self, index: usize) -> &str {
        self.path.get(index).map_or("", String::as_str)
    }

    /// A parameter of the query.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A parameter of the query, parsed.
    ///
    /// # Errors
    /// It cannot be parsed: a problem that names it.
    pub fn query_as<T: FromStr>(&self, name: &str) -> Result<Option<T>, Problem> {
        let value = self.query(name).map(str::parse).transpose();
        value.map_err(|_| Problem::parameter(name, "the 'next' of the page before"))
    }

    /// Rows of a page.
    pub fn limit(&self) -> u32 {
        self.query("limit").and_then(|text| text.parse().ok()).unwrap_or(parameter::MOST_ROWS)
    }

    /// The body as a record.
    ///
    /// # Errors
    /// It has no such form, which its description should have said.
    pub fn record<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        T::deserialize(&self.body.0).map_err(|error| Problem::rule(without_place(&error)))
    }

    /// The body as JSON.
    pub const fn body(&self) -> &Value {
        &self.body.0
    }

    /// What makes it this request and no other: SHA-256 of method, path, query and body.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let mut part = |octets: &[u8]| {
            hash.update((octets.len() as u64).to_be_bytes());
            hash.update(octets);
        };
        part(self.operation.id.as_bytes());
        self.path.iter().for_each(|value| part(value.as_bytes()));
        for (name, value) in &self.query {
            part(name.as_bytes());
            part(value.as_bytes());
        }
        part(&self.octets.0);
        hash.finalize().into()
    }

    /// The body, where it is a stream.
    pub fn stream(self) -> Option<Incoming> {
        self.stream
    }
}

fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

/// Every parameter is known, there once, and as described.
fn query(operation: &Operation, text: &str) -> Result<Vec<(String, String)>, Problem> {
    let bad = |_| Problem::parameter("query", "malformed percent-encoding");
    let pairs = routing::query(text).map_err(bad)?;
    for (index, (name, value)) in pairs.iter().enumerate() {
        let shown: String = name.chars().take(64).collect();
        let known = operation.query.iter().find(|parameter| parameter.name == name);
        let parameter = known.ok_or_else(|| Problem::parameter(&shown, "no such parameter here"))?;
        if let Some(wanted) = parameter.fault(value) {
            return Err(Problem::parameter(name, wanted));
        }
        if pairs.iter().take(index).any(|(earlier, _)| earlier == name) {
            return Err(Problem::parameter(name, "once"));
        }
    }
    Ok(pairs)
}

/// A header that the operation heeds; another operation's is passed over.
fn header(
    operation: &Operation,
    headers: &HeaderMap,
    wanted: &obf_admin::Parameter,
) -> Result<Option<String>, Problem> {
    if !openapi::headers(operation).iter().any(|known| known.name == wanted.name) {
        return Ok(None);
    }
    let mut all = headers.get_all(wanted.name).iter();
    let Some(value) = all.next() else { return Ok(None) };
    let text = value.to_str().map(str::trim).unwrap_or_default();
    match wanted.fault(text) {
        None if all.next().is_none() => Ok(Some(text.to_owned())),
        None => Err(Problem::parameter(wanted.name, "once")),
        Some(fault) => Err(Problem::parameter(wanted.name, fault)),
    }
}

/// `"7"` is 7, `*` is any.
fn version(tag: &str) -> Result<Option<u64>, Problem> {
    match tag.trim_matches('"') {
        "*" => Ok(None),
        number => {
            number.parse().map(Some).map_err(|_| Problem::parameter("If-Match", "a version").precondition())
        }
    }
}

/// The media type of the body, if one is said. 415 if the operation does not take it.
fn media_type(operation: &Operation, headers: &HeaderMap) -> Result<Option<&'static str>, Problem> {
    if headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(unsupported(operation));
    }
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(None) };
    let said = value.to_str().unwrap_or_default().to_ascii_lowercase();
    let mut parts = said.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let utf_8 = parts.all(|part| match part.strip_prefix("charset=") {
        Some(charset) => charset.trim_matches('"') == "utf-8",
        None => true,
    });
    let known = operation.media_types().iter().find(|known| **known == kind && utf_8).copied();
    match operation.body {
        // Of nothing, any type.
        Body::None => Ok(known),
        _ => known.map(Some).ok_or_else(|| unsupported(operation)),
    }
}

fn unsupported(operation: &Operation) -> Problem {
    let detail =
        format_args!("the body must be {}, in UTF-8, not compressed", operation.media_types().join(" or "));
    let next = "send it as that, with the Content-Type of it";
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail, next)
}

/// 406 unless one of the answer's media types is accepted.
fn acceptable(operation: &Operation, headers: &HeaderMap) -> Result<(), Problem> {
    let offered: Vec<&str> =
        operation.answers.iter().filter_map(|answer| media_type_of(&answer.content)).collect();
    let mut ranges = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).peekable();
    if ranges.peek().is_none() || offered.is_empty() {
        return Ok(());
    }
    let accepts = |range: &str| {
        let mut parts = range.split(';').map(|part| part.trim().to_ascii_lowercase());
        let kind = parts.next().unwrap_or_default();
        let refused = parts.any(|part| {
            part.strip_prefix("q=")
                .is_some_and(|quality| quality.parse().is_ok_and(|quality: f32| quality <= 0.0))
        });
        let fits = |offered: &&str| match kind.split_once('/') {
            Some(("*", "*")) => true,
            Some((main, "*")) => offered.split('/').next() == Some(main),
            _ => kind == **offered,
        };
        !refused && (kind.is_empty() || offered.iter().any(fits))
    };
    if ranges.any(|ranges| ranges.split(',').any(accepts)) {
        return Ok(());
    }
    let detail = format_args!("the answer is {}", offered.join(" or "));
    let next = "accept that, or */*";
    Err(Problem::new(StatusCode::NOT_ACCEPTABLE, "not-acceptable", detail, next))
}

const fn media_type_of(content: &Content) -> Option<&'static str> {
    match content {
        Content::Empty => None,
        Content::Json(_) | Content::Page(..) => Some("application/json"),
        Content::Lines(_) => Some("application/jsonl"),
        Content::Stream(kind) => Some(kind),
    }
}

fn body(operation: &Operation, octets: &[u8]) -> Result<Value, Problem> {
    let nothing = || Value::Object(Map::new());
    let parsed = match operation.body {
        Body::None if octets.iter().all(u8::is_ascii_whitespace) => Ok(nothing()),
        _ => serde_json::from_slice(octets),
    };
    let mut value = Json(parsed.map_err(|error| Problem::syntax(&error))?);
    check::normalise(&mut value.0);
    match operation.body {
        Body::None if value.0 != nothing() => {
            let wanted = "nothing: an empty body, or {}".into();
            Err(Problem::faults(vec![obf_admin::Fault { pointer: String::new(), wanted }]))
        }
        _ => match check::body(operation.id, &value.0) {
            faults if faults.is_empty() => Ok(std::mem::take(&mut value.0)),
            faults => Err(Problem::faults(faults)),
        },
    }
}
