//! RPO (SPEC P3, R16, R17, R20, C11): who gets which key.

use crate::{
    application::Application,
    deployment::{Deployment, OTHER, Rpr, TRACK},
    device::{Sim, Ue},
};
use obf_token::TokenId;
use obf_types::{AppId, Domain, KeySchema, NafId, Refusal, UaId};
use serde_json::json;
use std::sync::Arc;

#[tokio::test]
async fn r16_application_and_device_have_the_same_key_for_each_protocol_and_schema() {
    let deployment = Deployment::start(Rpr::Tls).await;
    let sim = Sim::new(1);
    deployment.add_device(&sim, &[TRACK]).await;
    let application = Application::connect(&deployment, 0, TRACK, TRACK).await;
    for schemas in [&[KeySchema::Obf1][..], &[]] {
        let association =
            Ue::connect(&deployment, 0).await.bootstrap_as(&sim, &sim.imsi, schemas).await.unwrap();
        let mut keys = Vec::new();
        for ua in [UaId::TLS13_PSK, UaId::tls12(0x00A8), UaId::tls12(0xD001)] {
            let grant = application.key(&association.id, ua).await.unwrap();
            let naf = NafId { app: AppId::new(TRACK).unwrap(), ua };
            assert_eq!(Some(&grant.key), association.app_key(&naf).as_ref());
            assert_eq!(grant.schema, association.schema);
            assert!(grant.expires <= association.expires);
            assert_eq!(grant.device, None);
            assert!(!keys.contains(&grant.key));
            keys.push(grant.key);
        }
    }
}

#[tokio::test]
async fn r17_an_application_gets_only_its_own_keys_and_is_told_why_not() {
    let deployment = Deployment::start(Rpr::Tls).await;
    let sim = Sim::new(1);
    deployment.add_device(&sim, &[TRACK]).await;
    let proxied = json!({ "app": "proxied.example", "cert_names": ["proxy.example"], "ua": ["http-digest"] });
    deployment.resource_admin("POST", "/v1/apps", &proxied).await;
    deployment.grant(&sim, "proxied.example", json!({})).await;
    let token = Ue::connect(&deployment, 0).await.bootstrap(&sim).await.unwrap().id;
    let track = Application::connect(&deployment, 0, TRACK, TRACK).await;
    let other = Application::connect(&deployment, 0, OTHER, OTHER).await;
    let app = |name| AppId::new(name).unwrap();
    let tls = UaId::TLS13_PSK;
    assert!(track.key(&token, tls).await.is_ok());
    // Another application's key, an application that does not exist: one answer.
    for name in [OTHER, "nowhere.example", "proxied.example"] {
        let refusal = track.key_for(app(name), &token, tls).await.unwrap_err();
        assert_eq!(refusal, Refusal::ApplicationNotRegistered, "{name}");
    }
    assert_eq!(other.key(&token, tls).await, Err(Refusal::NotPermitted));
    assert_eq!(track.key(&token, UaId::HTTP_DIGEST).await, Err(Refusal::ProtocolNotRegistered));
    let proxy = Application::connect_as(&deployment, 0, "proxied.example", "proxy", "p", true).await;
    assert!(proxy.key(&token, UaId::HTTP_DIGEST).await.is_ok());
    assert_eq!(proxy.key_for(app(TRACK), &token, tls).await, Err(Refusal::ApplicationNotRegistered));
    // Unknown here, and of another Authentication Server: one answer.
    let unknown = TokenId::new([9; 16], token.domain().clone());
    let foreign = TokenId::new(*token.rand(), Domain::new("rs.as.other.example").unwrap());
    assert_eq!(track.key(&unknown, tls).await, Err(Refusal::UnknownToken));
    assert_eq!(track.key(&foreign, tls).await, Err(Refusal::UnknownToken));
}

