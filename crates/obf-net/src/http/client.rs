//! The client: one connection, one request after the other, answers of bounded size in bounded time.

use super::{BodyError, read_body};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response,
    body::{Body, Frame, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use std::{
    convert::Infallible,
    fmt,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
};
use tokio_rustls::TlsConnector;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpClientError {
    /// No connection, or it broke.
    #[error("cannot reach {host}: {reason}")]
    Unreachable {
        /// Where to.
        host: String,
        /// What the system said.
        reason: String,
    },
    /// The server's certificate is not trusted for that name, or TLS failed otherwise.
    #[error("TLS with {host} failed: {reason}")]
    Tls {
        /// Where to.
        host: String,
        /// What the TLS library said.
        reason: String,
    },
    /// No answer in time.
    #[error("{host} did not answer within {seconds} s")]
    Slow {
        /// Where to.
        host: String,
        /// The time allowed.
        seconds: u64,
    },
    /// The answer is not HTTP, or too long.
    #[error("{host} gave no usable answer: {reason}")]
    BadAnswer {
        /// Where to.
        host: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// An open connection.
pub struct HttpClient {
    host: String,
    sender: http1::SendRequest<UnsyncBoxBody<Bytes, Infallible>>,
    time: Duration,
}

impl HttpClient {
    /// Octets of an answer's body beyond which it is refused.
    pub const MAX_BODY: usize = 16 * 1024 * 1024;

    /// Connects to `address`; with `tls`, for the name `host` (a DNS name or an IP address). `time` bounds the
    /// connecting and, later, each exchange.
    ///
    /// # Errors
    /// [`HttpClientError`].
    pub async fn connect(
        address: SocketAddr,
        host: &str,
        tls: Option<Arc<ClientConfig>>,
        time: Duration,
    ) -> Result<Self, HttpClientError> {
        tokio::time::timeout(time, Self::open(address, host, tls, time))
            .await
            .map_err(|_| HttpClientError::Slow { host: host.into(), seconds: time.as_secs() })?
    }

    /// Sends a request (its URI in origin form, its `Host` set by the caller) and reads the whole answer.
    ///
    /// # Errors
    /// [`HttpClientError`]; the connection is then of no more use.
    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, HttpClientError> {
        let answer = self.begin(request.map(BodyExt::boxed_unsync)).await?;
        self.whole(answer).await
    }

    /// Sends a request whose body is still being made; the answer's body may be read meanwhile. Its head must come in
    /// time.
    ///
    /// # Errors
    /// [`HttpClientError`]; the connection is then of no more use.
    pub async fn send_stream(
        &mut self,
        request: Request<Pieces>,
    ) -> Result<Response<Incoming>, HttpClientError> {
        self.begin(request.map(BodyExt::boxed_unsync)).await
    }

    /// Reads the whole body of an answer.
    ///
    /// # Errors
    /// [`HttpClientError`].
    pub async fn whole(&self, answer: Response<Incoming>) -> Result<Response<Bytes>, HttpClientError> {
        let host = &self.host;
        let (head, body) = answer.into_parts();
        match read_body(body, Self::MAX_BODY, self.time).await {
            Ok(body) => Ok(Response::from_parts(head, body)),
            Err(BodyError::Slow) => {
                Err(HttpClientError::Slow { host: host.clone(), seconds: self.time.as_secs() })
            }
            Err(error) => Err(HttpClientError::BadAnswer { host: host.clone(), reason: error.to_string() }),
        }
    }

    async fn begin(
        &mut self,
        request: Request<UnsyncBoxBody<Bytes, Infallible>>,
    ) -> Result<Response<Incoming>, HttpClientError> {
        let host = self.host.clone();
        let exchange = async {
            self.sender.ready().await?;
            self.sender.send_request(request).await
        };
        match tokio::time::timeout(self.time, exchange).await {
            Err(_) => Err(HttpClientError::Slow { host, seconds: self.time.as_secs() }),
            Ok(Err(error)) => Err(HttpClientError::Unreachable { host, reason: error.to_string() }),
            Ok(Ok(answer)) => Ok(answer),
        }
    }

    /// Whether the server has closed the connection.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    async fn open(
        address: SocketAddr,
        host: &str,
        tls: Option<Arc<ClientConfig>>,
        time: Duration,
    ) -> Result<Self, HttpClientError> {
        let unreachable = |error: std::io::Error| HttpClientError::Unreachable {
            host: host.into(),
            reason: format!("{address}: {error}"),
        };
        let stream = crate::connect(address, time).await.map_err(unreachable)?;
        let sender = match tls {
            None => converse(stream, host).await?,
            Some(config) => {
                let failed = |reason: String| HttpClientError::Tls { host: host.into(), reason };
                let name =
                    ServerName::try_from(host.to_owned()).map_err(|error| failed(error.to_string()))?;
                let stream = TlsConnector::from(config).connect(name, stream).await;
                converse(stream.map_err(|error| failed(error.to_string()))?, host).await?
            }
        };
        Ok(Self { host: host.into(), sender, time })
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpClient({})", self.host)
    }
}

/// A body that comes in pieces; it ends when the sender is dropped.
#[derive(Debug)]
pub struct Pieces(mpsc::Receiver<Bytes>);

impl Pieces {
    /// Of what comes through the channel.
    pub const fn new(pieces: mpsc::Receiver<Bytes>) -> Self {
        Self(pieces)
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

async fn converse<S>(
    stream: S,
    host: &str,
) -> Result<http1::SendRequest<UnsyncBoxBody<Bytes, Infallible>>, HttpClientError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| HttpClientError::Unreachable { host: host.into(), reason: error.to_string() })?;
    // Ends when the sender is dropped or the server closes.
    tokio::spawn(connection);
    Ok(sender)
}
