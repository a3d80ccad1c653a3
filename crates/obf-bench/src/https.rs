//! The baseline of `bench bootstrap`: hyper + rustls and nothing else; canned answers to two requests.

use anyhow::{Context, Result};
use bytes::Bytes;
use clap::Args;
use http_body_util::Full;
use hyper::{Response, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use obf_net::certificates::{self, CertificateFiles};
use serde::{Deserialize, Serialize};
use std::{convert::Infallible, net::Ipv4Addr, path::PathBuf, sync::Arc};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A recorded answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answer {
    /// What a server answered, but for the fields that hyper adds by itself.
    pub fn record(answer: &Response<Bytes>) -> Self {
        let headers =
            answer.headers().iter().filter(|(name, _)| !["date", "content-length"].contains(&name.as_str()));
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        Self {
            status: answer.status().as_u16(),
            headers: headers
                .map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())))
                .collect(),
            body: text(answer.body()),
        }
    }

    fn to_http(&self) -> Result<Response<Full<Bytes>>> {
        let builder = Response::builder().status(self.status);
        let headers = self.headers.iter();
        let builder = headers.fold(builder, |builder, (name, value)| builder.header(name, value));
        Ok(builder.body(Full::from(self.body.clone()))?)
    }
}

/// Arguments.
#[derive(Args, Clone, Debug)]
pub struct Https {
    /// The two answers, JSON.
    #[arg(long)]
    answers: PathBuf,
    /// Certificate chain, PEM.
    #[arg(long)]
    certificate: PathBuf,
    /// Its key, PEM.
    #[arg(long)]
    key: PathBuf,
}

impl Https {
    /// Serves until it is killed.
    ///
    /// # Errors
    /// A file cannot be read.
    pub async fn child(&self) -> Result<()> {
        let answers: Vec<Answer> = serde_json::from_slice(&std::fs::read(&self.answers)?)?;
        let answers: Arc<[Response<Full<Bytes>>]> =
            answers.iter().map(Answer::to_http).collect::<Result<_>>()?;
        let files = CertificateFiles { chain: self.certificate.clone(), key: self.key.clone() };
        let acceptor = TlsAcceptor::from(certificates::server(&files)?);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!(
            "{{\"event\":\"listening\",\"point\":\"https\",\"address\":\"{}\"}}",
            listener.local_addr()?
        );
        println!("{{\"event\":\"ready\"}}");
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let (acceptor, answers) = (acceptor.clone(), answers.clone());
            tokio::spawn(async move {
                let stream = acceptor.accept(stream).await.context("TLS")?;
                let service = service_fn(|request: hyper::Request<_>| {
                    // The first request proves nothing yet: its response is empty.
                    let authorization = request.headers().get("authorization").map(|value| value.as_bytes());
                    let first = authorization
                        .is_some_and(|value| value.windows(11).any(|part| part == b"response=\"\""));
                    let answer = answers.get(usize::from(!first)).cloned().unwrap_or_default();
                    async move { Ok::<_, Infallible>(answer) }
                });
                http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.context("HTTP")
            });
        }
    }
}
