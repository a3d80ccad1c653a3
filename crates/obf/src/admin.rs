//! The client end of the admin API: one HTTPS connection a call, the deployment's CA, a bearer token.

use crate::{
    configuration::{AdminAccess, Configuration},
    failure::{Exit, Failure},
    files,
};
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, StatusCode,
    body::{Bytes, Incoming},
    header::{HeaderName, HeaderValue},
};
use obf_net::http::{HttpClient, HttpClientError, Pieces};
use obf_types::{Refusal, SecretBytes};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{fmt, sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// Connecting, and each exchange.
const TIME: Duration = Duration::from_secs(60);
/// The same for what reads or writes the whole database before it answers.
const LONG_TIME: Duration = Duration::from_secs(3600);

/// Which node's admin API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// Authentication Server: tokens.
    Auth,
    /// Resource Server: devices, applications, grants.
    Resource,
}

impl Node {
    /// The section of the configuration, and the argument of `obf serve`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Resource => "resource",
        }
    }
}

/// A node's admin API, ready to be called.
pub struct Admin {
    node: Node,
    authority: String,
    token: SecretBytes,
    tls: Arc<rustls::ClientConfig>,
    time: Duration,
}

impl Admin {
    /// The admin API of a node of the configured deployment.
    ///
    /// # Errors
    /// The configuration, CA or token cannot be read, or says no address.
    pub fn of(configuration: &Configuration, node: Node) -> Result<Self, Failure> {
        let AdminAccess { authority, ca_file, token_file } = configuration.admin_access(node)?;
        let tls = obf_net::certificates::client(&ca_file)
            .map_err(|error| Failure::bad_data("bad-certificate", error))?;
        let token = files::secret_line(&token_file)?;
        Ok(Self { node, authority, token, tls, time: TIME })
    }

    /// The same, for what takes long to answer.
    #[must_use]
    pub fn patient(self) -> Self {
        Self { time: LONG_TIME, ..self }
    }

