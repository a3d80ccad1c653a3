//! RPB: mutual authentication, and every way in which it fails.

use crate::peer::{self, DOMAIN, IMSI, record};
use obf_client::{AuthenticationServer, BootstrapFailure, ConnectError, Fault, Settings, SoftwareSe};
use obf_rpb::{BootstrapError, Reply};
use obf_token::{Algorithm, Method};
use obf_types::{KeySchema, Refusal};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

#[tokio::test]
async fn w2_both_ends_derive_the_same_keys_over_https() {
    let server = peer::https().await;
    let association = server.client(server.settings("https")).bootstrap().await.unwrap();
    assert_eq!(
        (association.schema, association.method),
        (KeySchema::Obf1, Method::Aka(Algorithm::AkaV2Sha256))
    );
    assert_eq!(association.id.domain().as_str(), format!("rs1.{DOMAIN}"));
    server.state.agree(&association);
    assert_eq!(server.state.requests.load(Ordering::SeqCst), 2, "two requests on RPB");
}

/// As a 3GPP UE: plain HTTP where it is configured, no offer, TS 33.220's own keys.
#[tokio::test]
async fn w2_without_an_offer_the_keys_are_gba_me() {
    let server = peer::http().await;
    let settings = Settings { schemas: Vec::new(), ..server.settings("http") };
    let association = server.client(settings).bootstrap().await.unwrap();
    assert_eq!(association.schema, KeySchema::GbaMe);
    server.state.agree(&association);
}

/// The URL that says no domain: the server is asked for it, under its certificate.
#[tokio::test]
async fn a_server_known_by_its_address_says_its_domain() {
    let server = peer::https().await;
    let url = AuthenticationServer::parse(&format!("https://{}", server.address)).unwrap();
    let url = url.with_ca(server.directory.path().join("ca.pem"));
    let association = server.client(Settings::new(url)).bootstrap().await.unwrap();
    assert_eq!(association.domain.as_str(), DOMAIN);
    server.state.agree(&association);
}

