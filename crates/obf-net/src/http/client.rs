//! The client: one connection, one request after the other, answers of bounded size in bounded time.

use super::{BodyError, read_body};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
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
    sender: http1::SendRequest<Full<Bytes>>,
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
        let host = self.host.clone();
        let slow = |_| HttpClientError::Slow { host: host.clone(), seconds: self.time.as_secs() };
        let exchange = async {
            self.sender.ready().await?;
            self.sender.send_request(request).await
        };
        let answer = tokio::time::timeout(self.time, exchange).await.map_err(slow)?.map_err(|error| {
            HttpClientError::Unreachable { host: host.clone(), reason: error.to_string() }
        })?;
        let (head, body) = answer.into_parts();
        match read_body(body, Self::MAX_BODY, self.time).await {
            Ok(body) => Ok(Response::from_parts(head, body)),
            Err(BodyError::Slow) => {
                Err(HttpClientError::Slow { host: host.clone(), seconds: self.time.as_secs() })
            }
            Err(error) => Err(HttpClientError::BadAnswer { host: host.clone(), reason: error.to_string() }),
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
        let stream = TcpStream::connect(address).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
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

async fn converse<S>(stream: S, host: &str) -> Result<http1::SendRequest<Full<Bytes>>, HttpClientError>
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
