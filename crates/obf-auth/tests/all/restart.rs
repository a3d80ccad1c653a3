//! What was acknowledged is there again after a restart (issue sentence 9).

use crate::{
    application::Application,
    deployment::{Deployment, Rpr, TRACK},
    device::{Sim, Ue},
};
use obf_types::{Refusal, UaId};

/// The Authentication Server remembers under which epoch a device's tokens ended. A Resource Server that starts anew, as
/// after a restore from before the device was added, has to get beyond it.
#[tokio::test]
async fn a_device_imported_into_a_database_that_never_had_it_bootstraps_again() {
    let mut deployment = Deployment::start(Rpr::Tls).await;
    let sim = Sim::new(1);
    deployment.add_device(&sim, &[TRACK]).await;
    let mut ue = Ue::connect(&deployment, 0).await;
    ue.bootstrap(&sim).await.unwrap();
    for _ in 0..3 {
        let path = format!("/v1/devices/{}:revoke", sim.imsi);
        deployment.resource_admin("POST", &path, &serde_json::json!({})).await;
    }
    deployment.all_told().await;
    let former = ue.bootstrap(&sim).await.unwrap();
    drop(ue);

    deployment.stop_auth(0).await;
    deployment.restart_resource_empty().await;
    deployment.clock.advance(60);
    deployment.start_auth(0).await;
    deployment.add_device(&sim, &[TRACK]).await;
    let mut ue = Ue::connect(&deployment, 0).await;
    let token = ue.bootstrap(&sim).await.unwrap();
    let application = Application::connect(&deployment, 0, TRACK, TRACK).await;
    assert!(application.key(&token.id, UaId::TLS13_PSK).await.is_ok());
    // What the former registration gave out ended with it.
    assert_eq!(application.key(&former.id, UaId::TLS13_PSK).await, Err(Refusal::TokenRevoked));
}

#[tokio::test]
async fn tokens_and_revocations_survive_a_restart() {
    let mut deployment = Deployment::start(Rpr::Tls).await;
    let sims: Vec<_> = (1..=6).map(Sim::new).collect();
    let mut tokens = Vec::new();
    let mut ue = Ue::connect(&deployment, 0).await;
    for sim in &sims {
        deployment.add_device(sim, &[TRACK]).await;
        tokens.push(ue.bootstrap(sim).await.unwrap());
    }
    let ended = tokens[0].id.to_string().replace('/', "%2F").replace('+', "%2B");
    deployment.auth_administer(0, "POST", &format!("/v1/tokens/{ended}:revoke")).await;
    drop(ue);
    deployment.stop_auth(0).await;
    deployment.start_auth(0).await;
    let application = Application::connect(&deployment, 0, TRACK, TRACK).await;
    let naf = obf_types::NafId { app: obf_types::AppId::new(TRACK).unwrap(), ua: UaId::TLS13_PSK };
    for token in &tokens[1..] {
        let grant = application.key(&token.id, UaId::TLS13_PSK).await.unwrap();
        assert_eq!(Some(grant.key), token.app_key(&naf));
    }
    assert_eq!(application.key(&tokens[0].id, UaId::TLS13_PSK).await, Err(Refusal::TokenRevoked));
    // The counter goes on where it was.
    let mut ue = Ue::connect(&deployment, 0).await;
    assert_eq!(ue.bootstrap(&sims[1]).await.unwrap().counter, 2);
}
