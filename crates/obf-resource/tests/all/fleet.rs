//! Issue 4 sentence 3: a fleet of 50,000 is granted in one call, and the Authentication Server is told of every device.

use crate::common::{Admin, RprUdpClient, outbox};
use obf_rpr::{AnswerError, RprClient};
use obf_store::{
    Options,
    resource::{Lane, ResourceDb},
};
use obf_testkit::{Deployment, Sim};
use obf_types::{Domain, NodeNumber, Refusal};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const FLEET: u32 = 50_000;
const APP: &str = "fleet.example";
/// The Authentication Server as its Resource Server knows it.
const AUTH_SERVER: &str = "as.obf.example#0";
/// Far more than it takes anywhere.
const PATIENCE: Duration = Duration::from_secs(600);

/// Until the Authentication Server has acknowledged every notice.
async fn told(store: &ResourceDb) -> Duration {
    let begun = Instant::now();
    let empty = async {
        while !outbox(store, AUTH_SERVER).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, empty).await.expect("the outbox empties");
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_of_50_000_is_granted_in_one_call_and_the_authentication_server_hears_of_all() {
    let mut deployment = Deployment::init(&[]);
    deployment.serve("resource", &[]);
    deployment.serve("auth", &[]);
    let owner = ["custodian", "add", "acme", "--name", "Acme", "--kind", "organisation"];
    deployment.obf(&owner).expect_success();
    let line = |number| Sim::number(number).import_line().replacen('{', "{\"custodian\":\"acme\",", 1);
    let lines: String = (0..FLEET).map(line).collect();
    deployment.obf_with_input(&["device", "import", "-"], lines.as_bytes()).expect_success();
    let store = ResourceDb::open(&Options::new(deployment.file("data/resource.db"))).unwrap();
    let token = std::fs::read_to_string(deployment.file("admin.token")).unwrap();
    let address = deployment.endpoint("resource", "admin");
    let ca = deployment.file("ca.pem");
    let connect = || Admin::connect(address, "rs.as.obf.example", &ca, token.trim());
    let mut admin = connect().await.unwrap();
    admin.done("POST", "/v1/apps", json!({"app": APP, "cert_names": [APP], "ua": ["tls-psk"]})).await;
    admin.done("POST", "/v1/groups", json!({"group": "fleet"})).await;
    let devices: Vec<String> = (0..FLEET).map(|number| Sim::number(number).imsi).collect();

    let begun = Instant::now();
    let joined = admin.done("POST", "/v1/groups/fleet/members", json!({"devices": devices})).await;
    assert_eq!((&joined["changed"], &joined["members"]), (&json!(FLEET), &json!(FLEET)));
    println!("{FLEET} members joined in {:?}", begun.elapsed());
    println!("… acknowledged {:?} later", told(&store).await);
    let begun = Instant::now();
    admin.done("POST", "/v1/grants", json!({"group": "fleet", "app": APP})).await;
    println!("granted in {:?}", begun.elapsed());

    // At once for whoever asks, long before the last notice is out.
    let secret = std::fs::read_to_string(deployment.file("radius.secret")).unwrap();
    let client =
        RprClient { domain: Domain::new("as.obf.example").unwrap(), node: NodeNumber::new(0).unwrap() };
    let rpr = [deployment.endpoint("resource", "rpr")];
    let client = RprUdpClient::with(&rpr, secret.trim().as_bytes(), client).await;
    let rights =
        async |number: u32| client.vector(&Sim::number(number).imsi).await.unwrap().rights.list.len();
    assert_eq!((rights(0).await, rights(FLEET - 1).await), (1, 1));
    println!("… acknowledged {:?} later", told(&store).await);

    // Telling everybody may have taken longer than a connection stays open for nothing.
    let mut admin = connect().await.unwrap();
    let begun = Instant::now();
    admin.done("DELETE", &format!("/v1/groups/fleet/grants/{APP}"), Value::Null).await;
    println!("taken back in {:?}", begun.elapsed());
    assert_eq!((rights(0).await, rights(FLEET - 1).await), (0, 0));
    println!("… acknowledged {:?} later", told(&store).await);

    // A custodian who is suspended takes the tokens of all its devices along; what concerns one device passes them.
    let begun = Instant::now();
    admin.done("POST", "/v1/custodians/acme:suspend", Value::Null).await;
    println!("its custodian suspended in {:?}", begun.elapsed());
    let one = Sim::number(FLEET / 2).imsi;
    admin.done("POST", &format!("/v1/devices/{one}:revoke"), Value::Null).await;
    let begun = Instant::now();
    let passed = async {
        while !store.notices_in(AUTH_SERVER, Lane::Single, 1).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, passed).await.expect("the one is told");
    println!("… one device's revocation acknowledged {:?} later", begun.elapsed());
    println!("… all acknowledged {:?} later", told(&store).await);
    let refused = client.vector(&Sim::number(7).imsi).await;
    assert!(matches!(refused, Err(AnswerError::Refused(Refusal::DeviceSuspended))), "{refused:?}");
    drop(store);
    for server in deployment.servers() {
        assert!(!server.log().contains("ERROR"), "{}", server.log());
        assert!(server.terminate().success());
    }
}
