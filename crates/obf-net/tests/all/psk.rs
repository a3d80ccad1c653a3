//! TLS-PSK on RPA: both ends of ours (R13, WIRES "RPA"). Other programs are in `tests/peers`.

use crate::psk_ends::*;
use obf_net::psk::{PskAcceptError, PskConnectError, PskConnector, PskServer, Versions};
use obf_types::{AppId, UaId};
use std::{sync::atomic::Ordering, time::Duration};
use tokio::{io::AsyncWriteExt, net::TcpStream};

const SECOND: Duration = Duration::from_secs(1);

/// WIRES "RPA": unknown, expired and wrong keys look alike to the peer, in either version: `decrypt_error`.
#[tokio::test]
async fn r13_unknown_and_wrong_keys_look_alike() {
    let mut server = serve(PskServer::new(vec![app()])).await;
    for versions in [Versions::Tls13, Versions::Tls12] {
        for (token, wrong) in [(token(1), true), (token(77), false)] {
            let refused = connect(server.address, versions, token, wrong).await.unwrap_err();
            assert!(matches!(refused, PskConnectError::KeyNotAccepted), "{refused:?}");
            assert!(matches!(server.outcome().await, Err(PskAcceptError::KeyNotAccepted)));
        }
    }
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

#[tokio::test]
async fn what_is_no_tls_ends_at_once() {
    let mut server = serve(PskServer::new(vec![app()])).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(matches!(server.outcome().await, Err(PskAcceptError::NotAHandshake(_))));
}
