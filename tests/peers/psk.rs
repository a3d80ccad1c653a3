//! TLS-PSK on RPA: each end of ours against OpenSSL's and GnuTLS' own programs (R13, WIRES "RPA").

use crate::psk_ends::*;
use obf_net::psk::{PskAcceptError, PskConnectError, PskConnector, PskServer, Versions};
use obf_rpa::Suite;
use obf_token::AppKey;
use obf_types::{AppId, UaId};
use std::process::Stdio;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
};

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

/// WIRES "RPA": unknown, expired and wrong keys look alike to the peer, in either version: `decrypt_error`.
#[tokio::test]
async fn r13_openssl_is_told_the_same_of_unknown_and_wrong_keys() {
    let mut server = serve(PskServer::new(vec![app()])).await;
    for flag in ["-tls1_3", "-tls1_2"] {
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
