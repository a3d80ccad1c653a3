//! An Authentication Server made of obf-rpo's server half, with a CA of its own; it can be stopped and started again at
//! the same address, and told to misbehave.

use obf_app::AsSettings;
use obf_net::{
    Clock, OffsetClock, Stopper,
    certificates::{self, CertificateFiles},
    psk::{PskConnectError, PskConnector, PskStream, Versions},
    radius::{
        Connection, Handler, Origin, TlsClientSettings, TlsServerAddress, TlsServerSettings, serve_tls,
    },
};
use obf_radius::{AttributeWriter, Code, ObfAttribute, Request, Vendor};
use obf_rpo::{KeyGrant, KeyRequest, RpoOperation, RpoRequest, TokenNotice, grant, refuse};
use obf_token::{AppKey, TokenId};
use obf_types::{AppId, Domain, Epoch, GlobalIdentity, IdentityKind, KeySchema, Refusal, UaId, UnixTime};
use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    sync::Notify,
};

/// Generous: the machine may be busy. Nothing waits for it when things go well.
pub const LONG: Duration = Duration::from_secs(30);
pub const VENDOR: Vendor = Vendor::DOCUMENTATION;

pub fn app(name: &str) -> AppId {
    AppId::new(name).unwrap()
}

pub fn track() -> AppId {
    app("track.example")
}

/// Tokens 1 to 99 are live until revoked; 50 is slow to be found.
pub fn token_of(n: u8, domain: &str) -> TokenId {
    TokenId::new([n; 16], Domain::new(&format!("rs1.{domain}")).unwrap())
}

/// Different for each token of each operator and each security protocol.
pub fn key(token: &TokenId, ua: UaId) -> AppKey {
    let mut octets = [token.rand()[0]; 32];
    octets[..5].copy_from_slice(&ua.0);
    octets[31] = token.domain().as_str().bytes().fold(0, u8::wrapping_add);
    AppKey::new(octets)
}

/// Its tokens live 1000 s from each fetch.
#[derive(Debug)]
pub struct AuthenticationServer {
    clock: Arc<OffsetClock>,
    domain: String,
    revoked: Mutex<HashSet<TokenId>>,
    /// Notices not yet acknowledged.
    pub stored: Mutex<Vec<(AppId, TokenId)>>,
    resumed_on: Mutex<HashMap<AppId, Connection>>,
    /// Applications that are not registered here.
    pub strangers: Mutex<HashSet<AppId>>,
    pub connections: AtomicUsize,
    pub fetched: AtomicUsize,
    pub resumed: AtomicUsize,
    pub slow: Notify,
    /// Answers nothing.
    pub mute: AtomicBool,
    /// Names another operator's token in its answers.
    pub names_others: AtomicBool,
}

impl Handler for AuthenticationServer {
    fn accepts(&self, _: &Connection) -> bool {
        self.connections.fetch_add(1, Ordering::SeqCst);
        true
    }

