//! Errors: problem documents (RFC 9457).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Media type of a [`ProblemDocument`].
pub const MEDIA_TYPE: &str = "application/problem+json";

/// An answer that is an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProblemDocument {
    /// Always `about:blank`: `code` says which problem it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// The words of the HTTP status.
    pub title: String,
    /// The HTTP status.
    #[schemars(range(min = 400, max = 599))]
    pub status: u16,
    /// Which problem it is, a stable word: `unknown-device`, `not-permitted`, `OBF-304`.
    pub code: String,
    /// What was wrong, for people.
    pub detail: String,
    /// What to do about it, for people.
    pub next: String,
    /// Each fault of a request that does not fit its description, up to 16 of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ProblemFault>,
    /// The version the object has now, where another was expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

/// One fault of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProblemFault {
    /// Where: a JSON pointer (RFC 6901) into the body, or `?name` for a parameter.
    pub pointer: String,
    /// What is allowed there.
    pub detail: String,
}
