//! The server: suspends a handshake while its key is looked up, and tells nobody what was wrong with a key.

use super::{
    hint,
    setup::{self, PskSetupError},
    stream::{Hold, PskStream, Watch, Watched},
};
use obf_rpa::{ClientHello, NeedKey, ServerTap, Suite, TapError, TapEvent};
use obf_token::{AppKey, TokenId};
use obf_types::{AppId, UaId};
use openssl::{
    error::ErrorStack,
    ex_data::Index,
    ssl::{AlpnError, Ssl, SslContext, SslRef, SslVersion},
};
use std::{
    fmt,
    future::Future,
    io,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_openssl::SslStream;

/// The hint of TS 33.222 5.4 and TS 24.109: it says to a device that the server wants a bootstrapped key.
const IDENTITY_HINT: &std::ffi::CStr = c"3GPP-bootstrapping";

/// Which key a handshake waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyQuery {
    /// Token and security protocol.
    pub need: NeedKey,
    /// The application that the device asked for (SNI), or the listener's only one.
    pub app: AppId,
    /// The device's address.
    pub source: IpAddr,
}

/// Where keys come from.
pub trait KeySource: Send + Sync + 'static {
    /// What comes with a key and is handed on with the connection.
    type Grant: Send + 'static;

    /// The key if it is at hand.
    fn known(&self, query: &KeyQuery) -> Option<(AppKey, Self::Grant)> {
        let _ = query;
        None
    }

    /// The key that is not at hand, or `None` for whatever reason. Dropped where the handshake's time is over. Slow answers
    /// delay this handshake only; how many
    /// look-ups there may be at once, in all and from one source, is for whoever implements this.
    fn key(&self, query: KeyQuery) -> impl Future<Output = Option<(AppKey, Self::Grant)>> + Send;
}

/// How a listener speaks TLS-PSK.
#[derive(Clone, Debug)]
pub struct PskServer {
    /// The applications behind it. With one, SNI may be absent; with several, it is required.
    pub apps: Vec<AppId>,
    /// ALPN names in order of preference; empty: not negotiated.
    pub protocols: Vec<String>,
    /// From the first octet to the last of a handshake, key look-up included.
    pub time: Duration,
}

impl PskServer {
    /// These applications, any protocol, 10 s a handshake.
    pub fn new(apps: Vec<AppId>) -> Self {
        Self { apps, protocols: Vec::new(), time: Duration::from_secs(10) }
    }
}

/// Why a handshake failed. For our log; the peer learns no more than an alert.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PskAcceptError {
    /// Not within the time.
    #[error("handshake too slow")]
    Slow,
    /// The peer closed or the network failed.
    #[error("connection lost: {0}")]
    Lost(io::Error),
    /// What came is no handshake.
    #[error("{0}")]
    NotAHandshake(#[from] TapError),
    /// SNI is absent though needed, or names another application.
    #[error("asked for another application: {0:?}")]
    OtherApplication(Option<String>),
    /// It offers ALPN names, none of them ours.
    #[error("asked for another application protocol")]
    OtherProtocol,
    /// No version, suite or mode in common (TLS 1.3 with psk_dhe_ke, or 1.2 with the extended master secret).
    #[error("nothing in common")]
    NothingInCommon,
    /// Nothing newer than TLS 1.1.
    #[error("no TLS version in common")]
    OldVersion,
    /// Unknown, expired, ended or wrong key.
    #[error("key not accepted")]
    KeyNotAccepted,
    /// OpenSSL refused for another reason.
    #[error("TLS refused: {0}")]
    Tls(String),
}

/// An accepted connection.
pub struct Accepted<S, G> {
    /// The application's octets.
    pub stream: PskStream<S>,
    /// The token that the peer proved to have.
    pub token: TokenId,
    /// The security protocol of the key.
    pub ua: UaId,
    /// The application.
    pub app: AppId,
    /// What came with the key.
    pub grant: G,
}

impl<S, G> fmt::Debug for Accepted<S, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Accepted({:?} for {} by {})", self.stream, self.app, self.token)
    }
}

/// Accepts TLS-PSK handshakes.
#[derive(Clone)]
pub struct PskAcceptor {
    context: SslContext,
    cell: Index<Ssl, Arc<KeyCell>>,
    server: Arc<PskServer>,
}

impl fmt::Debug for PskAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PskAcceptor({:?})", self.server)
    }
}

