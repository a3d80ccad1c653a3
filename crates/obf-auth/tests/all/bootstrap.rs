//! RPB (SPEC N3, R14, R15, W2): bootstraps, what is refused, and that a challenge is accepted once.

use crate::{
    deployment::{Deployment, Rpr, TRACK},
    device::{Sim, Ue, borrowed},
};
use obf_rpb::{BootstrapError, ClientStep};
use obf_token::{Algorithm, Method};
use obf_types::KeySchema;

#[tokio::test]
async fn w2_a_device_bootstraps_over_udp_and_over_tls_to_the_resource_server() {
    for rpr in [Rpr::Udp, Rpr::Tls] {
        let deployment = Deployment::start(rpr).await;
        let sim = Sim::new(1);
        deployment.add_device(&sim, &[TRACK]).await;
        let mut ue = Ue::connect(&deployment, 0).await;
        let first = ue.bootstrap(&sim).await.unwrap();
        assert_eq!(first.id.domain().as_str(), "rs.as.obf.example");
        assert_eq!((first.schema, first.counter), (KeySchema::Obf1, 1));
        assert_eq!(first.method, Method::Aka(Algorithm::AkaV2Sha256));
        let second = ue.bootstrap(&sim).await.unwrap();
        assert_eq!(second.counter, 2);
        assert_ne!(first.id, second.id);
    }
}

#[tokio::test]
async fn r1_what_the_server_offers_is_published() {
    let deployment = Deployment::start(Rpr::Tls).await;
    let answer = Ue::connect(&deployment, 0).await.get("/.well-known/obf").await;
    let offer: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(offer["addresses"]["rpb"], deployment.auth_address(0, "rpb").to_string());
    assert_eq!(
        (&offer["domain"], &offer["resource_server"]),
        (&"as.obf.example".into(), &"rs.as.obf.example".into())
    );
    let other = Ue::connect(&deployment, 0).await.get("/.well-known/obf/").await;
    assert_ne!(other.status(), 200);
}

/// What discovery says is what the next request gets, whatever the configuration decides.
#[tokio::test]
async fn r1_algorithms_are_published_as_they_are_offered() {
    for (extra, expected) in
        [("", vec!["AKAv1-MD5", "AKAv2-SHA-256"]), ("offer_akav1 = false\n", vec!["AKAv2-SHA-256"])]
    {
        let deployment = Deployment::start_with(Rpr::Tls, 1, extra).await;
        let mut ue = Ue::connect(&deployment, 0).await;
        let answer = ue.get("/.well-known/obf").await;
        let published: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
        let mut published: Vec<String> =
            serde_json::from_value(published["bootstrap_algorithms"].clone()).unwrap();
        let challenged = ue.get("/").await;
        assert_eq!(challenged.status(), 401);
        let headers = challenged.headers().get_all("www-authenticate").iter();
        let mut offered: Vec<String> = headers
            .map(|header| {
                let (_, after) = header.to_str().unwrap().split_once("algorithm=").unwrap();
                after.split([',', ' ']).next().unwrap().trim_matches('"').to_owned()
            })
            .collect();
        published.sort();
        offered.sort();
        assert_eq!((&published, &offered), (&expected.iter().map(ToString::to_string).collect(), &published));
    }
}

#[tokio::test]
async fn r9_the_impi_derived_from_the_imsi_is_the_same_device_and_a_stock_ue_gets_gba_me() {
    let deployment = Deployment::start(Rpr::Tls).await;
    let sim = Sim::new(1);
    deployment.add_device(&sim, &[TRACK]).await;
    let impi = format!("{}@ims.mnc001.mcc001.3gppnetwork.org", sim.imsi);
    let association = Ue::connect(&deployment, 0).await.bootstrap_as(&sim, &impi, &[]).await.unwrap();
    assert_eq!(association.schema, KeySchema::GbaMe);
    let listed = deployment.auth_administer(0, "GET", &format!("/v1/tokens?device={}", sim.imsi)).await;
    assert_eq!(listed["tokens"][0]["id"], association.id.to_string());
    assert_eq!(listed["tokens"][0]["user_name"], impi);
    assert_eq!(listed["tokens"][0]["device"], format!("imsi:{}", sim.imsi));
}

#[tokio::test]
async fn a_sim_ahead_of_the_registry_resynchronises() {
    let deployment = Deployment::start(Rpr::Tls).await;
    let sim = Sim::new(1);
    deployment.add_device(&sim, &[TRACK]).await;
    sim.raise_sqn(5000);
    let association = Ue::connect(&deployment, 0).await.bootstrap(&sim).await.unwrap();
    assert_eq!(association.counter, 1);
}

