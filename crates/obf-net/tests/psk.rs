//! TLS-PSK on RPA: both ends of ours, and each end against OpenSSL's and GnuTLS' own programs (R13, WIRES "RPA").
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use obf_net::psk::{
    Accepted, KeyQuery, KeySource, PskAcceptError, PskAcceptor, PskConnectError, PskConnector, PskServer,
    Versions,
};
use obf_rpa::Suite;
use obf_token::{AppKey, TokenId};
use obf_types::{AppId, Domain, UaId};
use std::{
    net::SocketAddr,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    sync::{Notify, mpsc},
};

const SECOND: Duration = Duration::from_secs(1);
/// Generous: the machine may be busy. Nothing below waits for it when things go well.
const LONG: Duration = Duration::from_secs(30);

fn app() -> AppId {
    AppId::new("track.example").unwrap()
}

fn token(n: u8) -> TokenId {
    TokenId::new([n; 16], Domain::new("rs1.as.example").unwrap())
}

/// A key for each (token, Ua id), as a key derivation gives.
fn key(token: &TokenId, ua: UaId) -> AppKey {
    let mut octets = [token.rand()[0]; 32];
    octets[..5].copy_from_slice(&ua.0);
    AppKey::new(octets)
}

fn hex(key: &AppKey) -> String {
    key.expose().iter().map(|octet| format!("{octet:02x}")).collect()
}

/// Knows the tokens 1 to 9; token 5 only when told so.
#[derive(Default)]
struct Keys {
    asked: AtomicUsize,
    five: Notify,
}

impl KeySource for Keys {
    type Grant = UaId;

    async fn key(&self, query: KeyQuery) -> Option<(AppKey, UaId)> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        assert_eq!(query.app, app());
        match query.need.token.rand()[0] {
            5 => self.five.notified().await,
            1..=9 => {}
            _ => return None,
        }
        Some((key(&query.need.token, query.need.ua), query.need.ua))
    }
}

struct Server {
    address: SocketAddr,
    keys: Arc<Keys>,
    outcomes: mpsc::UnboundedReceiver<Result<UaId, PskAcceptError>>,
}

/// An echo server; says how each handshake ended.
async fn serve(settings: PskServer) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let keys = Arc::new(Keys::default());
    let (sender, outcomes) = mpsc::unbounded_channel();
    let acceptor = PskAcceptor::new(settings).unwrap();
    let source = Arc::clone(&keys);
    tokio::spawn(async move {
        loop {
            let (stream, peer) = listener.accept().await.unwrap();
            let (acceptor, source, sender) = (acceptor.clone(), Arc::clone(&source), sender.clone());
            tokio::spawn(async move {
                match acceptor.accept(stream, peer.ip(), &source).await {
                    Ok(Accepted { stream, grant, ua, .. }) => {
                        assert_eq!(grant, ua);
                        let _ = sender.send(Ok(ua));
                        let (mut reader, mut writer) = tokio::io::split(stream);
                        let _ = tokio::io::copy(&mut reader, &mut writer).await;
                        let _ = writer.shutdown().await;
                    }
                    Err(error) => {
                        let _ = sender.send(Err(error));
                    }
                }
            });
        }
    });
    Server { address, keys, outcomes }
}

impl Server {
    async fn outcome(&mut self) -> Result<UaId, PskAcceptError> {
        tokio::time::timeout(LONG, self.outcomes.recv()).await.unwrap().unwrap()
    }
}

async fn connect(
    address: SocketAddr,
    versions: Versions,
    token: TokenId,
    wrong: bool,
) -> Result<UaId, PskConnectError> {
    let stream = TcpStream::connect(address).await.unwrap();
    let own = token.clone();
    let derive = move |ua| Some(if wrong { AppKey::new([0xEE; 32]) } else { key(&own, ua) });
    let connector = PskConnector::new(versions, &[]).unwrap();
    let mut connected = connector.connect(stream, &app(), &token, derive).await?;
    connected.stream.write_all(b"to and fro").await.unwrap();
    let mut back = [0; 10];
    connected.stream.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"to and fro");
    Ok(connected.ua)
}

