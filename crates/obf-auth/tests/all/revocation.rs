//! Revocation (issue sentences 4 and 7): whoever ends a token, it is over everywhere at once, and stays so.

use crate::{
    application::Application,
    deployment::{Deployment, OTHER, Rpr, TRACK},
    device::{Sim, Ue},
};
use obf_rpb::ClientStep;
use obf_token::TokenId;
use obf_types::{Refusal, UaId};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

pub fn escaped(id: &TokenId) -> String {
    id.to_string().replace('/', "%2F").replace('+', "%2B").replace('=', "%3D")
}

#[tokio::test]
async fn the_resource_servers_disconnect_ends_tokens_on_every_node_and_tells_applications() {
    for rpr in [Rpr::Udp, Rpr::Tls] {
        let deployment = Deployment::start_with(rpr, 2, "").await;
        let sim = Sim::new(1);
        deployment.add_device(&sim, &[TRACK]).await;
        let token = Ue::connect(&deployment, 0).await.bootstrap(&sim).await.unwrap().id;
        let mut applications = [
            Application::connect(&deployment, 0, TRACK, TRACK).await,
            Application::connect_as(&deployment, 1, TRACK, TRACK, "instance-2", true).await,
        ];
        for application in &applications {
            application.key(&token, UaId::TLS13_PSK).await.unwrap();
        }
        let mut late = Ue::connect(&deployment, 1).await;
        let halfway = late.halfway(&sim).await;
        let path = format!("/v1/devices/{}:revoke", sim.imsi);
        let begun = Instant::now();
        deployment.resource_admin("POST", &path, &json!({})).await;
        for application in &mut applications {
            let told = application.told().await;
            assert_eq!((told.token, told.device), (token.clone(), None));
        }
        // Issue sentence 7 allows a second to the closed socket; generous, because tests run side by side.
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        for application in &applications {
            assert_eq!(application.key(&token, UaId::TLS13_PSK).await, Err(Refusal::TokenRevoked));
        }
        // A challenge from before is not accepted any more; a new one is.
        assert_eq!(late.exchange(&halfway.request).await.status(), 401);
        let next = late.bootstrap(&sim).await.unwrap().id;
        applications[0].key(&next, UaId::TLS13_PSK).await.unwrap();
    }
}

#[tokio::test]
async fn an_administrator_ends_one_token_and_an_application_that_was_away_learns_it_first() {
    let deployment = Deployment::start_with(Rpr::Tls, 2, "").await;
    let (sim, stays) = (Sim::new(1), Sim::new(2));
    deployment.add_device(&sim, &[TRACK, OTHER]).await;
    deployment.add_device(&stays, &[TRACK]).await;
    let mut ue = Ue::connect(&deployment, 0).await;
    let token = ue.bootstrap(&sim).await.unwrap().id;
    let staying = ue.bootstrap(&stays).await.unwrap().id;
    let away = Application::connect(&deployment, 0, TRACK, TRACK).await;
    away.key(&token, UaId::TLS13_PSK).await.unwrap();
    drop(away);
    let mut other = Application::connect(&deployment, 1, OTHER, OTHER).await;
    let path = format!("/v1/tokens/{}", escaped(&token));
    let shown = deployment.auth_administer(0, "GET", &path).await;
    assert_eq!(shown["id"], token.to_string());
    assert_eq!(shown["apps"].as_array().unwrap().len(), 2);
    let ended = deployment.auth_administer(0, "POST", &format!("{path}:revoke")).await;
    assert_eq!(ended["ended"], true);
    let ended = deployment.auth_administer(0, "POST", &format!("{path}:revoke")).await;
    assert_eq!(ended["ended"], false);
    assert_eq!(other.told().await.token, token);

    // It comes back to the other node: what it missed comes before its Resume is accepted, and once.
    let mut back = Application::connect(&deployment, 1, TRACK, TRACK).await;
    assert_eq!(back.notices.try_recv().unwrap().token, token);
    assert_eq!(back.key(&token, UaId::TLS13_PSK).await, Err(Refusal::TokenRevoked));
    assert!(back.key(&staying, UaId::TLS13_PSK).await.is_ok());
    drop(back);
    let mut again = Application::connect(&deployment, 0, TRACK, TRACK).await;
    assert!(again.notices.try_recv().is_err());
    // Another instance of it has caches of its own.
    let mut instance = Application::connect_as(&deployment, 0, TRACK, TRACK, "instance-2", true).await;
    assert_eq!(instance.notices.try_recv().unwrap().token, token);
}