    /// `GET`.
    ///
    /// # Errors
    /// As [`Admin::call`].
    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.call(Method::GET, path, "application/json", Vec::new()).await
    }

    /// `POST` with a JSON body.
    ///
    /// # Errors
    /// As [`Admin::call`].
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.call(Method::POST, path, "application/json", body.to_string().into_bytes()).await
    }

    /// Any request, with headers of its own.
    ///
    /// # Errors
    /// As [`Admin::call`].
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, String)],
        body: Body,
    ) -> Result<Value, Failure> {
        let method = Method::try_from(method).map_err(Failure::usage)?;
        let (kind, body) = match body {
            Body::Nothing => ("application/json", Vec::new()),
            Body::Json(kind, body) => (kind.unwrap_or("application/json"), body.to_string().into_bytes()),
        };
        let mut request = self.request(method, path, kind, Full::new(Bytes::from(body)))?;
        for (name, value) in headers {
            let name = HeaderName::try_from(*name).map_err(Failure::usage)?;
            let value = HeaderValue::try_from(value).map_err(Failure::usage)?;
            request.headers_mut().insert(name, value);
        }
        let answer = self.exchange(request).await?;
        if answer.is_empty() { Ok(Value::Null) } else { self.read(&answer) }
    }

    /// `POST` of what comes through `pieces`; the answer is JSON lines, read while they come.
    ///
    /// # Errors
    /// As [`Admin::call`].
    pub async fn stream(
        &self,
        path: &str,
        kind: &str,
        transport_key: Option<&str>,
        pieces: mpsc::Receiver<Bytes>,
    ) -> Result<Report<'_>, Failure> {
        let mut request = self.request(Method::POST, path, kind, Pieces::new(pieces))?;
        if let Some(key) = transport_key {
            let value = HeaderValue::try_from(key).map_err(|_| Failure::usage("the transport key's name"))?;
            request.headers_mut().insert("obf-transport-key", value);
        }
        self.report(request).await
    }

    /// `POST` with a JSON body; the answer is read while it comes.
    ///
    /// # Errors
    /// As [`Admin::call`].
    pub async fn download(&self, path: &str, body: &Value) -> Result<Report<'_>, Failure> {
        let (sender, body_of) = mpsc::channel(1);
        let _ = sender.try_send(Bytes::from(body.to_string()));
        drop(sender);
        self.report(self.request(Method::POST, path, "application/json", Pieces::new(body_of))?).await
    }

    /// `GET` of JSON lines, read while they come.
    ///
    /// # Errors
    /// As [`Admin::call`].
    pub async fn lines(&self, path: &str) -> Result<Report<'_>, Failure> {
        let (_, nothing) = mpsc::channel(1);
        self.report(self.request(Method::GET, path, "application/json", Pieces::new(nothing))?).await
    }

    async fn report(&self, request: Request<Pieces>) -> Result<Report<'_>, Failure> {
        let mut client = self.connect().await?;
        let answer = client.send_stream(request).await.map_err(|error| self.failed(&error))?;
        let status = answer.status();
        if status.is_success() {
            let (_, body) = answer.into_parts();
            return Ok(Report { admin: self, _client: client, body, waiting: Vec::new(), taken: 0 });
        }
        let answer = client.whole(answer).await.map_err(|error| self.failed(&error))?;
        Err(problem(status, answer.body()))
    }

    async fn call(&self, method: Method, path: &str, kind: &str, body: Vec<u8>) -> Result<Value, Failure> {
        let request = self.request(method, path, kind, Full::new(Bytes::from(body)))?;
        let answer = self.exchange(request).await?;
        if answer.is_empty() { Ok(Value::Null) } else { self.read(&answer) }
    }

    fn read<T: DeserializeOwned>(&self, answer: &[u8]) -> Result<T, Failure> {
        serde_json::from_slice(answer)
            .map_err(|error| self.unreachable(format_args!("its answer is no JSON: {error}")))
    }

    async fn connect(&self) -> Result<HttpClient, Failure> {
        let host = self.authority.rsplit_once(':').map_or(self.authority.as_str(), |(host, _)| host);
        let address = tokio::net::lookup_host(&self.authority)
            .await
            .ok()
            .and_then(|mut found| found.next())
            .ok_or_else(|| self.unreachable("no such host"))?;
        HttpClient::connect(address, host.trim_matches(['[', ']']), Some(Arc::clone(&self.tls)), self.time)
            .await
            .map_err(|error| self.failed(&error))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Bytes, Failure> {
        let mut client = self.connect().await?;
        let response = client.send(request).await.map_err(|error| self.failed(&error))?;
        let (head, answer) = response.into_parts();
        if head.status.is_success() { Ok(answer) } else { Err(problem(head.status, &answer)) }
    }

    fn request<B>(&self, method: Method, path: &str, kind: &str, body: B) -> Result<Request<B>, Failure> {
        let token = String::from_utf8_lossy(self.token.expose()).into_owned();
        Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.authority)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", kind)
            .body(body)
            .map_err(|error| Failure::usage(format_args!("{path}: {error}")))
    }

    fn unreachable(&self, error: impl fmt::Display) -> Failure {
        Failure::unreachable(&format!("the admin API of {}", self.node.name()), &self.authority, error)
            .next(format!("obf serve {} --config FILE", self.node.name()))
    }

    /// An answer has begun and does not end.
    fn broke_off(&self, error: impl fmt::Display) -> Failure {
        let (node, at) = (self.node.name(), &self.authority);
        let text = format_args!(
            "the answer of the admin API of {node} at {at} broke off, only a part came: {error}"
        );
        Failure::new(Exit::Unreachable, "broken-off", text)
    }

    fn failed(&self, error: &HttpClientError) -> Failure {
        match error {
            HttpClientError::Tls { reason, .. } => Failure::new(
                Exit::NotAuthenticated,
                "server-not-trusted",
                format_args!("the admin API at {} is not this deployment's: {reason}", self.authority),
            ),
            HttpClientError::Unreachable { reason, .. } => self.unreachable(reason),
            other => self.unreachable(other),
        }
    }
}

