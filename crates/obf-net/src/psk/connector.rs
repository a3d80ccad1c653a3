//! The client: offers a token, derives the key for what the server chose, and trusts no server that lacks it.

use super::{
    setup::{self, PskSetupError},
    stream::{Hold, PskStream, Watch, Watched},
};
use obf_rpa::{ClientTap, ServerHello, Suite, hello};
use obf_token::{AppKey, TokenId};
use obf_types::{AppId, UaId};
use openssl::{
    error::ErrorStack,
    ex_data::Index,
    ssl::{Ssl, SslContext, SslVerifyMode, SslVersion},
};
use std::{
    fmt, io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_openssl::SslStream;

/// TLS versions to offer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versions {
    /// 1.3, or 1.2 with a server that has no 1.3.
    #[default]
    Both,
    /// 1.2 only.
    Tls12,
    /// 1.3 only.
    Tls13,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PskConnectError {
    /// The server does not accept the key (or does not have it): bootstrap again, at most once a minute.
    #[error("the server does not accept the key")]
    KeyNotAccepted,
    /// The server refused with this alert.
    #[error("the server refused the handshake (TLS alert {0})")]
    Refused(u8),
    /// The connection broke.
    #[error("connection lost: {0}")]
    Lost(io::Error),
    /// The server does something that RPA does not allow, or OpenSSL failed.
    #[error("TLS failed: {0}")]
    Tls(String),
}

/// An established connection and the security protocol whose key protects it.
#[derive(Debug)]
pub struct Connected<S> {
    /// The application's octets.
    pub stream: PskStream<S>,
    /// What was negotiated.
    pub ua: UaId,
}

/// Makes TLS-PSK connections.
#[derive(Clone)]
pub struct PskConnector {
    context: SslContext,
    psk_callback: Index<Ssl, Arc<dyn PskCallback>>,
}

impl fmt::Debug for PskConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PskConnector")
    }
}

impl PskConnector {
    /// A connector that offers the ALPN names `protocols` (empty: none).
    ///
    /// # Errors
    /// [`PskSetupError`] if OpenSSL lacks what RPA needs.
    pub fn new(versions: Versions, protocols: &[&str]) -> Result<Self, PskSetupError> {
        let psk_callback = Ssl::new_ex_index::<Arc<dyn PskCallback>>()?;
        let mut context = setup::context()?;
        // No server of RPA has a certificate; with no root to trust, one that shows any is refused.
        context.set_verify(SslVerifyMode::PEER);
        match versions {
            Versions::Both => {}
            Versions::Tls12 => context.set_max_proto_version(Some(SslVersion::TLS1_2))?,
            Versions::Tls13 => context.set_min_proto_version(Some(SslVersion::TLS1_3))?,
        }
        if !protocols.is_empty() {
            context.set_alpn_protos(&wire_names(protocols))?;
        }
        context.set_psk_client_callback(move |ssl, _hint, identity, psk| {
            Ok(ssl
                .ex_data(psk_callback)
                .and_then(|psk_callback| psk_callback.answer(identity, psk))
                .unwrap_or(0))
        });
        Ok(Self { context: context.build(), psk_callback })
    }

    /// Runs a handshake with the server of `app` over `stream`, offering `token`. `key` derives the application
    /// key for a security protocol; it is asked for TLS 1.3's before the ClientHello and for TLS 1.2's when the
    /// server has chosen the suite.
    ///
    /// # Errors
    /// [`PskConnectError`].
    pub async fn connect<S, K>(
        &self,
        stream: S,
        app: &AppId,
        token: &TokenId,
        key: K,
    ) -> Result<Connected<S>, PskConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
        K: Fn(UaId) -> Option<AppKey> + Send + Sync + 'static,
    {
        let tap = Arc::new(Mutex::new(ClientTap::new()));
        let psk_callback: Arc<dyn PskCallback> =
            Arc::new(TokenPsk { identity: token.psk_identity(), key, tap: Arc::clone(&tap) });
        let ssl = self.prepare(app, psk_callback).map_err(failed)?;
        let watch = ClientWatch(Arc::clone(&tap));
        let mut stream =
            SslStream::new(ssl, Watched::new(stream, Vec::new(), Box::new(watch))).map_err(failed)?;
        Pin::new(&mut stream).connect().await.map_err(explain)?;
        let chosen = chosen(&tap).ok_or_else(|| PskConnectError::Tls("no ServerHello".into()))?;
        let ua = ua_of(chosen).ok_or_else(|| PskConnectError::Tls("unexpected cipher suite".into()))?;
        if ua == UaId::TLS13_PSK && !stream.ssl().session_reused() {
            return Err(PskConnectError::Tls("the server did not use the key".into()));
        }
        Ok(Connected { stream: PskStream::established(stream), ua })
    }

