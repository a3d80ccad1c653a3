//! RPA: `connect(app)` as applications see it.

use crate::peer::{self, app, application};
use obf_client::{AppStream, ConnectError, Fault, Settings};
use obf_net::psk::Versions;
use obf_types::{AppId, UaId};
use std::{sync::atomic::Ordering, time::Duration};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn w1_one_call_bootstraps_and_hands_back_an_ordinary_stream() {
    let server = peer::https().await;
    let application = application(&server.state).await;
    let client = server.client(server.settings("https"));
    let mut stream = client.connect(&app(), application.address).await.unwrap();
    assert_eq!((stream.ua(), stream.version()), (UaId::TLS13_PSK, "TLSv1.3"));
    echo(&mut stream).await;
    let mut again = client.connect(&app(), application.address).await.unwrap();
    echo(&mut again).await;
    assert_eq!(server.bootstraps(), 1, "the association serves again");
}

#[tokio::test]
async fn r13_tls_1_2_uses_the_key_of_the_suite() {
    let server = peer::https().await;
    let application = application(&server.state).await;
    let settings = Settings { versions: Versions::Tls12, ..server.settings("https") };
    let mut stream = server.client(settings).connect(&app(), application.address).await.unwrap();
    assert_eq!(stream.version(), "TLSv1.2");
    assert!(stream.ua().tls12_suite().is_some(), "{}", stream.ua());
    echo(&mut stream).await;
}

/// A1: HTTP over the same stream.
#[tokio::test]
async fn a1_http_over_rpa() {
    let server = peer::https().await;
    let application = peer::http_application(&server.state).await;
    let client = server.client(server.settings("https"));
    let stream = client.connect(&app(), application.address).await.unwrap();
    let request = http::Request::get("/position?last").body(http_body_util::Full::default()).unwrap();
    let answer =
        obf_client::http::send(stream, &app(), request, 1024, Duration::from_secs(10)).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.body().as_ref()),
        (200, b"track.example/position?last".as_ref())
    );
}

#[tokio::test]
async fn an_expired_association_is_replaced_silently() {
    let server = peer::https().await;
    let application = application(&server.state).await;
    let client = server.client(server.settings("https"));
    let first = client.connect(&app(), application.address).await.unwrap();
    server.clock.advance(3600);
    let mut second = client.connect(&app(), application.address).await.unwrap();
    echo(&mut second).await;
    assert_ne!(first.token(), second.token());
    assert_eq!(server.bootstraps(), 2);
}

/// The device believes in its association, but the network has ended it.
#[tokio::test]
async fn a_refused_key_leads_to_one_bootstrap_and_then_to_none_for_a_minute() {
    let server = peer::https().await;
    let application = application(&server.state).await;
    let client = server.client(server.settings("https"));
    client.connect(&app(), application.address).await.unwrap();
    server.state.tokens.lock().unwrap().clear();
    let mut stream = client.connect(&app(), application.address).await.unwrap();
    echo(&mut stream).await;
    assert_eq!(server.bootstraps(), 1, "a new one, after the first was ended");

    server.state.tokens.lock().unwrap().clear();
    let error = client.connect(&app(), application.address).await.unwrap_err();
    let ConnectError::KeyNotAccepted { retry_after, .. } = &error else { panic!("{error:?}") };
    assert!((Duration::from_secs(1)..=Duration::from_secs(60)).contains(retry_after), "{retry_after:?}");
    assert_eq!((server.bootstraps(), error.fault()), (0, Fault::Authentication));
}

/// No permission: a fresh key is refused as well, and the device does not go on asking.
#[tokio::test]
async fn an_application_that_accepts_no_key_costs_one_bootstrap() {
    let server = peer::https().await;
    let application = application(&server.state).await;
    application.refuse_all.store(true, Ordering::SeqCst);
    let client = server.client(server.settings("https"));
    for _ in 0..3 {
        let error = client.connect(&app(), application.address).await.unwrap_err();
        assert!(matches!(error, ConnectError::KeyNotAccepted { .. }), "{error:?}");
    }
    assert_eq!(server.bootstraps(), 2, "the first association, and one after the refusal");
    assert_eq!(application.asked.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn many_connections_at_once_need_one_bootstrap() {
    let server = peer::https().await;
    let application = application(&server.state).await;
    let client = server.client(server.settings("https"));
    let connections: Vec<_> = (0..16)
        .map(|_| {
            let (client, address) = (client.clone(), application.address);
            tokio::spawn(async move { echo(&mut client.connect(&app(), address).await.unwrap()).await })
        })
        .collect();
    for connection in connections {
        connection.await.unwrap();
    }
    assert_eq!(server.bootstraps(), 1);
}

#[tokio::test]
async fn another_application_and_nobody_are_told_apart() {
    let server = peer::https().await;
    let application = application(&server.state).await;
    let client = server.client(server.settings("https"));
    let other = AppId::new("other.example").unwrap();
    let error = client.connect(&other, application.address).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Refused, "{error:?}");
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let error = client.connect(&app(), gone).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Network, "{error:?}");
}

async fn echo(stream: &mut AppStream) {
    stream.write_all(b"$NRM,position").await.unwrap();
    let mut answer = [0; 13];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"$NRM,position");
}