/// A problem document (RFC 9457) as a failure.
fn problem(status: StatusCode, answer: &[u8]) -> Failure {
    let document: Value = serde_json::from_slice(answer).unwrap_or(Value::Null);
    let field = |name: &str| document.get(name).and_then(Value::as_str);
    let text = field("detail")
        .or_else(|| field("title"))
        .unwrap_or_else(|| status.canonical_reason().unwrap_or("refused"));
    let code = field("code").unwrap_or("admin");
    let refusal = Refusal::from_reply_message(code);
    let exit = match (status, refusal) {
        (StatusCode::UNAUTHORIZED, _) => Exit::NotAuthenticated,
        (_, Some(refusal)) => Failure::refused(refusal).exit,
        (StatusCode::FORBIDDEN, None) => Exit::Refused,
        _ if status.is_client_error() => Exit::BadData,
        _ => Exit::Other,
    };
    let failure = Failure::new(exit, code, text);
    match next_command(code).or_else(|| field("next")) {
        Some(next) => failure.next(next),
        None => failure,
    }
}

/// What to type next after a problem that says so often enough to know.
fn next_command(code: &str) -> Option<&'static str> {
    Some(match code {
        "unknown-device" => "obf device list",
        "unknown-app" => "obf app list",
        "unknown-grant" => "obf grant list",
        "unknown-token" | "OBF-101" => "obf token list",
        "not-authenticated" => "check [admin] token_file in the configuration",
        _ => return None,
    })
}

/// What a request carries.
pub enum Body {
    /// Nothing.
    Nothing,
    /// JSON of that media type.
    Json(Option<&'static str>, Value),
}

/// JSON lines that are still coming.
pub struct Report<'a> {
    admin: &'a Admin,
    /// The connection lasts as long.
    _client: HttpClient,
    body: Incoming,
    /// What came and is not a whole line yet, behind `taken` octets of lines that were.
    waiting: Vec<u8>,
    taken: usize,
}

impl Report<'_> {
    /// The next octets.
    ///
    /// # Errors
    /// It broke off.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let frame = tokio::time::timeout(self.admin.time, self.body.frame()).await;
            match frame.map_err(|_| self.admin.broke_off("it sends no more"))? {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => return Err(self.admin.broke_off(error)),
                None => return Ok(None),
            }
        }
    }

    /// The next line.
    ///
    /// # Errors
    /// It broke off.
    pub async fn next(&mut self) -> Result<Option<Value>, Failure> {
        self.next_as().await
    }

    /// The next line, as far as it is wanted.
    ///
    /// # Errors
    /// It broke off.
    pub async fn next_as<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Failure> {
        let mut looked_at = self.taken;
        loop {
            let new = self.waiting.get(looked_at..).unwrap_or_default();
            if let Some(end) = new.iter().position(|octet| *octet == b'\n') {
                let line = self.waiting.get(self.taken..looked_at + end).unwrap_or_default();
                let line = self.admin.read(line)?;
                self.taken = looked_at + end + 1;
                return Ok(Some(line));
            }
            self.waiting.drain(..self.taken);
            self.taken = 0;
            looked_at = self.waiting.len();
            match self.piece().await? {
                Some(piece) => self.waiting.extend_from_slice(&piece),
                None if self.waiting.is_empty() => return Ok(None),
                None => return Err(self.admin.broke_off("it ends within a line")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_keep_their_code() {
        let failure = problem(StatusCode::NOT_FOUND, br#"{"code":"unknown-device","detail":"no device 1"}"#);
        assert_eq!((failure.exit, failure.code.as_str()), (Exit::BadData, "unknown-device"));
        let refused = problem(StatusCode::FORBIDDEN, br#"{"code":"OBF-110","title":"not permitted"}"#);
        assert_eq!(refused.exit, Exit::Refused);
        assert_eq!(problem(StatusCode::UNAUTHORIZED, b"").exit, Exit::NotAuthenticated);
    }
}