    fn prepare(&self, app: &AppId, psk_callback: Arc<dyn PskCallback>) -> Result<Ssl, ErrorStack> {
        let mut ssl = Ssl::new(&self.context)?;
        ssl.set_hostname(app.as_str())?;
        ssl.set_connect_state();
        ssl.set_ex_data(self.psk_callback, psk_callback);
        Ok(ssl)
    }
}

/// What OpenSSL asks for identity and key, whatever the caller's type of a key look-up.
trait PskCallback: Send + Sync {
    /// Writes the identity, NUL-terminated, and the key; `None` where there is none for what is being negotiated.
    fn answer(&self, identity: &mut [u8], psk: &mut [u8]) -> Option<usize>;
}

struct TokenPsk<K> {
    identity: String,
    key: K,
    tap: Arc<Mutex<ClientTap>>,
}

impl<K: Fn(UaId) -> Option<AppKey> + Send + Sync> PskCallback for TokenPsk<K> {
    fn answer(&self, identity: &mut [u8], psk: &mut [u8]) -> Option<usize> {
        // Before a ServerHello OpenSSL builds a TLS 1.3 ClientHello; afterwards a TLS 1.2 ClientKeyExchange or,
        // behind a HelloRetryRequest, the second ClientHello.
        let ua = match chosen(&self.tap) {
            None => UaId::TLS13_PSK,
            Some(chosen) => ua_of(chosen)?,
        };
        let key = (self.key)(ua)?;
        let (text, end) = identity.split_at_mut_checked(self.identity.len())?;
        text.copy_from_slice(self.identity.as_bytes());
        *end.first_mut()? = 0;
        psk.get_mut(..32)?.copy_from_slice(key.expose());
        Some(32)
    }
}

/// The security protocol of what a server chose: TLS 1.2 is accepted only with the extended master secret and one of
/// our suites.
fn ua_of(chosen: ServerHello) -> Option<UaId> {
    match chosen.version {
        hello::TLS13 => Some(UaId::TLS13_PSK),
        hello::TLS12 if chosen.extended_master_secret => {
            Suite::tls12(chosen.suite).map(|suite| UaId::tls12(suite.number))
        }
        _ => None,
    }
}

fn chosen(tap: &Mutex<ClientTap>) -> Option<ServerHello> {
    tap.lock().unwrap_or_else(PoisonError::into_inner).chosen()
}

struct ClientWatch(Arc<Mutex<ClientTap>>);

impl Watch for ClientWatch {
    fn inbound(&mut self, octets: &[u8]) -> io::Result<Option<Hold>> {
        let mut tap = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tap.inbound(octets).map_err(io::Error::other)?;
        Ok(None)
    }

    fn outbound(&mut self, _: &[u8]) -> io::Result<Option<[u8; 7]>> {
        Ok(None)
    }
}

/// Names as the ALPN extension lists them; those longer than 255 octets are left out.
fn wire_names(protocols: &[&str]) -> Vec<u8> {
    let mut wire = Vec::new();
    for name in protocols {
        if let Ok(length) = u8::try_from(name.len()) {
            wire.push(length);
            wire.extend_from_slice(name.as_bytes());
        }
    }
    wire
}

fn failed(errors: ErrorStack) -> PskConnectError {
    PskConnectError::Tls(errors.to_string())
}

fn explain(error: openssl::ssl::Error) -> PskConnectError {
    const BAD_RECORD_MAC: u8 = 20;
    const DECRYPT_ERROR: u8 = 51;
    const UNKNOWN_PSK_IDENTITY: u8 = 115;
    match error.ssl_error().and_then(received_alert) {
        Some(BAD_RECORD_MAC | DECRYPT_ERROR | UNKNOWN_PSK_IDENTITY) => PskConnectError::KeyNotAccepted,
        Some(alert) => PskConnectError::Refused(alert),
        None => match error.into_io_error() {
            Ok(lost) => PskConnectError::Lost(lost),
            Err(other) => PskConnectError::Tls(other.to_string()),
        },
    }
}

/// OpenSSL's reason for an alert from the peer is 1000 + its number.
fn received_alert(errors: &ErrorStack) -> Option<u8> {
    let reason = errors.errors().last()?.reason_code();
    u8::try_from(reason.checked_sub(1000)?).ok()
}
