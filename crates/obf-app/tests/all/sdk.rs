//! The application SDK on real sockets, with an Authentication Server made of obf-rpo's server half
//! (issue sentence 7: R12, R13, A2, A3; WIRES "RPO", "RPA").

use obf_app::{Application, ApplicationSettings, Listener, ListenerSettings, Session};
use obf_net::{
    Clock, Drained, OffsetClock, Stopper,
    certificates::{self, CertificateFiles},
    psk::{PskConnectError, PskConnector, PskStream, Versions},
    radius::{
        Connection, Handler, Origin, TlsClientSettings, TlsServerAddress, TlsServerSettings, serve_tls,
    },
};
use obf_radius::{AttributeWriter, Code, Request, Vendor};
use obf_rpa::LocalPolicy;
use obf_rpo::{Ask, Inquiry, KeyGrant, KeyRequest, TokenNotice, grant, refuse};
use obf_token::{AppKey, TokenId};
use obf_types::{AppId, Domain, Epoch, GlobalIdentity, IdentityKind, KeySchema, Refusal, UaId, UnixTime};
use std::{
    collections::HashSet,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

/// Generous: the machine may be busy. Nothing waits for it when things go well.
const LONG: Duration = Duration::from_secs(30);
const VENDOR: Vendor = Vendor::DOCUMENTATION;

fn app() -> AppId {
    AppId::new("track.example").unwrap()
}

fn token(n: u8) -> TokenId {
    TokenId::new([n; 16], Domain::new("rs1.as.example").unwrap())
}

fn key(token: &TokenId, ua: UaId) -> AppKey {
    let mut octets = [token.rand()[0]; 32];
    octets[..5].copy_from_slice(&ua.0);
    AppKey::new(octets)
}

/// Tokens 1 to 99 are live until revoked; 50 is slow to be found. Lifetime: 1000 s from each fetch.
#[derive(Debug, Default)]
struct AuthenticationServer {
    clock: Arc<OffsetClock>,
    revoked: Mutex<HashSet<TokenId>>,
    /// Notices not yet acknowledged.
    stored: Mutex<Vec<TokenId>>,
    connection: Mutex<Option<Connection>>,
    fetched: AtomicUsize,
    resumed: AtomicUsize,
    slow: Notify,
}

impl Handler for AuthenticationServer {
    async fn handle(&self, request: Request, origin: Origin) -> Option<Vec<u8>> {
        assert!(origin.names.contains(&"track.example".to_owned()));
        let mut out = Vec::new();
        match Inquiry::decode(&request, VENDOR).unwrap() {
            Inquiry::Heartbeat => grant::done(&request, &mut out),
            Inquiry::Ask { ask: Ask::Resume(resume), .. } => {
                assert_eq!(resume.app, app());
                let connection = origin.connection.unwrap();
                let stored = std::mem::take(&mut *self.stored.lock().unwrap());
                for token in stored {
                    self.tell(&connection, token).await;
                }
                *self.connection.lock().unwrap() = Some(connection);
                self.resumed.fetch_add(1, Ordering::SeqCst);
                grant::done(&request, &mut out);
            }
            Inquiry::Ask { ask: Ask::Key(asked), .. } => {
                self.fetched.fetch_add(1, Ordering::SeqCst);
                match self.grant(asked).await {
                    Ok(grant) => grant.encode(&request, VENDOR, self.clock.now(), [1, 2], &mut out).unwrap(),
                    Err(refusal) => refuse(&request, VENDOR, refusal, &mut out),
                }
            }
        }
        Some(out)
    }
}

impl AuthenticationServer {
    async fn grant(&self, asked: KeyRequest) -> Result<KeyGrant, Refusal> {
        let number = asked.token.rand()[0];
        if number == 50 {
            self.slow.notified().await;
        }
        if number >= 100 || self.revoked.lock().unwrap().contains(&asked.token) {
            return Err(Refusal::UnknownToken);
        }
        let now = self.clock.now();
        Ok(KeyGrant {
            key: key(&asked.token, asked.ua),
            expires: UnixTime(now.0 + 1000),
            bootstrapped_at: now,
            schema: KeySchema::Obf1,
            settings: b"settings of this user".as_slice().into(),
            device: Some(GlobalIdentity::new(IdentityKind::Imsi, "001010000000001").unwrap()),
        })
    }

    async fn tell(&self, connection: &Connection, token: TokenId) {
        let notice = TokenNotice { token, app: app(), device: None, epoch: Epoch(1) };
        let mut attributes = Vec::new();
        notice.encode(VENDOR, self.clock.now(), &mut AttributeWriter::for_request(&mut attributes)).unwrap();
        let reply = connection.ask(TokenNotice::CODE, &attributes, LONG).await.unwrap();
        assert_eq!(reply.code(), Code::DisconnectAck);
    }

    async fn revoke(&self, token: TokenId) {
        self.revoked.lock().unwrap().insert(token.clone());
        let connection = self.connection.lock().unwrap().clone().filter(|c| !c.is_ended());
        match connection {
            Some(connection) => self.tell(&connection, token).await,
            None => self.stored.lock().unwrap().push(token),
        }
    }
}

struct Pki {
    folder: tempfile::TempDir,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Pki {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        std::fs::write(folder.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { folder, issuer: rcgen::Issuer::new(params, key) }
    }

    fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn issue(&self, name: &str) -> CertificateFiles {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        let file = |suffix: &str| self.folder.path().join(format!("{name}{suffix}"));
        std::fs::write(file(".pem"), params.signed_by(&key, &self.issuer).unwrap().pem()).unwrap();
        std::fs::write(file(".key"), key.serialize_pem()).unwrap();
        CertificateFiles { chain: file(".pem"), key: file(".key") }
    }
}

/// An application, and an Authentication Server that can be stopped and started again at the same address.
struct World {
    pki: Pki,
    clock: Arc<OffsetClock>,
    server: Arc<AuthenticationServer>,
    server_files: CertificateFiles,
    address: SocketAddr,
    serving: Option<Stopper>,
    application: Application,
    listener: Listener,
    group: Stopper,
}

impl World {
    async fn new(policy: LocalPolicy) -> Self {
        Self::with_listener(policy, ListenerSettings::new("127.0.0.1:0".parse().unwrap())).await
    }

    async fn with_listener(policy: LocalPolicy, listening: ListenerSettings) -> Self {
        let (pki, clock) = (Pki::new(), Arc::new(OffsetClock::new()));
        let server = Arc::new(AuthenticationServer { clock: Arc::clone(&clock), ..Default::default() });
        let free = async || TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        // At the first address nobody listens: failover is in every test.
        let (nobody, address) = (free().await, free().await);
        let server_files = pki.issue("as.example");
        let tls = certificates::mutual_client(&pki.issue("track.example"), &pki.ca()).unwrap();
        let servers =
            [nobody, address].map(|address| TlsServerAddress { address, name: "as.example".into() });
        let mut rpo = TlsClientSettings::new(servers.into(), tls);
        rpo.backoff = Duration::from_millis(100);
        let mut settings = ApplicationSettings::new(app(), rpo);
        settings.policy = policy;
        let group = Stopper::new();
        let on = Arc::clone(&clock) as Arc<dyn Clock>;
        let application = Application::start(settings, on, &group.running());
        let listener = application.listen(listening, &group.running()).await.unwrap();
        let serving = None;
        let mut world =
            Self { pki, clock, server, server_files, address, serving, application, listener, group };
        world.start_server().await;
        world
    }

    async fn start_server(&mut self) {
        let config = certificates::mutual_server(&self.server_files, &self.pki.ca()).unwrap();
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.address).unwrap();
        let (socket, stopper) = (socket.listen(16).unwrap(), Stopper::new());
        let (running, server) = (stopper.running(), Arc::clone(&self.server));
        stopper.running().spawn(serve_tls(socket, config, TlsServerSettings::default(), running, server));
        self.serving = Some(stopper);
        tokio::time::timeout(LONG, self.application.ready()).await.unwrap();
    }

    async fn stop_server(&mut self) {
        self.serving.take().unwrap().stop(LONG).await;
        *self.server.connection.lock().unwrap() = None;
        tokio::time::timeout(LONG, self.application.away()).await.unwrap();
    }

    async fn connect(&self, token: TokenId) -> Result<PskStream<TcpStream>, PskConnectError> {
        connect(self.listener.address(), Versions::Both, token).await
    }

    async fn session(&mut self) -> Session {
        tokio::time::timeout(LONG, self.listener.accept()).await.unwrap().unwrap()
    }

    fn fetched(&self) -> usize {
        self.server.fetched.load(Ordering::SeqCst)
    }
}

async fn connect(
    address: SocketAddr,
    versions: Versions,
    token: TokenId,
) -> Result<PskStream<TcpStream>, PskConnectError> {
    let stream = TcpStream::connect(address).await.unwrap();
    let own = token.clone();
    let connector = PskConnector::new(versions, &[]).unwrap();
    Ok(connector.connect(stream, &app(), &token, move |ua| Some(key(&own, ua))).await?.stream)
}

/// The peer sees its connection closed.
async fn closed(stream: &mut PskStream<TcpStream>) {
    let mut octets = [0; 16];
    while let Ok(1..) = tokio::time::timeout(LONG, stream.read(&mut octets)).await.unwrap() {}
}

#[tokio::test]
async fn r13_a_session_has_what_the_authentication_server_says_and_keys_are_cached() {
    let mut world = World::new(LocalPolicy::default()).await;
    let mut device = world.connect(token(1)).await.unwrap();
    let mut session = world.session().await;
    assert_eq!((&session.token, session.ua, &session.app), (&token(1), UaId::TLS13_PSK, &app()));
    assert_eq!(&*session.settings, b"settings of this user");
    assert_eq!(session.device.as_ref().unwrap().value(), "001010000000001");
    assert!(session.expires.0 <= world.clock.now().0 + 1000);
    device.write_all(b"hello").await.unwrap();
    let mut octets = [0; 5];
    session.stream.read_exact(&mut octets).await.unwrap();
    assert_eq!(&octets, b"hello");
    // Known by now; another protocol's key is not.
    let _again = world.connect(token(1)).await.unwrap();
    assert_eq!(world.fetched(), 1);
    let _other = connect(world.listener.address(), Versions::Tls12, token(1)).await.unwrap();
    assert_eq!(world.fetched(), 2);
    assert_eq!(world.server.resumed.load(Ordering::SeqCst), 1);
}

/// A3: the session ends when its key does.
#[tokio::test]
async fn a3_sessions_end_at_expiry() {
    let mut world = World::new(LocalPolicy::default()).await;
    let mut device = world.connect(token(1)).await.unwrap();
    let session = world.session().await;
    world.clock.advance(1001);
    closed(&mut device).await;
    assert_eq!(world.application.sessions(), 0);
    drop(session);
    // Asked anew; this Authentication Server says it is still good.
    world.connect(token(1)).await.unwrap();
    assert_eq!(world.fetched(), 2);
}

/// A2: local policy may only shorten.
#[tokio::test]
async fn a2_local_policy_shortens_a_key_s_life() {
    let mut world = World::new(LocalPolicy { max_age: Some(10), ..LocalPolicy::default() }).await;
    let mut device = world.connect(token(1)).await.unwrap();
    let session = world.session().await;
    assert!(session.expires.0 <= world.clock.now().0 + 10);
    world.clock.advance(11);
    closed(&mut device).await;
}

/// Issue sentence 7: from the revocation to the closed socket at most 1 s (nothing here is slower than a round trip;
/// the bound is the issue's).
#[tokio::test]
async fn r16_a_revoked_token_s_sockets_are_closed_within_a_second() {
    let mut world = World::new(LocalPolicy::default()).await;
    let (mut devices, mut sessions) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        devices.push(world.connect(token(1)).await.unwrap());
        sessions.push(world.session().await);
    }
    let mut other = world.connect(token(2)).await.unwrap();
    let mut other_session = world.session().await;
    let began = Instant::now();
    world.server.revoke(token(1)).await;
    for device in &mut devices {
        closed(device).await;
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let refused = world.connect(token(1)).await;
    assert!(matches!(refused, Err(PskConnectError::KeyNotAccepted)), "{refused:?}");
    other.write_all(b"still here").await.unwrap();
    let mut octets = [0; 10];
    other_session.stream.read_exact(&mut octets).await.unwrap();
}

/// Issue sentence 7: an application that was away learns what ended before it accepts that token again.
#[tokio::test]
async fn r16_an_application_that_was_away_learns_it_first() {
    let mut world = World::new(LocalPolicy::default()).await;
    let mut device = world.connect(token(1)).await.unwrap();
    let _session = world.session().await;
    world.stop_server().await;
    // Within the grace a known key goes on.
    let _known = world.connect(token(1)).await.unwrap();
    world.server.revoke(token(1)).await;
    world.start_server().await;
    let refused = world.connect(token(1)).await;
    assert!(matches!(refused, Err(PskConnectError::KeyNotAccepted)), "{refused:?}");
    closed(&mut device).await;
    assert!(world.server.stored.lock().unwrap().is_empty());
}

/// WIRES "A lost notice must not leave access open".
#[tokio::test]
async fn a2_without_its_authentication_server_it_goes_on_for_the_grace_only() {
    let mut world = World::new(LocalPolicy { stale_grace: 60, ..LocalPolicy::default() }).await;
    let mut device = world.connect(token(1)).await.unwrap();
    let _session = world.session().await;
    world.stop_server().await;
    world.clock.advance(50);
    let _known = world.connect(token(1)).await.unwrap();
    world.clock.advance(20);
    closed(&mut device).await;
    assert!(world.connect(token(1)).await.is_err());
    world.start_server().await;
    world.connect(token(1)).await.unwrap();
}

/// WIRES "RPA": unknown ids are remembered, for at most 5 s.
#[tokio::test]
async fn r13_unknown_tokens_are_remembered_for_a_moment() {
    let world = World::new(LocalPolicy::default()).await;
    for _ in 0..3 {
        assert!(matches!(world.connect(token(200)).await, Err(PskConnectError::KeyNotAccepted)));
    }
    assert_eq!(world.fetched(), 1);
    world.clock.advance(5);
    assert!(world.connect(token(200)).await.is_err());
    assert_eq!(world.fetched(), 2);
}

/// Issue sentence 7: a key that is slow to come holds up no other handshake; its source may wait for so many at once,
/// but keys at hand are not among them.
#[tokio::test]
async fn r13_a_slow_fetch_blocks_no_other_handshake() {
    let mut listening = ListenerSettings::new("127.0.0.1:0".parse().unwrap());
    listening.lookups.per_source = 2;
    let world = World::with_listener(LocalPolicy::default(), listening).await;
    let address = world.listener.address();
    let _known = world.connect(token(1)).await.unwrap();
    let slow = [Versions::Tls13, Versions::Tls12]
        .map(|versions| tokio::spawn(async move { connect(address, versions, token(50)).await.map(drop) }));
    tokio::time::timeout(LONG, async {
        while world.fetched() < 3 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    for _ in 0..10 {
        world.connect(token(1)).await.unwrap();
    }
    assert!(matches!(world.connect(token(2)).await, Err(PskConnectError::KeyNotAccepted)));
    assert!(slow.iter().all(|handshake| !handshake.is_finished()));
    world.server.slow.notify_waiters();
    for handshake in slow {
        handshake.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn d3_http_is_plain_hyper_and_the_host_is_checked() {
    let world = World::new(LocalPolicy::default()).await;
    let World { listener, group, serving, application, .. } = world;
    let (address, running) = (listener.address(), group.running());
    group.running().spawn(obf_app::http::serve(listener, running, |request, client| async move {
        let text = format!("{} {} by {}", request.method(), request.uri(), client.token);
        http::Response::new(http_body_util::Full::new(bytes::Bytes::from(text)))
    }));
    for (host, expected) in [
        ("track.example", format!("GET /x by {}", token(1))),
        ("track.example:4433", format!("GET /x by {}", token(1))),
        ("other.example", "421".into()),
    ] {
        let mut device = connect(address, Versions::Both, token(1)).await.unwrap();
        let request = format!("GET /x HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        device.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while let Ok(1..) = device.read_buf(&mut answer).await {}
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.contains(&expected), "{host}: {answer}");
    }
    drop((serving, application));
    assert_eq!(group.stop(LONG).await, Drained::Finished);
}
