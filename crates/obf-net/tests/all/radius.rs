//! RADIUS transports, both ends on real sockets (P3, P4; RFC 6613, 6614, 5176 in reverse, 5080).

use obf_net::{
    Stopper,
    certificates::{self, CertificateFiles},
    radius::{
        AskError, Connection, Handler, LinkEvents, NoRequests, Origin, RadiusTlsClient, RadiusUdpClient,
        RetransmitPolicy, TlsClientSettings, TlsServerAddress, TlsServerSettings, UdpPeer, UdpServerAddress,
        UdpServerSettings, reverse_requests, serve_tls, serve_udp,
    },
};
use obf_radius::{AttributeWriter, Code, Name, Reply, Request, dictionary};
use obf_types::SecretBytes;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::net::{TcpListener, UdpSocket};

const LONG: Duration = Duration::from_secs(30);
const USER: Name = dictionary::USER_NAME;

/// A certificate authority and certificates of it, as PEM files.
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

    fn issue(&self, name: &str, names: &[&str]) -> CertificateFiles {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params =
            rcgen::CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "common.example");
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let file = |suffix: &str| self.folder.path().join(format!("{name}{suffix}"));
        std::fs::write(file(".pem"), certificate.pem()).unwrap();
        std::fs::write(file(".key"), key.serialize_pem()).unwrap();
        CertificateFiles { chain: file(".pem"), key: file(".key") }
    }
}

fn attributes(user: &str) -> Vec<u8> {
    let mut out = Vec::new();
    AttributeWriter::for_request(&mut out).put(USER, user.as_bytes()).unwrap();
    out
}

/// Echoes User-Name; `slow` ones wait for the signal; `reverse` asks the asker back first.
#[derive(Default)]
struct Echo {
    handled: AtomicUsize,
    names: Mutex<Vec<String>>,
    go_on: tokio::sync::Notify,
    silent: AtomicBool,
}

impl Handler for Echo {
    async fn handle(&self, request: Request, origin: Origin) -> Option<Vec<u8>> {
        self.handled.fetch_add(1, Ordering::SeqCst);
        *self.names.lock().unwrap() = origin.names.to_vec();
        let user = request.packet().text(USER).unwrap_or_default().to_owned();
        if user == "slow" {
            self.go_on.notified().await;
        }
        if user == "reverse" {
            let asked =
                origin.connection.unwrap().ask(Code::DisconnectRequest, &attributes("back"), LONG).await;
            assert_eq!(asked.unwrap().code(), Code::DisconnectAck);
        }
        if self.silent.load(Ordering::SeqCst) {
            return None;
        }
        let mut out = Vec::new();
        let code = match request.code() {
            Code::AccessRequest => Code::AccessAccept,
            _ => Code::DisconnectAck,
        };
        let mut reply = request.reply(code, &mut out);
        reply.attributes().put(USER, user.as_bytes()).unwrap();
        reply.finish();
        Some(out)
    }
}

impl LinkEvents for Echo {}

fn user_of(reply: &Reply) -> String {
    reply.packet().text(USER).unwrap().to_owned()
}

struct TlsPair {
    server: Arc<Echo>,
    address: SocketAddr,
    stopper: Stopper,
}

async fn tls_server(pki: &Pki, radius_1_1: bool) -> TlsPair {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let config = certificates::mutual_server(&pki.issue("as", &["as.example"]), &pki.ca()).unwrap();
    let (server, stopper) = (Arc::new(Echo::default()), Stopper::new());
    let settings = TlsServerSettings { radius_1_1, ..TlsServerSettings::default() };
    let running = stopper.running();
    running.clone().spawn(serve_tls(listener, config, settings, running, Arc::clone(&server)));
    TlsPair { server, address, stopper }
}

fn tls_settings(files: &CertificateFiles, ca: &Path, servers: &[SocketAddr]) -> TlsClientSettings {
    let servers = servers.iter().map(|address| TlsServerAddress::new(address, "as.example"));
    TlsClientSettings::new(servers.collect(), certificates::mutual_client(files, ca).unwrap())
}