fn program(name: &str, package: &str) -> Command {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(name).is_file()));
    assert!(found, "{name} is missing: apt-get install {package}");
    let mut command = Command::new(name);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Runs a client program that sends a line; its output until the line comes back, or all of it.
async fn line_through(mut client: Child) -> String {
    let mut input = client.stdin.take().unwrap();
    let mut output = BufReader::new(client.stdout.take().unwrap()).lines();
    input.write_all(b"one line there and back\n").await.unwrap();
    let mut seen = String::new();
    let reading = async {
        while let Ok(Some(line)) = output.next_line().await {
            seen.push_str(&line);
            seen.push('\n');
            if line.ends_with("one line there and back") {
                break;
            }
        }
    };
    tokio::time::timeout(LONG, reading).await.unwrap();
    drop(input);
    let _ = client.start_kill();
    let rest = client.wait_with_output().await.unwrap();
    seen + &String::from_utf8_lossy(&rest.stderr)
}

#[tokio::test]
async fn r13_ours_with_ours_in_both_versions_each_with_its_own_key() {
    let mut server = serve(PskServer::new(vec![app()])).await;
    for (versions, expected) in [
        (Versions::Both, UaId::TLS13_PSK),
        (Versions::Tls13, UaId::TLS13_PSK),
        (Versions::Tls12, UaId::tls12(0xCCAC)),
    ] {
        assert_eq!(connect(server.address, versions, token(1), false).await.unwrap(), expected);
        assert_eq!(server.outcome().await.unwrap(), expected);
    }
}

/// WIRES "RPA": unknown, expired and wrong keys look alike to the peer, in either version: `decrypt_error`.
#[tokio::test]
async fn r13_unknown_and_wrong_keys_look_alike() {
    let mut server = serve(PskServer::new(vec![app()])).await;
    for (versions, flag) in [(Versions::Tls13, "-tls1_3"), (Versions::Tls12, "-tls1_2")] {
        for (token, wrong) in [(token(1), true), (token(77), false)] {
            let refused = connect(server.address, versions, token, wrong).await.unwrap_err();
            assert!(matches!(refused, PskConnectError::KeyNotAccepted), "{refused:?}");
            assert!(matches!(server.outcome().await, Err(PskAcceptError::KeyNotAccepted)));
        }
        for identity in [token(1).psk_identity(), token(77).psk_identity(), "no token at all".into()] {
            let client = program("openssl", "openssl")
                .args(["s_client", "-connect", &server.address.to_string(), flag, "-msg"])
                .args(["-servername", "track.example", "-psk_identity", &identity, "-psk", &"ab".repeat(32)])
                .args(["-cipher", "PSK-AES128-GCM-SHA256"])
                .spawn()
                .unwrap();
            let said = line_through(client).await;
            assert!(said.contains("Alert [length 0002], fatal decrypt_error"), "{identity} {flag}: {said}");
            assert!(matches!(server.outcome().await, Err(PskAcceptError::KeyNotAccepted)));
        }
    }
}

#[tokio::test]
async fn r13_openssl_s_client_in_1_3_and_every_suite_of_1_2() {
    let mut server = serve(PskServer::new(vec![app()])).await;
    let mut cases = vec![("-tls1_3", "-ciphersuites", Suite::TLS13[0].openssl, UaId::TLS13_PSK)];
    cases.extend(Suite::TLS12.map(|suite| ("-tls1_2", "-cipher", suite.openssl, UaId::tls12(suite.number))));
    for (version, list, suite, ua) in cases {
        let client = program("openssl", "openssl")
            .args(["s_client", "-connect", &server.address.to_string(), version, list, suite])
            .args(["-servername", "track.example", "-psk_identity", &token(2).psk_identity()])
            .args(["-psk", &hex(&key(&token(2), ua))])
            .spawn()
            .unwrap();
        let said = line_through(client).await;
        assert!(said.contains("one line there and back"), "{suite}: {said}");
        assert_eq!(server.outcome().await.unwrap(), ua, "{suite}");
    }
}