#[tokio::test]
async fn a_key_lives_no_longer_than_grant_and_token() {
    let deployment = Deployment::start(Rpr::Tls).await;
    let sim = Sim::new(1);
    deployment.add_device(&sim, &[]).await;
    deployment.grant(&sim, TRACK, json!({ "lifetime": 100, "settings": "ab12" })).await;
    let association = Ue::connect(&deployment, 0).await.bootstrap(&sim).await.unwrap();
    let application = Application::connect(&deployment, 0, TRACK, TRACK).await;
    let grant = application.key(&association.id, UaId::TLS13_PSK).await.unwrap();
    assert!((98..=100).contains(&grant.expires.since(grant.bootstrapped_at)), "{grant:?}");
    assert_eq!(*grant.settings, [0xAB, 0x12]);
    deployment.clock.advance(8 * 3600);
    assert_eq!(application.key(&association.id, UaId::TLS13_PSK).await, Err(Refusal::TokenExpired));
}

#[tokio::test]
async fn rights_beyond_those_that_came_with_the_token_are_asked_for() {
    let deployment = Deployment::start(Rpr::Tls).await;
    let sim = Sim::new(1);
    deployment.add_device(&sim, &[]).await;
    let token = Ue::connect(&deployment, 0).await.bootstrap(&sim).await.unwrap().id;
    let application = Application::connect(&deployment, 0, TRACK, TRACK).await;
    assert_eq!(application.key(&token, UaId::TLS13_PSK).await, Err(Refusal::NotPermitted));
    deployment.grant(&sim, TRACK, json!({})).await;
    assert!(application.key(&token, UaId::TLS13_PSK).await.is_ok());
    // 200 more: they neither fit into a challenge nor into one answer.
    let crowd = Sim::new(2);
    deployment.add_device(&crowd, &[]).await;
    for number in 0..200 {
        let app = format!("app{number}.a-long-name-for-an-application.example");
        let record = json!({ "app": app, "cert_names": [TRACK], "ua": ["tls-psk"] });
        deployment.resource_admin("POST", "/v1/apps", &record).await;
        deployment.grant(&crowd, &app, json!({ "settings": "00".repeat(30) })).await;
    }
    let token = Ue::connect(&deployment, 0).await.bootstrap(&crowd).await.unwrap().id;
    for number in [0, 1, 99, 199] {
        let app = AppId::new(&format!("app{number}.a-long-name-for-an-application.example")).unwrap();
        let grant = application.key_for(app, &token, UaId::TLS13_PSK).await.unwrap();
        assert_eq!(grant.settings.len(), 30);
    }
}

#[tokio::test]
async fn many_requests_in_flight_on_one_connection() {
    let deployment = Deployment::start(Rpr::Tls).await;
    let sim = Sim::new(1);
    deployment.add_device(&sim, &[TRACK]).await;
    let token = Ue::connect(&deployment, 0).await.bootstrap(&sim).await.unwrap().id;
    let application = Arc::new(Application::connect(&deployment, 0, TRACK, TRACK).await);
    let mut tasks = tokio::task::JoinSet::new();
    for suite in 0..1000u16 {
        let (application, token) = (Arc::clone(&application), token.clone());
        tasks.spawn(async move { application.key(&token, UaId::tls12(suite)).await.unwrap().key });
    }
    let mut keys = tasks.join_all().await;
    keys.sort_by(|a, b| a.expose().cmp(b.expose()));
    keys.dedup();
    assert_eq!(keys.len(), 1000);
}

#[tokio::test]
async fn nothing_is_issued_for_a_resource_server_that_was_not_heard() {
    let mut deployment = Deployment::start_with(Rpr::Tls, 1, "[limits]\nstale_after = 2\n").await;
    let sim = Sim::new(1);
    deployment.add_device(&sim, &[TRACK]).await;
    let token = Ue::connect(&deployment, 0).await.bootstrap(&sim).await.unwrap().id;
    let application = Application::connect(&deployment, 0, TRACK, TRACK).await;
    assert!(application.key(&token, UaId::TLS13_PSK).await.is_ok());
    deployment.resource.take().unwrap().shutdown().await;
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(15);
    loop {
        match application.key(&token, UaId::TLS13_PSK).await {
            Err(Refusal::ResourceServerUnreachable) => break,
            Ok(_) if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
            other => panic!("{other:?}"),
        }
    }
}