#[tokio::test]
async fn a_grant_that_is_removed_ends_that_application_only() {
    for rpr in [Rpr::Udp, Rpr::Tls] {
        let deployment = Deployment::start(rpr).await;
        let sim = Sim::new(1);
        deployment.add_device(&sim, &[TRACK, OTHER]).await;
        let token = Ue::connect(&deployment, 0).await.bootstrap(&sim).await.unwrap().id;
        let mut track = Application::connect(&deployment, 0, TRACK, TRACK).await;
        let mut other = Application::connect(&deployment, 0, OTHER, OTHER).await;
        for application in [&track, &other] {
            application.key(&token, UaId::TLS13_PSK).await.unwrap();
        }
        let path = format!("/v1/grants/{}/{TRACK}", sim.imsi);
        deployment.resource_admin("DELETE", &path, &Value::Null).await;
        assert_eq!(track.told().await.token, token);
        assert_eq!(track.key(&token, UaId::TLS13_PSK).await, Err(Refusal::NotPermitted));
        assert!(other.key(&token, UaId::TLS13_PSK).await.is_ok());
        assert!(other.notices.try_recv().is_err());
        // Given again, it works again, with the same token.
        deployment.grant(&sim, TRACK, json!({})).await;
        assert!(track.key(&token, UaId::TLS13_PSK).await.is_ok());
    }
}

/// SPEC C11: whatever is granted, a denial of the device or of a group that it is in ends the application's use of the token at
/// once, and what is granted applies again when the denial is gone.
#[tokio::test]
async fn c11_a_denial_stands_over_every_grant_at_once_and_until_it_is_removed() {
    for rpr in [Rpr::Udp, Rpr::Tls] {
        let deployment = Deployment::start(rpr).await;
        let sim = Sim::new(1);
        let admin = async |method: &str, path: &str, body: &Value| {
            deployment.resource_admin(method, path, body).await
        };
        deployment.add_device(&sim, &[TRACK, OTHER]).await;
        admin("POST", "/v1/groups", &json!({"group": "stolen"})).await;
        let mut ue = Ue::connect(&deployment, 0).await;
        let token = ue.bootstrap(&sim).await.unwrap().id;
        let mut track = Application::connect(&deployment, 0, TRACK, TRACK).await;
        let other = Application::connect(&deployment, 0, OTHER, OTHER).await;
        let (members, joins) = ("/v1/groups/stolen/members", json!({"devices": [sim.imsi]}));
        let of_device = json!({"device": sim.imsi, "app": TRACK});
        let of_group = json!({"group": "stolen", "app": TRACK});

        for step in ["of the device", "of its group", "of a group that it joins"] {
            track.key(&token, UaId::TLS13_PSK).await.unwrap();
            other.key(&token, UaId::TLS13_PSK).await.unwrap();
            let denial = match step {
                "of the device" => admin("POST", "/v1/denials", &of_device).await,
                "of its group" => {
                    admin("POST", members, &joins).await;
                    admin("POST", "/v1/denials", &of_group).await
                }
                _ => {
                    admin("DELETE", members, &joins).await;
                    let denial = admin("POST", "/v1/denials", &of_group).await;
                    track.key(&token, UaId::TLS13_PSK).await.unwrap();
                    admin("POST", members, &joins).await;
                    denial
                }
            };
            assert_eq!(track.told().await.token, token, "{step}");
            assert_eq!(track.key(&token, UaId::TLS13_PSK).await, Err(Refusal::Denied), "{step}");
            assert!(other.key(&token, UaId::TLS13_PSK).await.is_ok(), "{step}");
            // One more grant is no way around it.
            deployment.grant(&sim, TRACK, json!({"lifetime": 60})).await;
            assert_eq!(track.key(&token, UaId::TLS13_PSK).await, Err(Refusal::Denied), "{step}");
            // Removed, the same token works again at the next fetch.
            admin("DELETE", &format!("/v1/denials/{}", denial["denial"]), &Value::Null).await;
            assert!(track.key(&token, UaId::TLS13_PSK).await.is_ok(), "{step}");
        }
        // Nor is a new token: it comes without that right.
        let denial = admin("POST", "/v1/denials", &of_device).await;
        let newer = ue.bootstrap(&sim).await.unwrap().id;
        assert_eq!(track.key(&newer, UaId::TLS13_PSK).await, Err(Refusal::Denied));
        assert!(other.key(&newer, UaId::TLS13_PSK).await.is_ok());
        // One that is over denies nothing.
        let ends = json!({"device": sim.imsi, "app": TRACK, "until": "2020-01-01T00:00:00Z"});
        let over = admin("POST", "/v1/denials", &ends).await;
        assert_eq!((&over["denial"], &over["over"]), (&denial["denial"], &json!(true)));
        assert!(track.key(&newer, UaId::TLS13_PSK).await.is_ok());
    }
}

