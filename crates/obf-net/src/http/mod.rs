//! HTTP/1.1, plain or in TLS, with limits on everything a stranger can make large or slow.

mod client;
mod server;

pub use client::{HttpClient, HttpClientError, Pieces};
pub use server::{HttpLimits, Peer, Reply, serve};

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::time::Duration;

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// Longer than allowed: answer 413.
    #[error("body too long")]
    TooLong,
    /// It did not come in time: answer 408.
    #[error("body did not come in time")]
    Slow,
    /// The connection broke, or the framing is wrong: answer 400.
    #[error("body broken off")]
    Broken,
}

/// Reads a whole body of at most `max` octets within `time`.
///
/// # Errors
/// [`BodyError`] says what to answer.
pub async fn read_body<B>(body: B, max: usize, time: Duration) -> Result<Bytes, BodyError>
where
    B: hyper::body::Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match tokio::time::timeout(time, Limited::new(body, max).collect()).await {
        Err(_) => Err(BodyError::Slow),
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLong),
        Ok(Err(_)) => Err(BodyError::Broken),
    }
}
