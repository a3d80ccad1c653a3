//! A Resource Server on loopback with real sockets, and the Authentication Server's ends of its wires.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod full_disk;
pub mod load;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request as HttpRequest, Response};
use obf_aka::{AkaVector, Algorithm, Authentication, SqnArray, SqnLayout, SqnLimits, Success, authenticate};
use obf_net::{
    certificates::{self, CertificateFiles},
    http::{HttpClient, HttpClientError},
    radius::{AskError, RadiusUdpClient, UdpServerAddress},
};
use obf_radius::{AnswerError, AttributeWriter, Code, Reply, Vendor, exchange::RetransmitPolicy};
use obf_resource::{Config, Environment, Handle};
use obf_rpr::{AuthenticationData, Resynchronisation, RprClient, RprOperation, VectorAnswer, VectorRequest};
use obf_token::Mode;
use obf_types::{Domain, Epoch, NodeNumber, Secret};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

pub const VENDOR: Vendor = Vendor::DOCUMENTATION;
pub const SECRET: &str = "a secret of more than thirty-two octets";
pub const TOKEN: &str = "the administrator's token";
pub const K: &str = "465b5ce8b199b49faa5f0a2ee238a6bc";
pub const OPC: &str = "cd63cb71954a9f4e48a5994e37a02baf";
pub const DOMAIN: &str = "as.example";
pub const LONG: Duration = Duration::from_secs(60);

/// Asks a server twice, then the next one.
pub const POLICY: RetransmitPolicy = RetransmitPolicy {
    initial: Duration::from_millis(200),
    maximum: Duration::from_secs(1),
    tries: 2,
    ports: 4,
    heartbeat: Duration::from_secs(10),
};

