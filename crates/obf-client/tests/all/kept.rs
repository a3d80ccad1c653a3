//! Secure elements that keep Ks: everything that is done with Ks is done through them (SPEC N1, R4).

use crate::{
    card::{Card, Kind},
    peer::{self, IMSI, app, application},
};
use obf_client::{
    AppStream, AssociationStore, BootstrapFailure, Client, ConnectError, Identities, KeyIndex, SeError,
    SecureElement, Settings,
};
use obf_net::psk::Versions;
use obf_rpb::BootstrapError;
use obf_token::{Algorithm, Method};
use obf_types::{KeySchema, NafId, UaId};
use std::sync::{Arc, atomic::Ordering, mpsc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn card(kind: Kind) -> Card {
    Card::new(kind, IMSI, peer::home())
}

fn client(server: &peer::Server, card: &Card) -> Arc<Client> {
    server.client_of(server.settings("https"), Arc::new(card.clone()), AssociationStore::in_memory())
}

fn in_file(server: &peer::Server, card: &Card, file: &str) -> Arc<Client> {
    let store = AssociationStore::in_file(server.directory.path().join(file)).unwrap();
    server.client_of(server.settings("https"), Arc::new(card.clone()), store)
}

#[tokio::test]
async fn r4_a_card_that_keeps_ks_bootstraps_and_connects() {
    for (kind, schema, algorithm) in [
        (Kind::Uicc, KeySchema::GbaMe, Algorithm::AkaV1Md5),
        (Kind::Applet, KeySchema::Obf1, Algorithm::AkaV2Sha256),
    ] {
        let server = peer::https().await;
        let application = application(&server.state).await;
        let card = card(kind);
        for versions in [Versions::Tls13, Versions::Tls12] {
            let settings = Settings { versions, ..server.settings("https") };
            let client = server.client_of(settings, Arc::new(card.clone()), AssociationStore::in_memory());
            echo(&mut client.connect(&app(), application.address).await.unwrap()).await;

            let (association, key) = client.app_key(app(), UaId::HTTP_DIGEST).await.unwrap();
            let naf = NafId { app: app(), ua: UaId::HTTP_DIGEST };
            assert_eq!(Some(key), server.state.app_key(&association.id, &naf));
            assert_eq!((association.schema, association.method), (schema, Method::Aka(algorithm)));
            assert_eq!((association.ks.expose(), association.app_key(&naf)), (None, None));
        }
        assert_eq!(server.bootstraps(), 2, "{kind:?}: once for each client");
    }
}

/// The file says whose Ks the card has; only while it has that one, the association is one.
#[tokio::test]
async fn r4_an_association_is_over_when_the_card_has_another_ks() {
    let server = peer::https().await;
    let application = application(&server.state).await;
    let card = card(Kind::Applet);
    let first = in_file(&server, &card, "a.json").association().await.unwrap();
    let file = std::fs::read_to_string(server.directory.path().join("a.json")).unwrap();
    let stored: serde_json::Value = serde_json::from_str(&file).unwrap();
    assert_eq!(stored["associations"][0]["ks"], serde_json::Value::Null);
    assert_eq!(stored["associations"][0]["token"], first.id.to_string());

    let restarted = in_file(&server, &card, "a.json");
    let stream = restarted.connect(&app(), application.address).await.unwrap();
    assert_eq!((stream.token(), server.bootstraps()), (&first.id, 1), "the card has it still");

    let elsewhere = in_file(&server, &card, "b.json").association().await.unwrap();
    let mut stream = restarted.connect(&app(), application.address).await.unwrap();
    echo(&mut stream).await;
    assert!(![&first.id, &elsewhere.id].contains(&stream.token()) && server.bootstraps() == 3);

    // With one file what another process has put there is used.
    let other_process = in_file(&server, &card, "a.json");
    let theirs = other_process.bootstrap().await.unwrap();
    let stream = restarted.connect(&app(), application.address).await.unwrap();
    assert_eq!((stream.token(), server.bootstraps()), (&theirs.id, 4));

    card.forget();
    let (after, _) = restarted.app_key(app(), UaId::TLS13_PSK).await.unwrap();
    assert_ne!(after.id, theirs.id, "nothing was left in it");
}

/// Another process bootstraps while this one is about to connect.
#[tokio::test]
async fn r4_a_ks_that_goes_in_the_middle_of_a_handshake_costs_one_bootstrap_more() {
    let server = peer::https().await;
    let application = application(&server.state).await;
    let card = card(Kind::Uicc);
    let client = client(&server, &card);
    let first = client.association().await.unwrap();
    let taken = card.clone();
    card.meanwhile(move || taken.forget());
    let mut stream = client.connect(&app(), application.address).await.unwrap();
    echo(&mut stream).await;
    assert_ne!(stream.token(), &first.id);
    let taken = card.clone();
    card.meanwhile(move || taken.forget());
    let (association, _) = client.app_key(app(), UaId::TLS13_PSK).await.unwrap();
    assert_ne!(&association.id, stream.token());
    assert_eq!(server.bootstraps(), 3);
}

/// One thread runs everything here: would the card be asked on it, nobody could tell the card to go on.
#[tokio::test(flavor = "current_thread")]
async fn a_card_that_takes_its_time_holds_nothing_else_up() {
    let server = peer::https().await;
    let application = application(&server.state).await;
    let card = card(Kind::Uicc);
    let client = client(&server, &card);
    client.association().await.unwrap();
    let (asked, heard) = tokio::sync::oneshot::channel();
    let (go_on, told) = mpsc::channel();
    card.meanwhile(move || {
        asked.send(()).unwrap();
        told.recv().unwrap();
    });
    let connecting = tokio::spawn(async move { client.connect(&app(), application.address).await });
    heard.await.unwrap();
    go_on.send(()).unwrap();
    echo(&mut connecting.await.unwrap().unwrap()).await;
}

/// AKAv2's password needs CK and IK (RFC 4169 3): a card that computes RES only stays with AKAv1, and says so where that is
/// not enough.
#[tokio::test]
async fn a_card_that_knows_akav1_only_is_no_way_around_the_minimum() {
    let server = peer::https().await;
    let file = server.directory.path().join("associations.json");
    let client = |se: Arc<dyn SecureElement>| {
        server.client_of(server.settings("https"), se, AssociationStore::in_file(&file).unwrap())
    };
    client(server.se()).bootstrap().await.unwrap();
    let error = client(Arc::new(card(Kind::Uicc))).bootstrap().await.unwrap_err();
    let downgrade =
        BootstrapError::Downgrade { offered: Algorithm::AkaV1Md5, minimum: Algorithm::AkaV2Sha256 };
    assert!(
        matches!(&error, ConnectError::Bootstrap(BootstrapFailure::Protocol(met)) if *met == downgrade),
        "{error:?}"
    );
}

#[tokio::test]
async fn what_an_element_cannot_do_is_not_asked_of_the_server() {
    #[derive(Debug)]
    struct NoAka;
    impl SecureElement for NoAka {
        fn identities(&self) -> Result<Identities, SeError> {
            Ok(Identities::new(vec!["iccid:8988211000000000018".parse().unwrap()], None))
        }
    }
    let server = peer::https().await;
    let bootstrap = async |se: Arc<dyn SecureElement>, settings| {
        let client = server.client_of(settings, se, AssociationStore::in_memory());
        match client.bootstrap().await.unwrap_err() {
            ConnectError::Bootstrap(BootstrapFailure::SecureElement(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    let settings = || server.settings("https");
    assert!(matches!(bootstrap(Arc::new(NoAka), settings()).await, SeError::NoAka));
    let only_obf_1 = Settings { schemas: vec![KeySchema::Obf1], ..settings() };
    let error = bootstrap(Arc::new(card(Kind::Uicc)), only_obf_1).await;
    assert!(matches!(error, SeError::OtherSchema), "{error:?}");
    assert_eq!(server.state.requests.load(Ordering::SeqCst), 0);
    let other_key = Settings { key: KeyIndex(2), ..settings() };
    let error = bootstrap(Arc::new(card(Kind::Applet)), other_key).await;
    assert!(matches!(error, SeError::NoSuchKey(KeyIndex(2))), "{error:?}");
}

async fn echo(stream: &mut AppStream) {
    stream.write_all(b"$NRM,position").await.unwrap();
    let mut answer = [0; 13];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"$NRM,position");
}