#[tokio::test]
async fn r17_tls_many_in_flight_in_both_directions_and_both_framings() {
    let pki = Pki::new();
    for radius_1_1 in [false, true] {
        let pair = tls_server(&pki, radius_1_1).await;
        let own = pki.issue("app", &["track.example", "*.wild.example", "Upper.example"]);
        let (group, reverse) = (Stopper::new(), Arc::new(Echo::default()));
        let settings = tls_settings(&own, &pki.ca(), &[pair.address]);
        let client = RadiusTlsClient::start(settings, &group.running(), Arc::clone(&reverse));
        // A slow request at the head of the line delays nobody behind it; more than fit a window are asked.
        let slow = tokio::spawn({
            let client = client.clone();
            async move { client.ask(Code::AccessRequest, &attributes("slow"), LONG).await }
        });
        let asked: Vec<_> = (0..600)
            .map(|n| {
                let client = client.clone();
                tokio::spawn(async move {
                    let reply =
                        client.ask(Code::AccessRequest, &attributes(&n.to_string()), LONG).await.unwrap();
                    assert_eq!(user_of(&reply), n.to_string());
                })
            })
            .collect();
        for one in asked {
            one.await.unwrap();
        }
        assert!(!slow.is_finished());
        pair.server.go_on.notify_waiters();
        assert_eq!(user_of(&slow.await.unwrap().unwrap()), "slow");
        client.ask(Code::AccessRequest, &attributes("reverse"), LONG).await.unwrap();
        assert_eq!(reverse.handled.load(Ordering::SeqCst), 1);
        assert_eq!(*pair.server.names.lock().unwrap(), ["track.example", "upper.example"]);
        assert_eq!(*reverse.names.lock().unwrap(), ["as.example"]);
        group.stop(LONG).await;
        pair.stopper.stop(LONG).await;
    }
}

/// Requests in reverse wait in the channel until somebody takes them, each with whose it is.
#[tokio::test]
async fn r17_tls_requests_in_reverse_wait_until_they_are_taken() {
    let pki = Pki::new();
    let servers = [tls_server(&pki, true).await, tls_server(&pki, true).await];
    let own = pki.issue("app", &["track.example"]);
    let (group, (forwarder, mut requests)) = (Stopper::new(), reverse_requests());
    let asked = [0, 1].map(|number: usize| {
        let settings = tls_settings(&own, &pki.ca(), &[servers[number].address]);
        let client = RadiusTlsClient::start(settings, &group.running(), Arc::new(forwarder.of(number)));
        tokio::spawn(async move { client.ask(Code::AccessRequest, &attributes("reverse"), LONG).await })
    });
    let mut seen = [false; 2];
    for _ in 0..2 {
        let request = tokio::time::timeout(LONG, requests.recv()).await.unwrap().unwrap();
        seen[request.from] = true;
        let mut reply = Vec::new();
        request.request.reply(Code::DisconnectAck, &mut reply).finish();
        assert!(asked.iter().any(|asked| !asked.is_finished()));
        request.answer(reply);
    }
    assert_eq!(seen, [true; 2]);
    for asked in asked {
        assert_eq!(user_of(&asked.await.unwrap().unwrap()), "reverse");
    }
    group.stop(LONG).await;
}

