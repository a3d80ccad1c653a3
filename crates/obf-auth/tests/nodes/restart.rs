//! What was acknowledged is there again after a restart (issue sentence 9).

use crate::{
    application::Application,
    deployment::{Deployment, Rpr, TRACK},
    device::{Sim, Ue},
};
use obf_types::{Refusal, UaId};

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
        assert_eq!(grant.key, token.app_key(&naf));
    }
    assert_eq!(application.key(&tokens[0].id, UaId::TLS13_PSK).await, Err(Refusal::TokenRevoked));
    // The counter goes on where it was.
    let mut ue = Ue::connect(&deployment, 0).await;
    assert_eq!(ue.bootstrap(&sims[1]).await.unwrap().counter, 2);
}
