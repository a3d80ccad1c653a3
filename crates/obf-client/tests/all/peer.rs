//! The other end: an Authentication Server of one subscriber, and an application that echoes.

use http_body_util::Full;
use hyper::{Request, Response, body::Incoming};
use obf_aka::{
    Algorithm as Aka, Amf, CounterScheme, Milenage, Sqn, SqnLayout, SqnLimits, generate_vector, verify_auts,
};
use obf_client::{
    AssociationStore, AuthenticationServer, Client, SecureElement, SecurityAssociation, Settings, SoftwareSe,
};
use obf_net::{
    Clock as _, OffsetClock, Stopper,
    certificates::{self, CertificateFiles},
    http::{HttpLimits, serve},
    psk::{KeyQuery, KeySource, PskAcceptor, PskServer, PskStream},
};
use obf_rpb::{
    Authenticator, Draw, HttpRequest, KeyRing, Reply, Step,
    server::{
        AuthenticationData, CommitAnswer, Context, NewToken, Settings as ServerSettings, SpendAnswer, Vector,
        VectorAnswer, VectorQuery,
    },
};
use obf_token::{Algorithm, AppKey, SealingKey, Technology, TokenId};
use obf_types::{
    AppId, Domain, Epoch, GlobalIdentity, IdentityKind, KeySchema, NafId, Secret, UaId, UnixTime,
};
use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    path::Path,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

pub const IMSI: &str = "001010000000001";
pub const DOMAIN: &str = "as.operator.example";

/// Stops serving when dropped.
pub struct Server {
    pub address: SocketAddr,
    pub state: Arc<State>,
    pub clock: Arc<OffsetClock>,
    pub directory: TempDir,
    _stopper: Stopper,
}

/// What an answer goes through on its way, to spoil it.
pub type Meddle = fn(&mut Reply);

pub struct State {
    key: Aka,
    /// SQN_HE.
    pub sqn: Mutex<Sqn>,
    keys: KeyRing,
    pub offer_akav1_only: std::sync::atomic::AtomicBool,
    pub lifetime: Mutex<u64>,
    pub requests: AtomicUsize,
    pub resynchronisations: AtomicUsize,
    pub tokens: Mutex<HashMap<TokenId, (NewToken, u64)>>,
    spent: Mutex<HashSet<[u8; 16]>>,
    pub meddle: Mutex<Option<Meddle>>,
    pub strip_offer: std::sync::atomic::AtomicBool,
    clock: Arc<OffsetClock>,
}

/// Serves RPB with TLS.
pub async fn https() -> Server {
    start(true).await
}

/// Serves RPB without TLS.
pub async fn http() -> Server {
    start(false).await
}

