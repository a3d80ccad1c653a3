//! The client end of the admin API: one HTTPS connection a call, the deployment's CA, a bearer token.

use crate::{
    configuration::{AdminAccess, Configuration},
    failure::{Exit, Failure},
    files,
};
use http_body_util::Full;
use hyper::{Method, Request, StatusCode, body::Bytes};
use obf_net::http::{HttpClient, HttpClientError};
use obf_types::{Refusal, SecretBytes};
use serde_json::Value;
use std::{fmt, sync::Arc, time::Duration};

/// Connecting, and each exchange.
const TIME: Duration = Duration::from_secs(60);

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
        Ok(Self { node, authority, token, tls })
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

    /// `DELETE`.
    ///
    /// # Errors
    /// As [`Admin::call`].
    pub async fn delete(&self, path: &str) -> Result<Value, Failure> {
        self.call(Method::DELETE, path, "application/json", Vec::new()).await
    }

    /// `POST` of JSON lines; the answer is JSON lines too.
    ///
    /// # Errors
    /// As [`Admin::call`].
    pub async fn post_lines(&self, path: &str, body: Vec<u8>) -> Result<Vec<Value>, Failure> {
        let answer = self.exchange(Method::POST, path, "application/jsonl", body).await?;
        let text = String::from_utf8_lossy(&answer);
        text.lines().filter(|line| !line.trim().is_empty()).map(|line| self.read(line.as_bytes())).collect()
    }

    async fn call(&self, method: Method, path: &str, kind: &str, body: Vec<u8>) -> Result<Value, Failure> {
        let answer = self.exchange(method, path, kind, body).await?;
        if answer.is_empty() { Ok(Value::Null) } else { self.read(&answer) }
    }

    fn read(&self, answer: &[u8]) -> Result<Value, Failure> {
        serde_json::from_slice(answer)
            .map_err(|error| self.unreachable(format_args!("its answer is no JSON: {error}")))
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: Vec<u8>,
    ) -> Result<Bytes, Failure> {
        let host = self.authority.rsplit_once(':').map_or(self.authority.as_str(), |(host, _)| host);
        let address = tokio::net::lookup_host(&self.authority)
            .await
            .ok()
            .and_then(|mut found| found.next())
            .ok_or_else(|| self.unreachable("no such host"))?;
        let request = self.request(method, path, kind, body)?;
        let mut client =
            HttpClient::connect(address, host.trim_matches(['[', ']']), Some(Arc::clone(&self.tls)), TIME)
                .await
                .map_err(|error| self.failed(&error))?;
        let response = client.send(request).await.map_err(|error| self.failed(&error))?;
        let (head, answer) = response.into_parts();
        if head.status.is_success() { Ok(answer) } else { Err(problem(head.status, &answer)) }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: Vec<u8>,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let token = String::from_utf8_lossy(self.token.expose()).into_owned();
        Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.authority)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", kind)
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| Failure::usage(format_args!("{path}: {error}")))
    }

    fn unreachable(&self, error: impl fmt::Display) -> Failure {
        Failure::unreachable(&format!("the admin API of {}", self.node.name()), &self.authority, error)
            .next(format!("obf serve {} --config FILE", self.node.name()))
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

/// One path segment or query value, percent-encoded (RFC 3986 unreserved characters stay).
pub fn encoded(text: &str) -> String {
    text.bytes()
        .map(|octet| match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(octet).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_ids_are_encoded_for_a_path() {
        assert_eq!(encoded("a+/==@rs.as.example"), "a%2B%2F%3D%3D%40rs.as.example");
    }

    #[test]
    fn problems_keep_their_code() {
        let failure = problem(StatusCode::NOT_FOUND, br#"{"code":"unknown-device","detail":"no device 1"}"#);
        assert_eq!((failure.exit, failure.code.as_str()), (Exit::BadData, "unknown-device"));
        let refused = problem(StatusCode::FORBIDDEN, br#"{"code":"OBF-110","title":"not permitted"}"#);
        assert_eq!(refused.exit, Exit::Refused);
        assert_eq!(problem(StatusCode::UNAUTHORIZED, b"").exit, Exit::NotAuthenticated);
    }
}