/// A key of one version or suite opens no other (WIRES "Ua ids").
#[tokio::test]
async fn r13_a_key_for_one_protocol_opens_no_other() {
    let mut server = serve(PskServer::new(vec![app()])).await;
    let (tls13, tls12) = (UaId::TLS13_PSK, UaId::tls12(0x00A8));
    for (version, suite, of) in [
        ("-tls1_3", "PSK-AES128-GCM-SHA256", tls12),
        ("-tls1_2", "PSK-AES128-GCM-SHA256", tls13),
        ("-tls1_2", "PSK-AES256-GCM-SHA384", tls12),
    ] {
        let client = program("openssl", "openssl")
            .args(["s_client", "-connect", &server.address.to_string(), version, "-cipher", suite])
            .args(["-psk_identity", &token(2).psk_identity(), "-psk", &hex(&key(&token(2), of))])
            .spawn()
            .unwrap();
        let said = line_through(client).await;
        assert!(!said.contains("one line there and back"), "{said}");
        assert!(matches!(server.outcome().await, Err(PskAcceptError::KeyNotAccepted)));
    }
}

/// On TLS 1.2 with plain PSK: gnutls-cli 3.7.9 crashes at its end of an established (EC)DHE-PSK handshake.
#[tokio::test]
async fn r13_gnutls_cli_in_1_3_and_1_2() {
    let mut server = serve(PskServer::new(vec![app()])).await;
    let cases = [
        ("NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+PSK:+DHE-PSK:+ECDHE-PSK", UaId::TLS13_PSK),
        ("NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+PSK:-CIPHER-ALL:+AES-128-GCM", UaId::tls12(0x00A8)),
        ("NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+PSK:-CIPHER-ALL:+CHACHA20-POLY1305", UaId::tls12(0xCCAB)),
    ];
    for (priority, ua) in cases {
        let client = program("gnutls-cli", "gnutls-bin")
            .args(["--port", &server.address.port().to_string(), "127.0.0.1", "--priority", priority])
            .args(["--sni-hostname", "track.example", "--pskusername", &token(3).psk_identity()])
            .args(["--pskkey", &hex(&key(&token(3), ua))])
            .spawn()
            .unwrap();
        let said = line_through(client).await;
        assert_eq!(server.outcome().await.unwrap(), ua, "{priority}: {said}");
        assert!(said.contains("one line there and back"), "{priority}: {said}");
    }
}

/// Waits for the line by which a server program says that it listens.
async fn listening(output: impl AsyncRead + Unpin + Send + 'static, said: &str) {
    let mut output = BufReader::new(output);
    let waiting = async {
        let mut line = String::new();
        while output.read_line(&mut line).await.unwrap() > 0 {
            if line.contains(said) {
                return;
            }
        }
        panic!("the server ended: {line}");
    };
    tokio::time::timeout(LONG, waiting).await.unwrap();
    // Keep reading, so that it never blocks on its output.
    tokio::spawn(async move { while output.read_line(&mut String::new()).await.is_ok_and(|n| n > 0) {} });
}

async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

/// Connects ours to a server that answers with its own words, not with an echo.
async fn reaches(port: u16, versions: Versions, wrong: bool) -> Result<UaId, PskConnectError> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let derive = move |ua| Some(if wrong { AppKey::new([0xEE; 32]) } else { key(&token(4), ua) });
    let connector = PskConnector::new(versions, &[]).unwrap();
    let mut connected = connector.connect(stream, &app(), &token(4), derive).await?;
    connected.stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(LONG, connected.stream.read_buf(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with(b"HTTP/1.0 200"), "{}", String::from_utf8_lossy(&answer));
    Ok(connected.ua)
}