async fn start(tls: bool) -> Server {
    let directory = tempfile::tempdir().unwrap();
    let tls = tls.then(|| {
        let files = development_pki(directory.path(), &[DOMAIN, "localhost"]);
        certificates::server(&files).unwrap()
    });
    std::fs::write(directory.path().join("se.json"), record("465b5ce8b199b49faa5f0a2ee238a6bc")).unwrap();
    let clock = Arc::new(OffsetClock::new());
    let state = Arc::new(State {
        key: home(),
        sqn: Mutex::default(),
        keys: KeyRing::new(SealingKey::new(1, &Secret::new([7; 32])), Vec::new()),
        offer_akav1_only: false.into(),
        lifetime: Mutex::new(3600),
        requests: AtomicUsize::new(0),
        resynchronisations: AtomicUsize::new(0),
        tokens: Mutex::default(),
        spent: Mutex::default(),
        meddle: Mutex::default(),
        strip_offer: false.into(),
        clock: Arc::clone(&clock),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stopper = Stopper::new();
    let shared = Arc::clone(&state);
    let handler = move |request, _| {
        let state = Arc::clone(&shared);
        async move { state.handle(&request) }
    };
    tokio::spawn(serve(listener, tls, HttpLimits::default(), stopper.running(), handler));
    Server { address, state, clock, directory, _stopper: stopper }
}

impl Server {
    pub fn url(&self, scheme: &str) -> AuthenticationServer {
        AuthenticationServer::parse(&format!("{scheme}://{DOMAIN}"))
            .unwrap()
            .at(self.address)
            .with_ca(self.directory.path().join("ca.pem"))
    }

    pub fn settings(&self, scheme: &str) -> Settings {
        let clock: Arc<dyn obf_net::Clock> = Arc::clone(&self.clock) as _;
        Settings { clock, ..Settings::new(self.url(scheme)) }
    }

    pub fn se(&self) -> Arc<SoftwareSe> {
        Arc::new(SoftwareSe::open(self.directory.path().join("se.json")).unwrap())
    }

    pub fn client(&self, settings: Settings) -> Arc<Client> {
        self.client_of(settings, self.se(), AssociationStore::in_memory())
    }

    /// With another secure element, and a store of associations of its own.
    pub fn client_of(
        &self,
        settings: Settings,
        se: Arc<dyn SecureElement>,
        store: AssociationStore,
    ) -> Arc<Client> {
        Arc::new(Client::new(settings, se, Arc::new(store)).unwrap())
    }

    pub fn meddle(&self, meddle: Meddle) {
        *self.state.meddle.lock().unwrap() = Some(meddle);
    }

    pub fn bootstraps(&self) -> usize {
        self.state.tokens.lock().unwrap().len()
    }
}

impl State {
    fn handle(&self, request: &Request<Incoming>) -> Response<Full<bytes::Bytes>> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let (method, target) = (request.method().to_string(), request.uri().to_string());
        assert!(request.headers().contains_key("host"));
        let mut message = HttpRequest::new(&method, &target, b"");
        for (name, value) in request.headers() {
            if name == "obf-key-schemas" && self.strip_offer.load(Ordering::SeqCst) {
                continue;
            }
            message.header(name.as_str(), value.as_bytes());
        }
        let mut reply = self.answer(&message);
        if let Some(meddle) = *self.meddle.lock().unwrap() {
            meddle(&mut reply);
        }
        let mut response = Response::builder().status(reply.status());
        for (name, value) in &reply.headers {
            response = response.header(*name, value.as_slice());
        }
        response.body(Full::from(reply.body)).unwrap()
    }

    fn answer(&self, request: &HttpRequest<'_>) -> Reply {
        let settings = ServerSettings::new(Domain::new(DOMAIN).unwrap());
        let server = Authenticator::new(settings);
        let context = Context { server: &server, keys: &self.keys, now: self.clock.now() };
        let mut draw = [0; Draw::LEN];
        getrandom::fill(&mut draw).unwrap();
        let mut step = context.begin(request, Draw::new(draw));
        loop {
            step = match step {
                Step::Reply(mut reply) => {
                    if self.offer_akav1_only.load(Ordering::SeqCst) {
                        reply.headers.retain(|(_, value)| !value.windows(5).any(|part| part == b"AKAv2"));
                    }
                    return reply;
                }
                Step::NeedVector(query, wait) => wait.resume(context, self.vector(&query)),
                Step::Spend(spend, wait) => {
                    let fresh = self.spent.lock().unwrap().insert(spend.rand);
                    wait.resume(context, if fresh { SpendAnswer::Fresh } else { SpendAnswer::Used })
                }
                Step::Commit(mut commit, wait) => {
                    if !self.spent.lock().unwrap().insert(commit.spend.rand) {
                        wait.resume(context, CommitAnswer::Used)
                    } else {
                        let mut tokens = self.tokens.lock().unwrap();
                        let counter = tokens.len() as u64 + 1;
                        commit.token.facts.expires = commit.token.facts.expires.min(self.not_after());
                        tokens.insert(commit.token.id.clone(), (commit.token, counter));
                        wait.resume(context, CommitAnswer::Committed { counter })
                    }
                }
            };
        }
    }

    fn not_after(&self) -> UnixTime {
        UnixTime(self.clock.now().0 + *self.lifetime.lock().unwrap())
    }

    /// The Resource Server's part.
    fn vector(&self, query: &VectorQuery) -> VectorAnswer {
        if &*query.username != IMSI {
            return VectorAnswer::Refused(obf_types::Refusal::UnknownIdentity);
        }
        let mut sqn_he = self.sqn.lock().unwrap();
        if let Some(resynchronise) = query.resynchronise {
            self.resynchronisations.fetch_add(1, Ordering::SeqCst);
            let sqn_ms = verify_auts(&self.key, &resynchronise.rand, &resynchronise.auts).unwrap();
            *sqn_he = SqnLayout::DEFAULT.resynchronise(SqnLimits::DEFAULT, *sqn_he, sqn_ms);
        }
        *sqn_he = CounterScheme::default().next(*sqn_he, 0).unwrap();
        let mut rand = [0; 16];
        getrandom::fill(&mut rand).unwrap();
        let vector = generate_vector(&self.key, &rand, *sqn_he, Amf::ZERO);
        VectorAnswer::Vector(Box::new(Vector {
            data: AuthenticationData::Aka { vector, minimum: Algorithm::AkaV1Md5 },
            technology: Technology::ThreeGpp,
            identity: GlobalIdentity::new(IdentityKind::Imsi, IMSI).unwrap(),
            epoch: Epoch(0),
            not_after: Some(self.not_after()),
            rs: "rs1".into(),
            carried: Vec::new(),
        }))
    }

    /// The key as the Authentication Server derives it, from nothing that the client has.
    pub fn app_key(&self, id: &TokenId, naf: &NafId) -> Option<AppKey> {
        let tokens = self.tokens.lock().unwrap();
        let (token, counter) = tokens.get(id)?;
        if token.facts.expires <= self.clock.now() {
            return None;
        }
        Some(match token.facts.schema {
            KeySchema::GbaMe => {
                obf_token::derive::gba_me(&token.ks, id.rand(), token.username.as_bytes(), naf)
            }
            KeySchema::Obf1 => {
                let context = obf_token::Obf1Context {
                    rand: id.rand(),
                    identity: &token.identity,
                    technology: token.facts.technology,
                    as_domain: &Domain::new(DOMAIN).unwrap(),
                    counter: *counter,
                    method: token.facts.method,
                };
                obf_token::derive::obf_1(&token.ks, &context, naf)
            }
        })
    }

    /// Both ends have the same key for every security protocol, and another for each.
    pub fn agree(&self, association: &SecurityAssociation) {
        let mut seen = HashSet::new();
        for ua in [UaId::TLS13_PSK, UaId::tls12(0xCCAC), UaId::tls12(0x00A8), UaId::HTTP_DIGEST] {
            let naf = NafId { app: app(), ua };
            let key = association.app_key(&naf).expect("the software element hands out CK and IK");
            assert_eq!(Some(&key), self.app_key(&association.id, &naf).as_ref(), "{ua}");
            assert!(seen.insert(*key.expose()));
        }
    }
}

/// An application that asks the Authentication Server for each key, refuses those that `refuse` names, and echoes.
pub struct App {
    pub address: SocketAddr,
    pub asked: AtomicUsize,
    pub refuse_all: std::sync::atomic::AtomicBool,
    state: Arc<State>,
}

pub fn app() -> AppId {
    AppId::new("track.example").unwrap()
}

/// What an application does with a connection.
type Serve = fn(PskStream<TcpStream>) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// Sends back what it gets.
pub async fn application(state: &Arc<State>) -> Arc<App> {
    start_application(state, |mut stream| {
        Box::pin(async move {
            let mut buffer = [0; 256];
            while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                stream.write_all(&buffer[..read]).await.unwrap();
            }
        })
    })
    .await
}