    async fn handle(&self, request: Request, origin: Origin) -> Option<Vec<u8>> {
        if self.mute.load(Ordering::SeqCst) {
            return None;
        }
        let mut out = Vec::new();
        match RpoRequest::decode(&request, VENDOR).unwrap() {
            RpoRequest::Heartbeat => grant::done(&request, &mut out),
            RpoRequest::Operation { operation: RpoOperation::Resume(resume), .. } => {
                assert!(origin.names.contains(&resume.app.to_string()));
                if self.strangers.lock().unwrap().contains(&resume.app) {
                    refuse(&request, VENDOR, Refusal::ApplicationNotRegistered, &mut out);
                    return Some(out);
                }
                let connection = origin.connection.unwrap();
                let stored = std::mem::take(&mut *self.stored.lock().unwrap());
                let (own, others) = stored.into_iter().partition(|(app, _)| *app == resume.app);
                self.stored.lock().unwrap().extend::<Vec<_>>(others);
                for (app, token) in Vec::from_iter::<Vec<(AppId, TokenId)>>(own) {
                    assert_eq!(tell(&connection, &app, token, self.clock.now()).await, Code::DisconnectAck);
                }
                self.resumed_on.lock().unwrap().insert(resume.app, connection);
                self.resumed.fetch_add(1, Ordering::SeqCst);
                grant::done(&request, &mut out);
            }
            RpoRequest::Operation { operation: RpoOperation::Key(asked), .. } => {
                self.fetched.fetch_add(1, Ordering::SeqCst);
                assert!(asked.token.rs(&Domain::new(&self.domain).unwrap()).is_some(), "{}", asked.token);
                match self.grant(asked).await {
                    Ok(_) if self.names_others.load(Ordering::SeqCst) => {
                        self.grant_of_another(&request, &mut out);
                    }
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

    /// A good answer but for one attribute.
    fn grant_of_another(&self, request: &Request, out: &mut Vec<u8>) {
        let other = token_of(1, "as.one.example");
        let name = |attribute| VENDOR.attribute(attribute);
        let mut reply = request.reply(Code::AccessAccept, out);
        reply.put_secret(obf_radius::dictionary::MS_MPPE_RECV_KEY, &[1; 32], [1, 2]).unwrap();
        let to = reply.attributes();
        to.put_display(name(ObfAttribute::TokenId), &other).unwrap();
        to.put_integer64(name(ObfAttribute::KeyExpiry), self.clock.now().0 + 1000).unwrap();
        to.put_integer64(name(ObfAttribute::BootstrapTime), self.clock.now().0).unwrap();
        to.put_integer(name(ObfAttribute::Schema), KeySchema::Obf1 as u32).unwrap();
        reply.finish();
    }

    /// The connection that an application has resumed on.
    pub fn connection_of(&self, app: &AppId) -> Option<Connection> {
        self.resumed_on.lock().unwrap().get(app).cloned().filter(|connection| !connection.is_ended())
    }

    /// Tells an application that a token is over, or stores the notice.
    pub async fn revoke(&self, app: &AppId, token: TokenId) {
        self.revoked.lock().unwrap().insert(token.clone());
        match self.connection_of(app) {
            Some(connection) => {
                assert_eq!(tell(&connection, app, token, self.clock.now()).await, Code::DisconnectAck);
            }
            None => self.stored.lock().unwrap().push((app.clone(), token)),
        }
    }
}

/// Sends a notice; how it was answered.
pub async fn tell(connection: &Connection, app: &AppId, token: TokenId, now: UnixTime) -> Code {
    let notice = TokenNotice { token, app: app.clone(), device: None, epoch: Epoch(1) };
    let mut attributes = Vec::new();
    notice.encode(VENDOR, now, &mut AttributeWriter::for_request(&mut attributes)).unwrap();
    connection.ask(TokenNotice::CODE, &attributes, LONG).await.unwrap().code()
}

pub struct Pki {
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

    fn issue(&self, names: &[&str]) -> CertificateFiles {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate =
            rcgen::CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>());
        let file = |suffix: &str| self.folder.path().join(format!("{}{suffix}", names[0]));
        std::fs::write(file(".pem"), certificate.unwrap().signed_by(&key, &self.issuer).unwrap().pem())
            .unwrap();
        std::fs::write(file(".key"), key.serialize_pem()).unwrap();
        CertificateFiles { chain: file(".pem"), key: file(".key") }
    }
}

/// An operator: a CA, an Authentication Server, and its address.
pub struct Operator {
    pub server: Arc<AuthenticationServer>,
    domain: String,
    pki: Pki,
    files: CertificateFiles,
    nobody: SocketAddr,
    address: SocketAddr,
    serving: Option<Stopper>,
}

impl Operator {
    /// It does not serve yet.
    pub async fn new(domain: &str, clock: &Arc<OffsetClock>) -> Self {
        let pki = Pki::new();
        let free = async || TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let server = AuthenticationServer {
            clock: Arc::clone(clock),
            domain: domain.to_owned(),
            revoked: Mutex::default(),
            stored: Mutex::default(),
            resumed_on: Mutex::default(),
            strangers: Mutex::default(),
            connections: AtomicUsize::default(),
            fetched: AtomicUsize::default(),
            resumed: AtomicUsize::default(),
            slow: Notify::new(),
            mute: AtomicBool::default(),
            names_others: AtomicBool::default(),
        };
        Self {
            server: Arc::new(server),
            domain: domain.to_owned(),
            files: pki.issue(&[domain]),
            pki,
            // At the first address nobody listens: failover is in every test.
            nobody: free().await,
            address: free().await,
            serving: None,
        }
    }

    /// What these applications are told of it: one certificate for all of them.
    pub fn settings(&self, apps: &[&str]) -> AsSettings {
        let tls = certificates::mutual_client(&self.pki.issue(apps), &self.pki.ca()).unwrap();
        let servers = [self.nobody, self.address].map(|address| TlsServerAddress::new(address, &self.domain));
        let mut rpo = TlsClientSettings::new(servers.into(), tls);
        rpo.backoff = Duration::from_millis(100);
        AsSettings::new(Domain::new(&self.domain).unwrap(), rpo)
    }

    pub async fn start(&mut self) {
        let config = certificates::mutual_server(&self.files, &self.pki.ca()).unwrap();
        let socket = obf_net::listen(self.address).await.unwrap();
        let stopper = Stopper::new();
        let (running, server) = (stopper.running(), Arc::clone(&self.server));
        stopper.running().spawn(serve_tls(socket, config, TlsServerSettings::default(), running, server));
        self.serving = Some(stopper);
    }

    pub async fn stop(&mut self) {
        self.serving.take().unwrap().stop(LONG).await;
        self.server.resumed_on.lock().unwrap().clear();
    }

    pub fn token(&self, n: u8) -> TokenId {
        token_of(n, &self.domain)
    }

    pub fn fetched(&self) -> usize {
        self.server.fetched.load(Ordering::SeqCst)
    }
}

/// A device with the right key for an application.
pub async fn connect(
    address: SocketAddr,
    app: &AppId,
    versions: Versions,
    token: TokenId,
) -> Result<PskStream<TcpStream>, PskConnectError> {
    let stream = TcpStream::connect(address).await.unwrap();
    let own = token.clone();
    let connector = PskConnector::new(versions, &[]).unwrap();
    Ok(connector.connect(stream, app, &token, move |ua| Some(key(&own, ua))).await?.stream)
}

/// The peer sees its connection closed.
pub async fn closed(stream: &mut PskStream<TcpStream>) {
    let mut octets = [0; 16];
    while let Ok(1..) = tokio::time::timeout(LONG, stream.read(&mut octets)).await.unwrap() {}
}

/// Waits for something that comes about by itself.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, waiting).await.unwrap_or_else(|_| panic!("{what}"));
}