#[tokio::test]
async fn ts_33_102_6_3_5_a_counter_behind_is_resynchronised_once() {
    let server = peer::https().await;
    let client = server.client(server.settings("https"));
    client.bootstrap().await.unwrap();
    *server.state.sqn.lock().unwrap() = obf_aka::Sqn::default();
    let association = client.bootstrap().await.unwrap();
    server.state.agree(&association);
    assert_eq!(server.state.resynchronisations.load(Ordering::SeqCst), 1);
    client.bootstrap().await.unwrap();
    assert_eq!(server.state.resynchronisations.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn r15_a_server_that_does_not_prove_itself_is_not_believed() {
    let altered: [fn(&mut Reply); 3] = [
        |reply| reply.body.iter_mut().filter(|octet| **octet == b'<').take(1).for_each(|octet| *octet = b' '),
        |reply| reply.headers.retain(|(name, _)| *name != "authentication-info"),
        |reply| {
            for (_, value) in reply.headers.iter_mut().filter(|(name, _)| *name == "authentication-info") {
                let at = value.windows(9).position(|part| part == b"rspauth=\"").unwrap() + 9;
                value[at] = if value[at] == b'0' { b'1' } else { b'0' };
            }
        },
    ];
    for meddle in altered {
        let server = peer::https().await;
        server.meddle(meddle);
        let failure = failure(&server, server.settings("https")).await;
        assert_protocol(&failure, &BootstrapError::ServerNotAuthentic, Fault::Authentication);
    }
}

#[tokio::test]
async fn a_stripped_offer_of_schemas_shows() {
    let server = peer::https().await;
    server.state.strip_offer.store(true, Ordering::SeqCst);
    let failure = failure(&server, server.settings("https")).await;
    assert_protocol(&failure, &BootstrapError::OfferAltered, Fault::Authentication);
}

/// Wrong K: MAC-A does not verify, so nothing is answered.
#[tokio::test]
async fn r15_a_challenge_under_another_key_is_not_answered() {
    let server = peer::https().await;
    fs::write(server.directory.path().join("se.json"), record("00000000000000000000000000000000")).unwrap();
    let failure = failure(&server, server.settings("https")).await;
    assert_protocol(&failure, &BootstrapError::NetworkNotAuthentic, Fault::Authentication);
    assert_eq!(server.state.requests.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_unknown_identity_looks_like_a_network_that_is_not_authentic() {
    let server = peer::https().await;
    let settings = Settings { username: Some("001010000000002".into()), ..server.settings("https") };
    assert_protocol(
        &failure(&server, settings).await,
        &BootstrapError::NetworkNotAuthentic,
        Fault::Authentication,
    );
}

#[tokio::test]
async fn refusals_and_overload_are_told_apart() {
    let server = peer::https().await;
    server.meddle(|reply| *reply = Reply::plain(obf_rpb::Outcome::ValidityEnded));
    let refused = failure(&server, server.settings("https")).await;
    assert_eq!((refused.fault(), refused.refusal()), (Fault::Refused, Some(Refusal::KycExpired)));
    server.meddle(|reply| *reply = Reply::plain(obf_rpb::Outcome::Overloaded));
    let overloaded = failure(&server, server.settings("https")).await;
    assert_protocol(&overloaded, &BootstrapError::Unavailable { status: 503 }, Fault::Network);
}

#[tokio::test]
async fn a_server_without_a_trusted_certificate_hears_nothing() {
    let server = peer::https().await;
    let other = tempfile::tempdir().unwrap();
    peer::development_pki(other.path(), &[DOMAIN]);
    let distrusting = server.url("https").with_ca(other.path().join("ca.pem"));
    let other_name = AuthenticationServer::parse("https://as.other.example").unwrap();
    let other_name = other_name.at(server.address).with_ca(server.directory.path().join("ca.pem"));
    for url in [distrusting, other_name] {
        let failure = failure(&server, Settings::new(url)).await;
        assert_eq!(failure.fault(), Fault::Authentication, "{failure}");
    }
    assert_eq!(server.state.requests.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn nobody_there_and_nobody_answering_are_faults_of_the_network() {
    let server = peer::https().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = listener.local_addr().unwrap();
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    for address in [silent, gone] {
        let time = Duration::from_millis(300);
        let settings = Settings { time, ..Settings::new(server.url("https").at(address)) };
        let failure = failure(&server, settings).await;
        assert_eq!(failure.fault(), Fault::Network, "{failure}");
    }
}

#[tokio::test]
async fn akav1_is_refused_where_akav2_has_worked_unless_told_otherwise() {
    let server = peer::https().await;
    let file = server.directory.path().join("associations.json");
    let client = |settings| {
        let store = Arc::new(obf_client::AssociationStore::in_file(&file).unwrap());
        obf_client::Client::new(settings, server.se(), store).unwrap()
    };
    server.state.offer_akav1_only.store(true, Ordering::SeqCst);
    let first = client(server.settings("https")).bootstrap().await.unwrap();
    assert_eq!(first.method, Method::Aka(Algorithm::AkaV1Md5), "nothing better has worked yet");
    server.state.offer_akav1_only.store(false, Ordering::SeqCst);
    client(server.settings("https")).bootstrap().await.unwrap();

    server.state.offer_akav1_only.store(true, Ordering::SeqCst);
    let restarted = client(server.settings("https"));
    let error = restarted.bootstrap().await.unwrap_err();
    let ConnectError::Bootstrap(failure) = &error else { panic!("{error:?}") };
    let downgrade =
        BootstrapError::Downgrade { offered: Algorithm::AkaV1Md5, minimum: Algorithm::AkaV2Sha256 };
    assert_protocol(failure, &downgrade, Fault::Refused);
    let told = Settings { allow_downgrade: true, ..server.settings("https") };
    assert_eq!(client(told).bootstrap().await.unwrap().method, Method::Aka(Algorithm::AkaV1Md5));
}

/// A new process finds the association, and nobody else does.
#[tokio::test]
async fn an_association_outlives_the_process_in_a_private_file() {
    let server = peer::https().await;
    let file = server.directory.path().join("associations.json");
    let client = || {
        let store = Arc::new(obf_client::AssociationStore::in_file(&file).unwrap());
        obf_client::Client::new(server.settings("https"), server.se(), store).unwrap()
    };
    let first = client().association().await.unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let second = client().association().await.unwrap();
    assert_eq!((first.id.clone(), server.bootstraps()), (second.id.clone(), 1));
    server.state.agree(&second);
    server.clock.advance(3600);
    let third = client().association().await.unwrap();
    assert_eq!((third.id != first.id, server.bootstraps()), (true, 2), "expired");
    let kept = fs::read_to_string(&file).unwrap();
    assert!(!kept.contains(&first.id.to_string()) && kept.contains(&third.id.to_string()), "{kept}");

    fs::write(&file, "{}").unwrap();
    let error = obf_client::AssociationStore::in_file(&file).unwrap_err().to_string();
    assert!(error.ends_with("associations.json: not a file of associations"), "{error}");
}

#[tokio::test]
async fn the_identity_is_the_elements_own() {
    let server = peer::https().await;
    let se = SoftwareSe::open(server.directory.path().join("se.json")).unwrap();
    let identities = obf_client::SecureElement::identities(&se).unwrap();
    assert_eq!(identities.registered().unwrap().value(), IMSI);
    let association = server.client(server.settings("https")).bootstrap().await.unwrap();
    assert_eq!(&*association.username, IMSI);
}

async fn failure(server: &peer::Server, settings: Settings) -> BootstrapFailure {
    match server.client(settings).bootstrap().await {
        Err(ConnectError::Bootstrap(failure)) => failure,
        other => panic!("{other:?}"),
    }
}

fn assert_protocol(failure: &BootstrapFailure, expected: &BootstrapError, fault: Fault) {
    match failure {
        BootstrapFailure::Protocol(error) => assert_eq!((error, failure.fault()), (expected, fault)),
        other => panic!("{other:?}"),
    }
}
