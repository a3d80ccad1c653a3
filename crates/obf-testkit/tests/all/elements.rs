//! Secure elements of other kinds than a USIM's file, at nodes and an application that are processes of their own (R4, R10).

use crate::{
    card::{Card, Kind},
    device::{APP, application::Application, deployment},
};
use obf_client::{
    AppStream, AssociationStore, AuthenticationServer, Client, SecureElement, Settings, SoftwareSe,
};
use obf_testkit::deployment::{Deployment, Sim};
use obf_token::{Algorithm, Derivation, Method, Obf1Context, Technology};
use obf_types::{AppId, KeySchema, NafId, UaId, hex};
use serde_json::Value;
use std::{net::SocketAddr, sync::Arc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn app() -> AppId {
    AppId::new(APP).unwrap()
}

fn client(deployment: &Deployment, se: Arc<dyn SecureElement>) -> Client {
    let server = AuthenticationServer::parse("https://as.obf.example").unwrap();
    let server = server.at(deployment.endpoint("auth", "rpb")).with_ca(deployment.file("ca.pem"));
    Client::new(Settings::new(server), se, Arc::new(AssociationStore::in_memory())).unwrap()
}

async fn echoes(client: &Client, application: &Application) -> AppStream {
    let address: SocketAddr = application.address.parse().unwrap();
    let mut stream = client.connect(&app(), address).await.unwrap();
    stream.write_all(b"$NRM,position").await.unwrap();
    let mut answer = [0; 13];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"$NRM,position");
    stream
}

/// The line of the import with another technology.
fn standalone(sim: &Sim) -> String {
    let mut line: Value = serde_json::from_str(&sim.import_line()).unwrap();
    line["technology"] = Technology::Standalone.name().into();
    line.to_string()
}

fn register(deployment: &Deployment, sim: &Sim, line: &str) {
    deployment.obf_with_input(&["device", "import", "-"], line.as_bytes()).expect_success();
    deployment.obf(&["grant", "add", "--device", &sim.imsi, "--app", APP]).expect_success();
}

/// CK, IK and Ks never leave it; the application knows no difference.
#[tokio::test(flavor = "multi_thread")]
async fn r4_a_card_that_keeps_ks_connects_to_an_application_through_real_nodes() {
    let (deployment, application) = tokio::task::spawn_blocking(deployment).await.unwrap();
    for (number, kind, schema, algorithm) in [
        (1, Kind::Uicc, KeySchema::GbaMe, Algorithm::AkaV1Md5),
        (2, Kind::Applet, KeySchema::Obf1, Algorithm::AkaV2Sha256),
    ] {
        let sim = Sim::number(number);
        register(&deployment, &sim, &sim.import_line());
        let [k, opc] = [&sim.k, &sim.opc].map(|digits| hex::secret(digits).unwrap());
        let card = Card::new(kind, &sim.imsi, obf_aka::Milenage::new(&k, &opc).into());
        let client = client(&deployment, Arc::new(card));
        let stream = echoes(&client, &application).await;
        let association = client.association().await.unwrap();
        assert_eq!((&association.id, stream.ua()), (stream.token(), UaId::TLS13_PSK));
        assert_eq!((association.schema, association.method), (schema, Method::Aka(algorithm)));
        let naf = NafId { app: app(), ua: UaId::TLS13_PSK };
        assert_eq!((association.ks.expose(), association.app_key(&naf)), (None, None), "it has no Ks");
    }
}

/// Technology 3: the key is the provider's own, so both ends derive under it, and the application gets that key.
#[tokio::test(flavor = "multi_thread")]
async fn r10_a_device_of_its_providers_own_key_bootstraps_and_connects_as_such() {
    let (deployment, application) = tokio::task::spawn_blocking(deployment).await.unwrap();
    let sim = Sim::number(1);
    register(&deployment, &sim, &standalone(&sim));
    let se = SoftwareSe::personalise(deployment.file("own.json"), standalone(&sim).as_bytes()).unwrap();
    let client = client(&deployment, Arc::new(se));
    echoes(&client, &application).await;

    let (association, key) = client.app_key(app(), UaId::TLS13_PSK).await.unwrap();
    assert_eq!((association.technology, association.schema), (Technology::Standalone, KeySchema::Obf1));
    let naf = NafId { app: app(), ua: UaId::TLS13_PSK };
    let under = |technology| {
        let context = Obf1Context {
            rand: association.id.rand(),
            identity: association.identity.as_ref().unwrap(),
            technology,
            as_domain: &association.domain,
            counter: association.counter,
            method: association.method,
        };
        Derivation::Obf1 { context, naf: &naf }.key(association.ks.expose().unwrap())
    };
    assert_eq!(key, under(Technology::Standalone));
    assert_ne!(key, under(Technology::ThreeGpp));
    let shown = deployment.obf(&["--json", "device", "show", &sim.imsi]).json_lines().remove(0);
    assert_eq!(shown["technology"], "standalone");
}

/// From keys that were made for the provider's own secure elements, through their key file, to an application.
#[tokio::test(flavor = "multi_thread")]
async fn r10_keys_of_the_providers_own_say_so_from_their_creation_on() {
    let (deployment, application) = tokio::task::spawn_blocking(deployment).await.unwrap();
    let path = |name: &str| deployment.file(name).to_str().unwrap().to_owned();
    let imsi = "001010000500000";
    std::fs::write(path("maker.key"), "5a".repeat(32)).unwrap();
    std::fs::set_permissions(path("maker.key"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    for format in ["pskc", "csv"] {
        let (file, se) = (path(&format!("own.{format}")), path(&format!("{format}.json")));
        let transport = ["--transport-key", &path("maker.key")];
        let create = ["kms", "create", "--imsi", imsi, "--count", "1", "--technology", "standalone"];
        let into = ["--format", format, "--out", &file];
        deployment.obf(&[&create[..], &into, &transport].concat()).expect_success();
        let personalise = ["client", "personalise", &file, "--identity", imsi, "--se", &se];
        deployment.obf(&[&personalise[..], &transport].concat()).expect_success();
        deployment.obf(&["grant", "add", "--device", imsi, "--app", APP]).expect_success();
        let client = client(&deployment, Arc::new(SoftwareSe::open(&se).unwrap()));
        echoes(&client, &application).await;
        assert_eq!(client.association().await.unwrap().technology, Technology::Standalone);

        // Another registry learns it from the file, too.
        deployment.obf(&["device", "remove", imsi]).expect_success();
        deployment.obf(&[&["device", "import", &file][..], &transport].concat()).expect_success();
        let shown = deployment.obf(&["--json", "device", "show", imsi]).json_lines().remove(0);
        assert_eq!(shown["technology"], "standalone");
        deployment.obf(&["device", "remove", imsi]).expect_success();
    }
}