/// What a fleet loses is told of each device, in packets of many; an Authentication Server that goes down amid them
/// hears the rest when it is back, and one device's revocation does not wait for them.
#[tokio::test]
async fn a_fleets_notices_survive_a_restart_amid_them_and_end_every_right() {
    const FLEET: u32 = 2_000;
    const LIVE: u32 = 24;
    for rpr in [Rpr::Udp, Rpr::Tls] {
        let mut deployment = Deployment::start(rpr).await;
        let sims: Vec<Sim> = (1..=FLEET).map(Sim::new).collect();
        let lines: String = sims.iter().map(|sim| sim.record() + "\n").collect();
        deployment.resource_import(&lines).await;
        let devices: Vec<&str> = sims.iter().map(|sim| sim.imsi.as_str()).collect();
        deployment.resource_admin("POST", "/v1/groups", &json!({"group": "fleet"})).await;
        deployment.resource_admin("POST", "/v1/groups/fleet/members", &json!({"devices": devices})).await;
        for app in [TRACK, OTHER] {
            deployment.resource_admin("POST", "/v1/grants", &json!({"group": "fleet", "app": app})).await;
        }
        deployment.all_told().await;
        let mut ue = Ue::connect(&deployment, 0).await;
        let mut tokens = BTreeSet::new();
        // Over the whole of it, so that some are told of before the restart and some after.
        for sim in sims.iter().step_by((FLEET / LIVE) as usize) {
            tokens.insert(ue.bootstrap(sim).await.unwrap().id.to_string());
        }
        drop(ue);
        let path = format!("/v1/groups/fleet/grants/{TRACK}");
        deployment.resource_admin("DELETE", &path, &Value::Null).await;
        deployment.stop_auth(0).await;
        deployment.start_auth(0).await;
        deployment.all_told().await;

        let mut track = Application::connect(&deployment, 0, TRACK, TRACK).await;
        let other = Application::connect(&deployment, 0, OTHER, OTHER).await;
        let mut told = BTreeSet::new();
        while told.len() < tokens.len() {
            told.insert(track.told().await.token.to_string());
        }
        assert_eq!(told, tokens);
        for token in &tokens {
            let token: TokenId = token.parse().unwrap();
            assert_eq!(track.key(&token, UaId::TLS13_PSK).await, Err(Refusal::NotPermitted));
            assert!(other.key(&token, UaId::TLS13_PSK).await.is_ok());
        }
    }
}