/// WIRES "RADIUS on RPR and RPO": radius/1.0 carries 256 requests in flight a connection; then another connection.
#[tokio::test]
async fn r17_tls_more_in_flight_than_one_connection_of_radius_1_0_carries() {
    let pki = Pki::new();
    let pair = tls_server(&pki, false).await;
    let own = pki.issue("app", &["track.example"]);
    let group = Stopper::new();
    let settings = tls_settings(&own, &pki.ca(), &[pair.address]);
    let client = RadiusTlsClient::start(settings, &group.running(), Arc::new(NoRequests));
    client.connected().await.unwrap();
    let asked: Vec<_> = (0..700)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.ask(Code::AccessRequest, &attributes("slow"), LONG).await })
        })
        .collect();
    tokio::time::timeout(LONG, async {
        while pair.server.handled.load(Ordering::SeqCst) < 700 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    pair.server.go_on.notify_waiters();
    for one in asked {
        assert_eq!(user_of(&one.await.unwrap().unwrap()), "slow");
    }
    group.stop(LONG).await;
    pair.stopper.stop(LONG).await;
}

#[tokio::test]
async fn r17_tls_wants_certificates_of_the_ca_on_both_ends() {
    let (pki, other) = (Pki::new(), Pki::new());
    let pair = tls_server(&pki, true).await;
    for (files, ca) in [
        (other.issue("app", &["track.example"]), pki.ca()),
        (pki.issue("app", &["track.example"]), other.ca()),
    ] {
        let group = Stopper::new();
        let settings = tls_settings(&files, &ca, &[pair.address]);
        let client = RadiusTlsClient::start(settings, &group.running(), Arc::new(NoRequests));
        let asked = client.ask(Code::AccessRequest, &attributes("x"), Duration::from_millis(500)).await;
        assert!(matches!(asked, Err(AskError::Unreachable | AskError::NoAnswer)), "{asked:?}");
    }
    assert_eq!(pair.server.handled.load(Ordering::SeqCst), 0);
    pair.stopper.stop(LONG).await;
}

/// Counts how often the link came and went; nothing is asked before `connected` has finished.
#[derive(Default)]
struct Link {
    came: AtomicUsize,
    went: AtomicUsize,
}

impl Handler for Link {
    async fn handle(&self, _: Request, _: Origin) -> Option<Vec<u8>> {
        None
    }
}

impl LinkEvents for Link {
    async fn connected(&self, connection: &Connection) -> Result<(), AskError> {
        connection.ask(Code::AccessRequest, &attributes("first"), LONG).await?;
        self.came.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn disconnected(&self, _: &obf_net::radius::ConnectionEnded) {
        self.went.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn r17_tls_fails_over_and_comes_back() {
    let pki = Pki::new();
    let (first, second) = (tls_server(&pki, true).await, tls_server(&pki, true).await);
    let (group, link) = (Stopper::new(), Arc::new(Link::default()));
    let settings =
        tls_settings(&pki.issue("app", &["track.example"]), &pki.ca(), &[first.address, second.address]);
    let client = RadiusTlsClient::start(settings, &group.running(), Arc::clone(&link));
    client.ask(Code::AccessRequest, &attributes("1"), LONG).await.unwrap();
    assert_eq!(first.server.handled.load(Ordering::SeqCst), 2);
    first.stopper.stop(LONG).await;
    client.ask(Code::AccessRequest, &attributes("2"), LONG).await.unwrap();
    assert_eq!(second.server.handled.load(Ordering::SeqCst), 2);
    assert_eq!((link.came.load(Ordering::SeqCst), link.went.load(Ordering::SeqCst)), (2, 1));
    second.stopper.stop(LONG).await;
    group.stop(LONG).await;
}

/// A server that accepts and then says nothing is found out by the watchdog.
#[tokio::test]
async fn r17_tls_gives_a_dead_server_up() {
    let pki = Pki::new();
    let pair = tls_server(&pki, true).await;
    // In front of it something that swallows octets once told so.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (front, behind) = (listener.local_addr().unwrap(), pair.address);
    let swallow = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&swallow);
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let server = tokio::net::TcpStream::connect(behind).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            let told = Arc::clone(&told);
            tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
            tokio::spawn(async move {
                let mut octets = [0; 4096];
                while let Ok(n @ 1..) = from_server.read(&mut octets).await {
                    if !told.load(Ordering::SeqCst) {
                        to_client.write_all(&octets[..n]).await.unwrap();
                    }
                }
            });
        }
    });
    let (group, link) = (Stopper::new(), Arc::new(Link::default()));
    let mut settings = tls_settings(&pki.issue("app", &["track.example"]), &pki.ca(), &[front]);
    settings.heartbeat = Duration::from_millis(300);
    let client = RadiusTlsClient::start(settings, &group.running(), Arc::clone(&link));
    client.ask(Code::AccessRequest, &attributes("1"), LONG).await.unwrap();
    let connection = client.connection().unwrap();
    swallow.store(true, Ordering::SeqCst);
    tokio::time::timeout(LONG, connection.ended()).await.unwrap();
    swallow.store(false, Ordering::SeqCst);
    client.ask(Code::AccessRequest, &attributes("2"), LONG).await.unwrap();
    group.stop(LONG).await;
    pair.stopper.stop(LONG).await;
}