#[tokio::test]
async fn r13_our_client_with_openssl_s_server() {
    for (versions, flag, suite, ua) in [
        (Versions::Tls13, "-tls1_3", "ALL", UaId::TLS13_PSK),
        (Versions::Both, "-tls1_2", "ECDHE-PSK-CHACHA20-POLY1305", UaId::tls12(0xCCAC)),
        (Versions::Tls12, "-tls1_2", "PSK-AES128-GCM-SHA256", UaId::tls12(0x00A8)),
    ] {
        let port = free_port().await;
        let mut server = program("openssl", "openssl")
            .args([
                "s_server",
                "-accept",
                &format!("127.0.0.1:{port}"),
                flag,
                "-cipher",
                suite,
                "-nocert",
                "-www",
            ])
            .args(["-psk_identity", &token(4).psk_identity(), "-psk", &hex(&key(&token(4), ua))])
            .spawn()
            .unwrap();
        listening(server.stdout.take().unwrap(), "ACCEPT").await;
        assert_eq!(reaches(port, versions, false).await.unwrap(), ua);
        assert!(reaches(port, versions, true).await.is_err());
    }
}

#[tokio::test]
async fn r13_our_client_with_gnutls_serv() {
    for (versions, priority, ua) in [
        (Versions::Tls13, "NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+PSK:+DHE-PSK:+ECDHE-PSK", UaId::TLS13_PSK),
        (
            Versions::Tls12,
            "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+DHE-PSK:-CIPHER-ALL:+AES-128-GCM",
            UaId::tls12(0xAA),
        ),
    ] {
        let port = free_port().await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("psk");
        std::fs::write(&file, format!("{}:{}\n", token(4).psk_identity(), hex(&key(&token(4), ua)))).unwrap();
        let mut server = program("gnutls-serv", "gnutls-bin")
            .args(["--port", &port.to_string(), "--http", "--priority", priority, "--pskpasswd"])
            .arg(&file)
            .spawn()
            .unwrap();
        listening(server.stderr.take().unwrap(), "listening on").await;
        assert_eq!(reaches(port, versions, false).await.unwrap(), ua);
        assert!(reaches(port, versions, true).await.is_err());
    }
}

