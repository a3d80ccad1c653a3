//! HTTP/1.1 on a listener: plain hyper, and the Host compared with the application (WIRES "RPA").

use crate::{
    application::Grant,
    listener::{Listener, Session},
};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header::HOST};
use http_body_util::{Either, Full};
use hyper::{
    body::{Body, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use obf_net::Running;
use obf_token::TokenId;
use obf_types::AppId;
use std::{convert::Infallible, future::Future, net::SocketAddr, sync::Arc, time::Duration};

/// For a request head, and idle between requests.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// Octets of a request head; beyond it 431.
const HEAD_OCTETS: usize = 16 * 1024;
/// Header lines of a request; beyond it 431.
const HEADERS: usize = 64;

/// Who asks.
#[derive(Clone, Debug)]
pub struct Client {
    /// The token it proved.
    pub token: TokenId,
    /// What came with its key: the device, its settings, when the session ends by itself.
    pub grant: Grant,
    /// The application that it asked for.
    pub app: AppId,
    /// Its address.
    pub peer: SocketAddr,
}

/// Serves `handler` to every device that `listener` accepts, until it ends. A handler that answers 101 takes the stream
/// over with `hyper::upgrade::on` (WebSocket); it ends with its token as before.
pub async fn serve<H, F, B>(mut listener: Listener, running: Running, handler: H)
where
    H: Fn(Request<Incoming>, Arc<Client>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    while let Some(session) = listener.accept().await {
        let handler = handler.clone();
        running.spawn(async move { converse(session, handler).await });
    }
}

async fn converse<H, F, B>(session: Session, handler: H)
where
    H: Fn(Request<Incoming>, Arc<Client>) -> F,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let Session { stream, token, grant, app, peer, .. } = session;
    let client = Arc::new(Client { token, grant, app, peer });
    let service = service_fn(|request: Request<Incoming>| {
        let addressed = is_for(&client.app, &request);
        let reply = addressed.then(|| handler(request, Arc::clone(&client)));
        async move {
            Ok::<_, Infallible>(match reply {
                Some(reply) => reply.await.map(Either::Left),
                None => misdirected().map(Either::Right),
            })
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_OCTETS)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    if let Err(error) = connection.await {
        tracing::debug!(%peer, %error, "HTTP connection ended");
    }
}

/// Whether Host, where there is one, names the application, with or without a port.
fn is_for<B>(app: &AppId, request: &Request<B>) -> bool {
    let Some(host) = request.headers().get(HOST) else { return true };
    let name = host.to_str().unwrap_or_default();
    let name = name.rsplit_once(':').map_or(name, |(name, _)| name);
    name.eq_ignore_ascii_case(app.as_str())
}

fn misdirected() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::MISDIRECTED_REQUEST;
    response
}