async fn udp_server(secret: &[u8]) -> (Arc<Echo>, SocketAddr, Stopper) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let peer = UdpPeer {
        source: "127.0.0.1".parse().unwrap(),
        secret: SecretBytes::from(secret),
        names: vec!["as.example".into()],
    };
    let (server, stopper) = (Arc::new(Echo::default()), Stopper::new());
    let running = stopper.running();
    let settings = UdpServerSettings::default();
    running.clone().spawn(serve_udp(socket, vec![peer], settings, running, Arc::clone(&server)));
    (server, address, stopper)
}

fn quick() -> RetransmitPolicy {
    RetransmitPolicy { initial: Duration::from_millis(50), ..RetransmitPolicy::default() }
}

#[tokio::test]
async fn p4_udp_many_in_flight_over_several_ports() {
    let (server, address, stopper) = udp_server(b"secret").await;
    let servers = vec![UdpServerAddress { address, secret: SecretBytes::from(b"secret".as_slice()) }];
    let client = RadiusUdpClient::open(servers, RetransmitPolicy::default()).await.unwrap();
    let asked: Vec<_> = (0..800)
        .map(|n| {
            let client = client.clone();
            tokio::spawn(async move {
                let reply = client.ask(Code::AccessRequest, &attributes(&n.to_string())).await.unwrap();
                assert_eq!(user_of(&reply), n.to_string());
            })
        })
        .collect();
    for one in asked {
        one.await.unwrap();
    }
    assert_eq!(*server.names.lock().unwrap(), ["as.example"]);
    assert!(client.silence().unwrap() < LONG);
    stopper.stop(LONG).await;
}

/// RFC 5080 2.2.2: a repetition is answered, and handled once.
#[tokio::test]
async fn p4_udp_a_repeated_request_is_handled_once() {
    let (server, address, stopper) = udp_server(b"secret").await;
    let servers = vec![UdpServerAddress { address, secret: SecretBytes::from(b"secret".as_slice()) }];
    let client = RadiusUdpClient::open(servers, quick()).await.unwrap();
    let waiting = tokio::spawn(async move {
        let reply = client.ask(Code::AccessRequest, &attributes("slow")).await;
        (reply, client)
    });
    tokio::time::timeout(LONG, async {
        while server.handled.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    // Long enough for repetitions to have come; how many does not matter.
    tokio::time::sleep(Duration::from_millis(80)).await;
    server.go_on.notify_waiters();
    let (reply, _client) = waiting.await.unwrap();
    assert_eq!(user_of(&reply.unwrap()), "slow");
    assert_eq!(server.handled.load(Ordering::SeqCst), 1);
    stopper.stop(LONG).await;
}

#[tokio::test]
async fn p4_udp_fails_over_and_a_wrong_secret_gets_no_answer() {
    let (dead, first, stop_first) = udp_server(b"secret").await;
    let (_, second, stop_second) = udp_server(b"secret").await;
    dead.silent.store(true, Ordering::SeqCst);
    let secret = || SecretBytes::from(b"secret".as_slice());
    let servers = [first, second].map(|address| UdpServerAddress { address, secret: secret() });
    let client = RadiusUdpClient::open(servers.into(), quick()).await.unwrap();
    assert_eq!(user_of(&client.ask(Code::AccessRequest, &attributes("1")).await.unwrap()), "1");
    let wrong = UdpServerAddress { address: second, secret: SecretBytes::from(b"other".as_slice()) };
    let client = RadiusUdpClient::open(vec![wrong], quick()).await.unwrap();
    let asked = client.ask(Code::AccessRequest, &attributes("1")).await;
    assert!(matches!(asked, Err(AskError::NoAnswer)));
    stop_first.stop(LONG).await;
    stop_second.stop(LONG).await;
}