impl PskAcceptor {
    /// An acceptor.
    ///
    /// # Errors
    /// [`PskSetupError`] if OpenSSL lacks what RPA needs.
    pub fn new(mut server: PskServer) -> Result<Self, PskSetupError> {
        // Found by binary search: a listener may serve thousands.
        server.apps.sort_unstable();
        let cell = Ssl::new_ex_index::<Arc<KeyCell>>()?;
        let mut context = setup::context()?;
        context.set_tmp_dh(&*setup::dh_group()?)?;
        hint::set_identity_hint(&mut context, IDENTITY_HINT)?;
        context.set_psk_server_callback(move |ssl, identity, psk| {
            Ok(ssl.ex_data(cell).and_then(|cell| cell.answer(ssl, identity?, psk)).unwrap_or(0))
        });
        if !server.protocols.is_empty() {
            let names = server.protocols.clone();
            context.set_alpn_select_callback(move |_, offered| {
                choose_protocol(&names, offered).ok_or(AlpnError::NOACK)
            });
        }
        Ok(Self { context: context.build(), cell, server: Arc::new(server) })
    }

    /// Runs one handshake.
    ///
    /// # Errors
    /// [`PskAcceptError`]; the peer has got its alert.
    pub async fn accept<S, K>(
        &self,
        stream: S,
        source: IpAddr,
        keys: &Arc<K>,
    ) -> Result<Accepted<S, K::Grant>, PskAcceptError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin,
        K: KeySource,
    {
        tokio::time::timeout(self.server.time, self.shake_hands(stream, source, keys))
            .await
            .map_err(|_| PskAcceptError::Slow)?
    }

    async fn shake_hands<S, K>(
        &self,
        mut stream: S,
        source: IpAddr,
        keys: &Arc<K>,
    ) -> Result<Accepted<S, K::Grant>, PskAcceptError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin,
        K: KeySource,
    {
        let mut tap = ServerTap::new();
        let (event, read) = match read_hello(&mut stream, &mut tap).await {
            Ok(greeting) => greeting,
            Err(error) => return Err(refuse(&mut stream, error).await),
        };
        let TapEvent::ClientHello(hello) = &event else { return Err(PskAcceptError::NothingInCommon) };
        let agreed = self.app_of(hello).and_then(|app| {
            self.check_protocol(hello)?;
            Ok((app, version_of(hello)?))
        });
        let (app, version) = match agreed {
            Ok(agreed) => agreed,
            Err(error) => return Err(refuse(&mut stream, error).await),
        };
        let lookup = Arc::new(Lookup { keys: Arc::clone(keys), app: app.clone(), source });
        let cell = Arc::new(KeyCell::default());
        let grant = GrantCell::default();
        // OpenSSL asks for the key of TLS 1.3 while it reads the ClientHello, in a callback that cannot wait: it gets none of
        // the octets before the key is there. For TLS 1.2 `ServerWatch` holds back those that complete the ClientKeyExchange.
        if version == SslVersion::TLS1_3 {
            decide(&lookup, tls13_offer(hello), &cell, &grant).await;
        }
        let mut ssl = self.prepare(version, &cell).map_err(|error| PskAcceptError::Tls(error.to_string()))?;
        ssl.set_accept_state();
        let watch = ServerWatch { tap, lookup, cell: Arc::clone(&cell), grant: Arc::clone(&grant) };
        let mut stream = SslStream::new(ssl, Watched::new(stream, read, Box::new(watch)))
            .map_err(|error| PskAcceptError::Tls(error.to_string()))?;
        if let Err(error) = Pin::new(&mut stream).accept().await {
            return Err(explain(error, cell.is_decided()));
        }
        let granted = grant.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (need, grant) = granted.ok_or(PskAcceptError::KeyNotAccepted)?;
        cell.erase();
        Ok(Accepted { stream: PskStream::established(stream), token: need.token, ua: need.ua, app, grant })
    }

    /// The application that a ClientHello asks for.
    fn app_of(&self, hello: &ClientHello) -> Result<AppId, PskAcceptError> {
        let apps = self.server.apps.as_slice();
        let found = match (&hello.server_name, apps) {
            (None, [only]) => Some(only),
            (None, _) => None,
            (Some(name), apps) => find_app(apps, name),
        };
        found.cloned().ok_or_else(|| PskAcceptError::OtherApplication(hello.server_name.clone()))
    }

    /// ALPN is checked where it is offered (WIRES "RPA").
    fn check_protocol(&self, hello: &ClientHello) -> Result<(), PskAcceptError> {
        let (ours, theirs) = (&self.server.protocols, &hello.protocols);
        let common = theirs.iter().any(|name| ours.iter().any(|our| our.as_bytes() == name.as_slice()));
        if ours.is_empty() || theirs.is_empty() || common {
            Ok(())
        } else {
            Err(PskAcceptError::OtherProtocol)
        }
    }

    /// A handshake pinned to the version that its ClientHello allows.
    fn prepare(&self, version: SslVersion, cell: &Arc<KeyCell>) -> Result<Ssl, ErrorStack> {
        let mut ssl = Ssl::new(&self.context)?;
        ssl.set_min_proto_version(Some(version))?;
        ssl.set_max_proto_version(Some(version))?;
        ssl.set_ex_data(self.cell, Arc::clone(cell));
        Ok(ssl)
    }
}