/// Answers every request with the host and the target that were asked for.
pub async fn http_application(state: &Arc<State>) -> Arc<App> {
    start_application(state, |stream| {
        Box::pin(async move {
            let service = hyper::service::service_fn(|request: Request<Incoming>| async move {
                let host = request.headers()["host"].to_str().unwrap().to_owned();
                Ok::<_, std::convert::Infallible>(Response::new(Full::<bytes::Bytes>::from(
                    host + &request.uri().to_string(),
                )))
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(hyper_util::rt::TokioIo::new(stream), service);
            let _ = connection.await;
        })
    })
    .await
}

async fn start_application(state: &Arc<State>, serve: Serve) -> Arc<App> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let application = Arc::new(App {
        address: listener.local_addr().unwrap(),
        asked: AtomicUsize::new(0),
        refuse_all: false.into(),
        state: Arc::clone(state),
    });
    let (acceptor, source) =
        (PskAcceptor::new(PskServer::new(vec![app()])).unwrap(), Arc::clone(&application));
    tokio::spawn(async move {
        while let Ok((stream, peer)) = listener.accept().await {
            let (acceptor, keys) = (acceptor.clone(), Arc::new(Keys(Arc::clone(&source))));
            tokio::spawn(async move {
                if let Ok(accepted) = acceptor.accept(stream, peer.ip(), &keys).await {
                    serve(accepted.stream).await;
                }
            });
        }
    });
    application
}

struct Keys(Arc<App>);

impl KeySource for Keys {
    type Grant = ();

    async fn key(&self, query: KeyQuery) -> Option<(AppKey, ())> {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        if self.0.refuse_all.load(Ordering::SeqCst) {
            return None;
        }
        let naf = NafId { app: query.app, ua: query.need.ua };
        Some((self.0.state.app_key(&query.need.token, &naf)?, ()))
    }
}

/// The subscriber's key.
pub fn home() -> Aka {
    let k = u128::from_str_radix("465b5ce8b199b49faa5f0a2ee238a6bc", 16).unwrap();
    let opc = u128::from_str_radix("cd63cb71954a9f4e48a5994e37a02baf", 16).unwrap();
    Milenage::new(&Secret::new(k.to_be_bytes()), &Secret::new(opc.to_be_bytes())).into()
}

pub fn record(k: &str) -> String {
    format!(
        r#"{{"imsi":"{IMSI}","algorithm":"milenage","k":"{k}","opc":"cd63cb71954a9f4e48a5994e37a02baf"}}"#
    )
}

/// `ca.pem` and a certificate for these names and 127.0.0.1.
pub fn development_pki(directory: &Path, names: &[&str]) -> CertificateFiles {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(rcgen::DnType::CommonName, "development CA");
    std::fs::write(directory.join("ca.pem"), ca.self_signed(&ca_key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().unwrap();
    let mut leaf =
        CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    leaf.subject_alt_names.push(SanType::IpAddress("127.0.0.1".parse().unwrap()));
    let files = CertificateFiles { chain: directory.join("as.pem"), key: directory.join("as.key") };
    std::fs::write(&files.chain, leaf.signed_by(&key, &issuer).unwrap().pem()).unwrap();
    std::fs::write(&files.key, key.serialize_pem()).unwrap();
    files
}