#[tokio::test]
async fn unknown_devices_see_what_known_ones_with_a_wrong_key_see() {
    let deployment = Deployment::start(Rpr::Tls).await;
    let known = Sim::new(1);
    deployment.add_device(&known, &[TRACK]).await;
    let shape = async |sim: &Sim| {
        let mut ue = Ue::connect(&deployment, 0).await;
        let halfway = obf_rpb::Bootstrap::new(obf_rpb::client::ClientSettings {
            username: sim.imsi.as_str().into(),
            domain: obf_types::Domain::new(crate::deployment::DOMAIN).unwrap(),
            minimum: Algorithm::AkaV1Md5,
            strongest: Algorithm::AkaV2Sha256,
            schemas: vec![],
            product: "test/1".into(),
        });
        let answer = ue.exchange(&halfway.first_request().unwrap()).await;
        let headers: Vec<_> =
            answer.headers().iter().map(|(name, value)| (name.to_string(), value.len())).collect();
        (answer.status(), headers, answer.body().len())
    };
    assert_eq!(shape(&known).await, shape(&Sim::new(2)).await);
    let error = Ue::connect(&deployment, 0).await.bootstrap(&Sim::new(2)).await.unwrap_err();
    // Its AUTN is random: a SIM does not take it for its network's.
    assert_eq!(error, BootstrapError::NetworkNotAuthentic);
}

#[tokio::test]
async fn a_response_is_accepted_once_on_whichever_node_of_the_deployment() {
    // Each 401 is a challenge too, and stays unanswered here.
    let deployment = Deployment::start_with(Rpr::Tls, 2, "[limits]\nchallenges = 1000\n").await;
    let sim = Sim::new(1);
    deployment.add_device(&sim, &[TRACK]).await;
    let mut ues = [Ue::connect(&deployment, 0).await, Ue::connect(&deployment, 1).await];
    for round in 0..20 {
        let [one, other] = &mut ues;
        let begun_by = if round % 2 == 0 { &mut *one } else { &mut *other };
        let halfway = begun_by.halfway(&sim).await;
        let (a, b) = tokio::join!(one.exchange(&halfway.request), other.exchange(&halfway.request));
        let mut statuses = [a.status().as_u16(), b.status().as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 401], "round {round}");
        let again = one.exchange(&halfway.request).await;
        assert_eq!(again.status(), 401);
        assert!(again.headers()["www-authenticate"].to_str().unwrap().contains("stale=true"));
        let (mut machine, won) = (halfway.machine, if a.status() == 200 { &a } else { &b });
        let ClientStep::Done(association) = machine.answer(&borrowed(won)).unwrap() else { panic!() };
        assert_eq!(association.counter, round + 1);
    }
}

#[tokio::test]
async fn unanswered_challenges_of_an_identity_are_limited_and_then_answered_as_if_it_were_unknown() {
    let deployment = Deployment::start_with(Rpr::Tls, 1, "[limits]\nchallenges = 5\n").await;
    let sim = Sim::new(1);
    deployment.add_device(&sim, &[TRACK]).await;
    let mut ue = Ue::connect(&deployment, 0).await;
    // Answered ones are given back.
    for _ in 0..8 {
        ue.bootstrap(&sim).await.unwrap();
    }
    for _ in 0..5 {
        ue.halfway(&sim).await;
    }
    assert_eq!(ue.bootstrap(&sim).await.unwrap_err(), BootstrapError::NetworkNotAuthentic);
    deployment.clock.advance(600);
    ue.bootstrap(&sim).await.unwrap();
}

#[tokio::test]
async fn floods_of_one_source_and_oversized_requests_get_their_status() {
    let extra = "[limits]\nrequests_per_source = 3\nrequests_seconds = 1000\n";
    let deployment = Deployment::start_with(Rpr::Tls, 1, extra).await;
    let mut ue = Ue::connect(&deployment, 0).await;
    let mut request = obf_rpb::http::ClientRequest { method: "GET", target: "/", headers: vec![] };
    assert_eq!(ue.exchange(&request).await.status(), 401);
    request.headers.push(("authorization", vec![b'x'; 9000]));
    assert!([400, 401, 431].contains(&ue.exchange(&request).await.status().as_u16()));
    request.headers[0].1 = vec![b'x'; 40_000];
    assert_eq!(Ue::connect(&deployment, 0).await.exchange(&request).await.status(), 431);
    request.headers.clear();
    assert_eq!(ue.exchange(&request).await.status(), 401);
    assert_eq!(ue.exchange(&request).await.status(), 429);
}

#[tokio::test]
async fn without_a_resource_server_everyone_gets_503() {
    let mut deployment = Deployment::start(Rpr::Tls).await;
    let sim = Sim::new(1);
    deployment.add_device(&sim, &[TRACK]).await;
    let mut ue = Ue::connect(&deployment, 0).await;
    ue.bootstrap(&sim).await.unwrap();
    deployment.resource.take().unwrap().shutdown().await;
    for sim in [&sim, &Sim::new(2)] {
        let error = ue.bootstrap(sim).await.unwrap_err();
        assert_eq!(error, BootstrapError::Unavailable { status: 503 });
    }
}