/// The key of one handshake, once it is known. OpenSSL asks for it in a callback that cannot wait. The lock is never contended:
/// the look-up ends before the octets are handed on that make OpenSSL call back, all in one task.
#[derive(Default)]
struct KeyCell(Mutex<Option<Decided>>);

struct Decided {
    identity: Vec<u8>,
    ua: UaId,
    key: AppKey,
}

impl KeyCell {
    fn set(&self, decided: Decided) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(decided);
    }

    fn is_decided(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn erase(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Writes the key where it belongs to this identity and to the version that the handshake has come to.
    fn answer(&self, ssl: &SslRef, identity: &[u8], psk: &mut [u8]) -> Option<usize> {
        let decided = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let decided = decided.as_ref()?;
        let tls13 = ssl.version2() == Some(SslVersion::TLS1_3);
        if identity != decided.identity || tls13 != (decided.ua == UaId::TLS13_PSK) {
            return None;
        }
        psk.get_mut(..32)?.copy_from_slice(decided.key.expose());
        Some(32)
    }
}

type GrantCell<G> = Arc<Mutex<Option<(NeedKey, G)>>>;

/// What a handshake waits for: the identity as sent, the security protocol, and the token if it names one.
struct PskOffer {
    identity: Vec<u8>,
    ua: UaId,
    token: Option<TokenId>,
}

/// Looks the key up and notes the outcome. Without a key the handshake goes on with a random one, so that an
/// unknown token looks like a wrong key in everything that the peer sees.
async fn decide<K: KeySource>(
    lookup: &Lookup<K>,
    offer: PskOffer,
    cell: &KeyCell,
    grant: &GrantCell<K::Grant>,
) {
    let PskOffer { identity, ua, token } = offer;
    let need = token.map(|token| NeedKey { token, ua });
    let found = match &need {
        Some(need) => lookup.find(need.clone()).await,
        None => None,
    };
    let key = match (need, found) {
        (Some(need), Some((key, content))) => {
            *grant.lock().unwrap_or_else(PoisonError::into_inner) = Some((need, content));
            Some(key)
        }
        _ => random_key(),
    };
    // A system without randomness decides nothing: OpenSSL then gets no key at all.
    if let Some(key) = key {
        cell.set(Decided { identity, ua, key });
    }
}

fn random_key() -> Option<AppKey> {
    let mut octets = [0; 32];
    getrandom::fill(&mut octets).ok()?;
    Some(AppKey::new(octets))
}

/// Finds keys for one connection.
struct Lookup<K> {
    keys: Arc<K>,
    app: AppId,
    source: IpAddr,
}

impl<K: KeySource> Lookup<K> {
    async fn find(&self, need: NeedKey) -> Option<(AppKey, K::Grant)> {
        let query = KeyQuery { need, app: self.app.clone(), source: self.source };
        match self.keys.known(&query) {
            Some(known) => Some(known),
            None => self.keys.key(query).await,
        }
    }
}

struct ServerWatch<K: KeySource> {
    tap: ServerTap,
    lookup: Arc<Lookup<K>>,
    cell: Arc<KeyCell>,
    grant: GrantCell<K::Grant>,
}

impl<K: KeySource> Watch for ServerWatch<K> {
    fn inbound(&mut self, octets: &[u8]) -> io::Result<Option<Hold>> {
        // The tap has nothing more to find: one handshake has one look-up, and in TLS 1.3 it was before OpenSSL began.
        if self.cell.is_decided() {
            return Ok(None);
        }
        let event = self.tap.inbound(octets).map_err(io::Error::other)?;
        let Some(TapEvent::KeyExchange { identity, suite }) = event else { return Ok(None) };
        let offer = PskOffer { token: identity.token(), identity: identity.0, ua: UaId::tls12(suite) };
        let (lookup, cell, grant) =
            (Arc::clone(&self.lookup), Arc::clone(&self.cell), Arc::clone(&self.grant));
        Ok(Some(Box::pin(async move { decide(&lookup, offer, &cell, &grant).await })))
    }

    fn outbound(&mut self, octets: &[u8]) -> io::Result<Option<[u8; 7]>> {
        if !self.cell.is_decided() {
            self.tap.outbound(octets).map_err(io::Error::other)?;
            return Ok(None);
        }
        // From the look-up on, whatever OpenSSL calls the fault, the peer sees one alert.
        Ok(match octets {
            [ALERT, major, minor, 0, 2, FATAL, _] => {
                Some([ALERT, *major, *minor, 0, 2, FATAL, DECRYPT_ERROR])
            }
            _ => None,
        })
    }
}

/// The application of that name; server names come in any case, ids of ours are lower-case and sorted.
fn find_app<'a>(apps: &'a [AppId], name: &str) -> Option<&'a AppId> {
    let lower_case = || name.bytes().map(|octet| octet.to_ascii_lowercase());
    let at = apps.binary_search_by(|app| app.as_str().bytes().cmp(lower_case())).ok()?;
    apps.get(at)
}