#[tokio::test]
async fn a_suspended_application_gets_no_more_keys() {
    let deployment = Deployment::start(Rpr::Tls).await;
    let sim = Sim::new(1);
    deployment.add_device(&sim, &[TRACK]).await;
    let token = Ue::connect(&deployment, 0).await.bootstrap(&sim).await.unwrap().id;
    let application = Application::connect(&deployment, 0, TRACK, TRACK).await;
    application.key(&token, UaId::TLS13_PSK).await.unwrap();
    deployment.resource_admin("POST", &format!("/v1/apps/{TRACK}:suspend"), &json!({})).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    // The notice that its registration changed is on its way.
    loop {
        match application.key(&token, UaId::TLS13_PSK).await {
            Err(Refusal::ApplicationSuspended) => break,
            Ok(_) if Instant::now() < deadline => tokio::task::yield_now().await,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn applications_stop_with_their_provider_and_come_back_with_it() {
    let deployment = Deployment::start(Rpr::Tls).await;
    let provider =
        json!({"application_provider": "states", "name": "States", "contact": "ops@track.example"});
    deployment.resource_admin("POST", "/v1/application-providers", &provider).await;
    for app in [TRACK, OTHER] {
        let path = format!("/v1/apps/{app}");
        deployment.resource_admin("PATCH", &path, &json!({"provider": "states"})).await;
    }
    let sim = Sim::new(1);
    deployment.add_device(&sim, &[TRACK, OTHER]).await;
    deployment.all_told().await;
    let token = Ue::connect(&deployment, 0).await.bootstrap(&sim).await.unwrap().id;
    let mut track = Application::connect(&deployment, 0, TRACK, TRACK).await;
    let other = Application::connect(&deployment, 0, OTHER, OTHER).await;
    assert!(track.key(&token, UaId::TLS13_PSK).await.is_ok());
    deployment.resource_admin("POST", &format!("/v1/apps/{OTHER}:suspend"), &json!({})).await;
    deployment.resource_admin("POST", "/v1/application-providers/states:suspend", &json!({})).await;
    assert_eq!(track.told().await.token, token);
    deployment.all_told().await;
    for application in [&track, &other] {
        let refused = application.key(&token, UaId::TLS13_PSK).await;
        assert_eq!(refused, Err(Refusal::ApplicationSuspended));
    }
    deployment.resource_admin("POST", "/v1/application-providers/states:resume", &json!({})).await;
    deployment.all_told().await;
    assert!(track.key(&token, UaId::TLS13_PSK).await.is_ok());
    assert_eq!(other.key(&token, UaId::TLS13_PSK).await, Err(Refusal::ApplicationSuspended));
}

#[tokio::test]
async fn the_admin_api_wants_its_token() {
    let deployment = Deployment::start(Rpr::Tls).await;
    for token in ["", "wrong"] {
        let (status, problem) = deployment.auth_admin(0, token, "GET", "/v1/tokens").await;
        assert_eq!((status, &problem["code"]), (401, &json!("not-authenticated")));
    }
    for (method, path, status, code) in [
        ("GET", "/v1/nothing", 404, "unknown-route"),
        ("DELETE", "/v1/tokens", 405, "method-not-allowed"),
        ("GET", "/v1/tokens/x", 400, "bad-parameter"),
        ("GET", "/v1/tokens?device=x", 400, "bad-parameter"),
        ("GET", "/v1/tokens/IyMjIyMjIyMjIyMjIyMjIw==@rs.as.obf.example", 404, "OBF-101"),
        ("POST", "/v1/tokens/IyMjIyMjIyMjIyMjIyMjIw==@rs.as.obf.example:revoke", 404, "OBF-101"),
    ] {
        let (found, problem) = deployment.auth_admin(0, "the-administrator", method, path).await;
        assert_eq!((found, &problem["code"]), (status, &json!(code)), "{method} {path}");
    }
}

#[tokio::test]
async fn a_bootstrap_that_is_under_way_when_the_device_is_revoked_yields_no_token() {
    let deployment = Deployment::start(Rpr::Tls).await;
    let sim = Sim::new(1);
    deployment.add_device(&sim, &[TRACK]).await;
    let mut ue = Ue::connect(&deployment, 0).await;
    let body = json!({});
    for _ in 0..10 {
        let halfway = ue.halfway(&sim).await;
        let path = format!("/v1/devices/{}:revoke", sim.imsi);
        let (answer, _) =
            tokio::join!(ue.exchange(&halfway.request), deployment.resource_admin("POST", &path, &body));
        let mut machine = halfway.machine;
        // Whichever came first: when both are over, no token from before is left.
        if let Ok(ClientStep::Done(association)) = machine.answer(&crate::device::borrowed(&answer)) {
            let deadline = Instant::now() + Duration::from_secs(10);
            let path = format!("/v1/tokens/{}", escaped(&association.id));
            loop {
                let (status, problem) = deployment.auth_admin(0, "the-administrator", "GET", &path).await;
                if status == 404 {
                    assert_eq!(problem["code"], "OBF-103");
                    break;
                }
                assert!(Instant::now() < deadline, "the token outlived the revocation");
            }
        }
    }
}