/// A deployment's files.
pub struct Site {
    pub dir: tempfile::TempDir,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Site {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "tests' CA");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        std::fs::write(dir.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        let site = Self { dir, issuer: rcgen::Issuer::new(params, key) };
        std::fs::write(site.path("kek"), [0x4B; 32]).unwrap();
        std::fs::set_permissions(site.path("kek"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
        std::fs::write(site.path("secret"), format!("{SECRET}\n")).unwrap();
        site.certificate("rs", "rs.example");
        site
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn certificate(&self, file: &str, name: &str) -> CertificateFiles {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files = CertificateFiles {
            chain: self.path(&format!("{file}.pem")),
            key: self.path(&format!("{file}.key")),
        };
        std::fs::write(&files.chain, certificate.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }

    /// One Authentication Server node on loopback, with its notices going to `das`.
    pub fn config(&self, das: Option<SocketAddr>) -> Value {
        let hash: String = Sha256::digest(TOKEN).iter().map(|octet| format!("{octet:02x}")).collect();
        let listen = "127.0.0.1:0";
        json!({
            "database": self.path("rs.db"),
            "kek_file": self.path("kek"),
            "rpr": { "listen": listen },
            "rpr_tls": {
                "listen": listen, "cert_file": self.path("rs.pem"), "key_file": self.path("rs.key"),
                "client_ca_file": self.path("ca.pem"),
            },
            "admin": {
                "listen": listen, "cert_file": self.path("rs.pem"), "key_file": self.path("rs.key"),
                "token_sha256": hash,
            },
            "auth_servers": [{
                "domain": DOMAIN, "node": 1, "address": "127.0.0.1", "secret_file": self.path("secret"),
                "cert_name": "as.example", "das": das,
            }],
        })
    }

    pub async fn start(&self, config: Value) -> Rs {
        self.start_in(config, Environment::default()).await
    }

    pub async fn start_in(&self, config: Value, environment: Environment) -> Rs {
        let config: Config = serde_json::from_value(config).unwrap();
        Rs { handle: obf_resource::start(config, environment).await.unwrap(), ca: self.path("ca.pem") }
    }
}

/// A running Resource Server.
pub struct Rs {
    pub handle: Handle,
    ca: PathBuf,
}

impl Rs {
    pub fn endpoint(&self, point: &str) -> SocketAddr {
        self.handle.endpoints().into_iter().find(|(name, ..)| *name == point).unwrap().1
    }

    pub async fn admin(&self) -> Admin {
        self.admin_at("rs.example").await
    }

    pub async fn admin_at(&self, host: &str) -> Admin {
        Admin::connect(self.endpoint("admin"), host, &self.ca, TOKEN).await.unwrap()
    }

    pub async fn client(&self) -> RprUdpClient {
        RprUdpClient::open(&[self.endpoint("rpr")]).await
    }
}

/// An administrator.
pub struct Admin {
    http: HttpClient,
    host: String,
    pub token: String,
}

impl Admin {
    pub async fn connect(
        address: SocketAddr,
        host: &str,
        ca: &Path,
        token: &str,
    ) -> Result<Self, HttpClientError> {
        let tls = certificates::client(ca).unwrap();
        let http = HttpClient::connect(address, host, Some(tls), LONG).await?;
        Ok(Self { http, host: host.into(), token: token.into() })
    }

    pub async fn send(
        &mut self,
        method: &str,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<Response<Bytes>, HttpClientError> {
        let request = HttpRequest::builder()
            .method(method)
            .uri(path)
            .header("host", &self.host)
            .header("authorization", format!("Bearer {}", self.token))
            .body(Full::new(body.into()))
            .unwrap();
        self.http.send(request).await
    }

    pub async fn call(&mut self, method: &str, path: &str, body: impl Into<Bytes>) -> Response<Bytes> {
        self.send(method, path, body).await.unwrap()
    }

    /// Status and body as JSON.
    pub async fn json(&mut self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.call(method, path, body).await;
        (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or(Value::Null))
    }

    pub async fn done(&mut self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.json(method, path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    pub async fn import(&mut self, lines: String) -> Vec<Value> {
        let answer = self.call("POST", "/v1/devices:import", lines).await;
        assert_eq!(answer.status(), 200);
        let text = String::from_utf8(answer.body().to_vec()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Device, application and a grant between them.
    pub async fn provision(&mut self, imsi: &str, app: &str) {
        self.done("POST", "/v1/devices", record(imsi)).await;
        self.done("POST", "/v1/apps", json!({"app": app, "cert_names": [app], "ua": ["tls-psk"]})).await;
        self.done("POST", "/v1/grants", json!({"device": imsi, "app": app})).await;
    }
}

/// The epoch of a device as it is shown; a new one's is the time.
pub fn epoch(shown: &Value) -> Epoch {
    Epoch(shown["epoch"].as_u64().unwrap())
}

pub fn record(imsi: &str) -> Value {
    json!({"imsi": imsi, "algorithm": "milenage", "k": K, "opc": OPC})
}

/// The Authentication Server's end of RPR over UDP.
pub struct RprUdpClient {
    udp: RadiusUdpClient,
    pub from: RprClient,
}

impl RprUdpClient {
    pub async fn open(servers: &[SocketAddr]) -> Self {
        Self::with(servers, SECRET.as_bytes(), auth_server(1)).await
    }

    pub async fn with(servers: &[SocketAddr], secret: &[u8], from: RprClient) -> Self {
        let server = |address: &SocketAddr| UdpServerAddress { address: *address, secret: secret.into() };
        let udp = RadiusUdpClient::open(servers.iter().map(server).collect(), POLICY).await.unwrap();
        Self { udp, from }
    }

    pub async fn send(&self, operation: &RprOperation) -> Result<Reply, AskError> {
        self.udp.ask(Code::AccessRequest, &encoded(operation, &self.from)).await
    }

    pub async fn ask(&self, operation: &RprOperation) -> Reply {
        self.send(operation).await.unwrap()
    }

    pub async fn vector(&self, user: &str) -> Result<VectorAnswer, AnswerError> {
        VectorAnswer::decode(&self.ask(&vector_for(user)).await, VENDOR)
    }

    pub async fn resynchronise(
        &self,
        user: &str,
        rand: [u8; 16],
        auts: [u8; 14],
    ) -> Result<VectorAnswer, AnswerError> {
        let resynchronisation = Some(Resynchronisation { rand, auts });
        let operation = RprOperation::Vector(VectorRequest {
            user_name: user.into(),
            mode: Mode::Aka,
            resynchronisation,
        });
        VectorAnswer::decode(&self.ask(&operation).await, VENDOR)
    }
}

pub fn auth_server(node: u8) -> RprClient {
    RprClient { domain: Domain::new(DOMAIN).unwrap(), node: NodeNumber::new(node).unwrap() }
}

pub fn vector_for(user: &str) -> RprOperation {
    RprOperation::Vector(VectorRequest { user_name: user.into(), mode: Mode::Aka, resynchronisation: None })
}

pub fn encoded(operation: &RprOperation, client: &RprClient) -> Vec<u8> {
    let mut attributes = Vec::new();
    operation.encode(VENDOR, client, &mut AttributeWriter::for_request(&mut attributes)).unwrap();
    attributes
}

/// The other end of the AKA: a USIM with the key of [`record`].
pub struct Usim {
    pub algorithm: Algorithm,
    pub memory: SqnArray,
}

impl Usim {
    pub fn new() -> Self {
        let [k, opc] = [K, OPC].map(|hex| {
            let number = u128::from_str_radix(hex, 16).unwrap();
            Secret::new(number.to_be_bytes())
        });
        Self {
            algorithm: Algorithm::milenage(&k, &opc),
            memory: SqnArray::new(SqnLayout::DEFAULT, SqnLimits::DEFAULT),
        }
    }

    pub fn authenticate(&mut self, answer: &VectorAnswer) -> Authentication {
        authenticate(&self.algorithm, &mut self.memory, &aka(answer).rand, &aka(answer).autn)
    }

    /// The vector is fresh for this card, and its keys are the card's.
    pub fn accepts(&mut self, answer: &VectorAnswer) {
        let Authentication::Success(Success { res, ck, ik }) = self.authenticate(answer) else {
            panic!("the USIM refuses the vector");
        };
        assert_eq!((&res, &ck, &ik), (&aka(answer).xres, &aka(answer).ck, &aka(answer).ik));
    }

    /// SQN behind an AUTN: (SQN ⊕ AK), AK = f5(RAND).
    pub fn sqn(&self, answer: &VectorAnswer) -> u64 {
        let mut memory = SqnArray::restore(SqnLayout::DEFAULT, SqnLimits::DEFAULT, &[0; 32]).unwrap();
        let vector = aka(answer);
        assert!(matches!(
            authenticate(&self.algorithm, &mut memory, &vector.rand, &vector.autn),
            Authentication::Success(_)
        ));
        memory.sqn_ms().number()
    }
}

/// The vector of an answer.
pub fn aka(answer: &VectorAnswer) -> &AkaVector {
    let AuthenticationData::Aka(vector) = &answer.data;
    vector
}

/// All that waits for an addressee, in the order in which its two lanes are delivered.
pub async fn outbox(
    store: &obf_store::resource::ResourceDb,
    addressee: &str,
) -> Vec<obf_store::resource::Notice> {
    let mut all = store.notices_in(addressee, obf_store::resource::Lane::Single, 10_000).await.unwrap();
    all.extend(store.notices_in(addressee, obf_store::resource::Lane::Bulk, 10_000).await.unwrap());
    all
}