/// The octets of the whole ClientHello, as they came.
async fn read_hello<S: AsyncRead + Unpin>(
    stream: &mut S,
    tap: &mut ServerTap,
) -> Result<(TapEvent, Vec<u8>), PskAcceptError> {
    let mut read = Vec::with_capacity(1024);
    loop {
        let before = read.len();
        if stream.read_buf(&mut read).await.map_err(PskAcceptError::Lost)? == 0 {
            return Err(PskAcceptError::Lost(io::ErrorKind::UnexpectedEof.into()));
        }
        let new = read.get(before..).unwrap_or_default();
        if let Some(event) = tap.inbound(new)? {
            return Ok((event, read));
        }
        if read.len() == read.capacity() {
            read.reserve(4096);
        }
    }
}

/// TLS 1.3 where the client has an external PSK for it, otherwise TLS 1.2 where it can bind the handshake.
fn version_of(hello: &ClientHello) -> Result<SslVersion, PskAcceptError> {
    let offers = |ours: &[Suite]| ours.iter().any(|suite| hello.suites.contains(&suite.number));
    let psk13 = hello.psk_dhe_ke && !hello.psk_identities.is_empty();
    if hello.tls13 && psk13 && offers(&Suite::TLS13) {
        Ok(SslVersion::TLS1_3)
    } else if hello.tls12 && hello.extended_master_secret && offers(&Suite::TLS12) {
        Ok(SslVersion::TLS1_2)
    } else if hello.tls12 || hello.tls13 {
        Err(PskAcceptError::NothingInCommon)
    } else {
        Err(PskAcceptError::OldVersion)
    }
}

/// The first identity that names a token; otherwise the first.
fn tls13_offer(hello: &ClientHello) -> PskOffer {
    let named = hello
        .psk_identities
        .iter()
        .find_map(|identity| Some((identity.clone(), Some(TokenId::from_psk_identity(identity).ok()?))));
    let (identity, token) =
        named.unwrap_or_else(|| (hello.psk_identities.first().cloned().unwrap_or_default(), None));
    PskOffer { identity, ua: UaId::TLS13_PSK, token }
}

/// The first of our names that the client offers too (`offered` as in the extension: length, name, …).
fn choose_protocol<'a>(ours: &[String], offered: &'a [u8]) -> Option<&'a [u8]> {
    let mut rest = offered;
    let names = std::iter::from_fn(|| {
        let (length, behind) = rest.split_first()?;
        let (name, behind) = behind.split_at_checked(usize::from(*length))?;
        rest = behind;
        Some(name)
    });
    let theirs: Vec<&[u8]> = names.collect();
    ours.iter().find_map(|our| theirs.iter().copied().find(|name| *name == our.as_bytes()))
}

const ALERT: u8 = 21;
const FATAL: u8 = 2;
const UNEXPECTED_MESSAGE: u8 = 10;
const HANDSHAKE_FAILURE: u8 = 40;
const DECODE_ERROR: u8 = 50;
const DECRYPT_ERROR: u8 = 51;
const PROTOCOL_VERSION: u8 = 70;
const UNRECOGNIZED_NAME: u8 = 112;
const NO_APPLICATION_PROTOCOL: u8 = 120;

/// Sends the alert that an early refusal has, if it has one.
async fn refuse<S: AsyncWrite + Unpin>(stream: &mut S, error: PskAcceptError) -> PskAcceptError {
    let description = match &error {
        PskAcceptError::NotAHandshake(TapError::Malformed) => DECODE_ERROR,
        PskAcceptError::NotAHandshake(TapError::Unexpected) => UNEXPECTED_MESSAGE,
        PskAcceptError::OtherApplication(_) => UNRECOGNIZED_NAME,
        PskAcceptError::OtherProtocol => NO_APPLICATION_PROTOCOL,
        PskAcceptError::NothingInCommon => HANDSHAKE_FAILURE,
        PskAcceptError::OldVersion => PROTOCOL_VERSION,
        _ => return error,
    };
    // The peer may be gone; the refusal stands all the same.
    let _ = stream.write_all(&[ALERT, 3, 3, 0, 2, FATAL, description]).await;
    let _ = stream.shutdown().await;
    error
}

fn explain(error: openssl::ssl::Error, decided: bool) -> PskAcceptError {
    match error.into_io_error() {
        Ok(lost) => PskAcceptError::Lost(lost),
        Err(_) if decided => PskAcceptError::KeyNotAccepted,
        Err(other) => PskAcceptError::Tls(other.to_string()),
    }
}
