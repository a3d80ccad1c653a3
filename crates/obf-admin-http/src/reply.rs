//! Answers of handlers.

use crate::{
    Problem,
    body::{self, Answer},
    request::AdminRequest,
};
use hyper::{
    Response, StatusCode,
    header::{CONTENT_TYPE, ETAG, HeaderValue},
};
use obf_admin::merge;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

/// What a handler answers.
pub type Reply = Result<Response<Answer>, Problem>;

/// An object.
///
/// # Errors
/// It cannot be written as JSON, which no view of ours does.
pub fn object(status: StatusCode, value: &impl Serialize) -> Reply {
    let octets = serde_json::to_vec(value).map_err(|error| Problem::internal(&error))?;
    Ok(body::whole(status, "application/json", octets))
}

/// An object with its version.
///
/// # Errors
/// As [`object`].
pub fn versioned(status: StatusCode, value: &impl Serialize, version: u64) -> Reply {
    let mut response = object(status, value)?;
    if let Ok(tag) = HeaderValue::try_from(format!("\"{version}\"")) {
        response.headers_mut().insert(ETAG, tag);
    }
    Ok(response)
}

/// 204.
pub fn done() -> Response<Answer> {
    body::empty(StatusCode::NO_CONTENT)
}

/// 200 with content of that media type that is still being written.
pub fn streamed(kind: &'static str, content: Answer) -> Response<Answer> {
    let mut response = Response::new(content);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// A page of at most `limit` of those rows, of which one more was asked for; `cursor` says where to go on.
///
/// # Errors
/// As [`object`].
pub fn page<R, T: Serialize>(
    name: &str,
    mut rows: Vec<R>,
    limit: u32,
    cursor: impl Fn(&R) -> String,
    view: impl Fn(&R) -> T,
) -> Reply {
    let limit = limit as usize;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(cursor);
    let rows: Vec<T> = rows.iter().map(view).collect();
    object(StatusCode::OK, &json!({ name: rows, "next": next }))
}

/// A record with the request's merge patch applied.
///
/// # Errors
/// What the patch makes of it is no valid record: a problem that names the field.
pub fn patched<R: Serialize + DeserializeOwned>(record: &R, asked: &AdminRequest) -> Result<R, Problem> {
    let mut value = serde_json::to_value(record).map_err(|error| Problem::internal(&error))?;
    merge::apply(&mut value, asked.body().clone());
    serde_json::from_value(value).map_err(Problem::rule)
}