/// Issue sentence 7: a key that is slow to come holds up its own handshake and no other, in either version.
#[tokio::test]
async fn r13_a_slow_key_blocks_nobody_else() {
    let mut server = serve(PskServer::new(vec![app()])).await;
    let slow: Vec<_> = [Versions::Tls13, Versions::Tls12]
        .map(|versions| tokio::spawn(connect(server.address, versions, token(5), false)))
        .into();
    tokio::time::timeout(LONG, async {
        while server.keys.asked.load(Ordering::SeqCst) < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    for versions in [Versions::Tls13, Versions::Tls12] {
        for _ in 0..10 {
            connect(server.address, versions, token(1), false).await.unwrap();
            server.outcome().await.unwrap();
        }
    }
    assert!(slow.iter().all(|handshake| !handshake.is_finished()));
    server.keys.five.notify_waiters();
    for handshake in slow {
        handshake.await.unwrap().unwrap();
        server.outcome().await.unwrap();
    }
}

#[tokio::test]
async fn a_handshake_s_time_is_limited_key_look_up_included() {
    let mut settings = PskServer::new(vec![app()]);
    settings.time = SECOND;
    let mut server = serve(settings).await;
    let waiting = connect(server.address, Versions::Tls13, token(5), false).await;
    assert!(waiting.is_err());
    assert!(matches!(server.outcome().await, Err(PskAcceptError::Slow)));
    assert!(connect(server.address, Versions::Tls13, token(1), false).await.is_ok());
}

/// WIRES "RPA": a listener that serves several applications requires SNI; names come in any case.
#[tokio::test]
async fn several_applications_on_one_listener_are_told_apart_by_server_name() {
    let names = ["zoo.example", "track.example", "a.example"];
    let mut server = serve(PskServer::new(names.map(|name| AppId::new(name).unwrap()).into())).await;
    assert!(connect(server.address, Versions::Tls13, token(1), false).await.is_ok());
    assert!(server.outcome().await.is_ok());
    let identity = token(1).psk_identity();
    for (name, accepted) in [(Some("TRACK.example"), true), (Some("other.example"), false), (None, false)] {
        let mut client = program("openssl", "openssl");
        client.args(["s_client", "-quiet", "-tls1_3", "-connect", &server.address.to_string()]);
        client.args(["-psk_identity", &identity, "-psk", &hex(&key(&token(1), UaId::TLS13_PSK))]);
        match name {
            Some(name) => client.args(["-servername", name]),
            None => client.arg("-noservername"),
        };
        let said = line_through(client.spawn().unwrap()).await;
        let outcome = server.outcome().await;
        assert_eq!(outcome.is_ok(), accepted, "{name:?}: {outcome:?} {said}");
        if !accepted {
            assert!(matches!(outcome, Err(PskAcceptError::OtherApplication(_))), "{outcome:?}");
        }
    }
}

#[tokio::test]
async fn server_names_and_protocols_are_checked_where_offered() {
    let mut settings = PskServer::new(vec![app()]);
    settings.protocols = vec!["http/1.1".into()];
    let mut server = serve(settings).await;
    let derive = |ua| Some(key(&token(1), ua));
    let address = server.address;
    let open = |name: &'static str, protocols: &'static [&'static str]| async move {
        let stream = TcpStream::connect(address).await.unwrap();
        let connector = PskConnector::new(Versions::Tls13, protocols).unwrap();
        connector.connect(stream, &AppId::new(name).unwrap(), &token(1), derive).await
    };
    let connected = open("track.example", &["mqtt", "http/1.1"]).await.unwrap();
    assert_eq!(connected.stream.protocol(), Some(b"http/1.1".as_slice()));
    assert!(server.outcome().await.is_ok());
    assert!(matches!(open("other.example", &[]).await, Err(PskConnectError::Refused(112))));
    assert!(matches!(server.outcome().await, Err(PskAcceptError::OtherApplication(_))));
    assert!(matches!(open("track.example", &["mqtt"]).await, Err(PskConnectError::Refused(120))));
    assert!(matches!(server.outcome().await, Err(PskAcceptError::OtherProtocol)));
    assert_eq!(server.keys.asked.load(Ordering::SeqCst), 1);
}

/// No tickets, no CBC, nothing below 1.2, no resumption, no renegotiation.
#[tokio::test]
async fn what_rpa_does_not_allow_is_refused() {
    let mut server = serve(PskServer::new(vec![app()])).await;
    let identity = token(2).psk_identity();
    for (arguments, alert) in [
        (&["-tls1_2", "-cipher", "PSK-AES128-CBC-SHA256"][..], "handshake_failure"),
        (&["-tls1_1", "-cipher", "PSK-AES128-CBC-SHA:@SECLEVEL=0"], "protocol_version"),
        (&["-tls1_2", "-cipher", "PSK-AES128-CCM8:@SECLEVEL=0"], "handshake_failure"),
        (&["-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"], "handshake_failure"),
    ] {
        let client = program("openssl", "openssl")
            .args(["s_client", "-connect", &server.address.to_string(), "-msg", "-psk_identity", &identity])
            .args(["-psk", &"ab".repeat(32)])
            .args(arguments)
            .spawn()
            .unwrap();
        let said = line_through(client).await;
        assert!(said.contains(&format!("fatal {alert}")), "{arguments:?}: {said}");
        assert!(server.outcome().await.is_err());
    }
    for (version, ua, new) in [
        ("-tls1_3", UaId::TLS13_PSK, "NewSessionTicket"),
        ("-tls1_2", UaId::tls12(0x00A8), "NewSessionTicket"),
    ] {
        let client = program("openssl", "openssl")
            .args(["s_client", "-connect", &server.address.to_string(), "-msg", version])
            .args(["-cipher", "PSK-AES128-GCM-SHA256", "-psk_identity", &identity])
            .args(["-psk", &hex(&key(&token(2), ua))])
            .spawn()
            .unwrap();
        let said = line_through(client).await;
        assert!(said.contains("one line there and back") && !said.contains(new), "{said}");
        server.outcome().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_no_tls_ends_at_once() {
    let mut server = serve(PskServer::new(vec![app()])).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(matches!(server.outcome().await, Err(PskAcceptError::NotAHandshake(_))));
}
