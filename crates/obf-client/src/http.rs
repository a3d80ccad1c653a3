//! One HTTP/1.1 request to an application over RPA.

use crate::AppStream;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use obf_net::http::{BodyError, read_body};
use obf_types::AppId;
use std::time::Duration;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The connection ended, or what came is not HTTP.
    #[error("no HTTP answer: {0}")]
    Broken(#[from] hyper::Error),
    /// The answer's body is too long or too slow.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// No answer in time.
    #[error("no answer within {} s", .0.as_secs())]
    Slow(Duration),
}

/// Sends `request` (its URI in origin form) to `app`, whose name goes into `Host`, and reads an answer of at most
/// `max` octets. The connection is closed behind it.
///
/// # Errors
/// [`HttpError`].
pub async fn send(
    stream: AppStream,
    app: &AppId,
    mut request: Request<Full<Bytes>>,
    max: usize,
    time: Duration,
) -> Result<Response<Bytes>, HttpError> {
    if let Ok(host) = HeaderValue::from_str(app.as_str()) {
        request.headers_mut().insert(header::HOST, host);
    }
    request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    let exchange = async {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        sender.send_request(request).await
    };
    let answer = tokio::time::timeout(time, exchange).await.map_err(|_| HttpError::Slow(time))??;
    let (head, body) = answer.into_parts();
    Ok(Response::from_parts(head, read_body(body, max, time).await?))
}
