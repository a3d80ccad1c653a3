//! `kill -9` under load (issue sentence 9): an Authentication Server node in a process of its own is killed at random
//! moments while devices bootstrap and an administrator ends tokens; whatever was acknowledged is there again, and every
//! revocation in the audit.
//!
//! The same test is both: with a configuration in its environment it is the node.

use crate::{
    application::Application,
    deployment::{Deployment, Rpr, TRACK},
    device::{Sim, Ue},
};
use obf_rpb::SecurityAssociation;
use obf_types::{AppId, NafId, Refusal, UaId};
use std::{
    collections::HashSet,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

const CONFIG: &str = "OBF_TEST_NODE_CONFIG";
/// Before each line of the node: the test harness writes some of its own.
const SAYS: &str = "node: ";
const ROUNDS: u32 = 8;
const DEVICES: u32 = 8;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_before_kill_9_is_there_again() {
    match std::env::var(CONFIG) {
        Ok(config) => node(&config).await,
        Err(_) => parent().await,
    }
}

/// A node until it is killed.
async fn node(config: &str) {
    let config: obf_auth::Config = toml::from_str(config).unwrap();
    let handle = obf_auth::start(config, obf_auth::Environment::default()).await.unwrap();
    for (point, address, _) in handle.endpoints() {
        println!("{SAYS}{point} {address}");
    }
    println!("{SAYS}ready");
    std::future::pending::<()>().await;
}

/// What was acknowledged.
#[derive(Default)]
struct Acknowledged {
    live: Vec<SecurityAssociation>,
    ended: Vec<SecurityAssociation>,
}

async fn parent() {
    let mut deployment = Deployment::start(Rpr::Tls).await;
    deployment.stop_auth(0).await;
    let sims: Vec<Arc<Sim>> = (1..=DEVICES).map(|number| Arc::new(Sim::new(number))).collect();
    for sim in &sims {
        deployment.add_device(sim, &[TRACK]).await;
    }
    let acknowledged = Arc::new(Mutex::new(Acknowledged::default()));
    let mut killed = 0;
    for round in 0..ROUNDS {
        let mut child = spawn(&mut deployment);
        check(&deployment, &acknowledged).await;
        let shared = Arc::new(deployment);
        let mut devices = tokio::task::JoinSet::new();
        for sim in &sims {
            devices.spawn(load(Arc::clone(&shared), Arc::clone(sim), Arc::clone(&acknowledged)));
        }
        // The moment is what is random here; nothing is waited for.
        let mut moment = [0];
        getrandom::fill(&mut moment).unwrap();
        tokio::time::sleep(Duration::from_millis(300 + 3 * u64::from(moment[0]))).await;
        child.kill().unwrap();
        child.wait().unwrap();
        killed += 1;
        devices.join_all().await;
        deployment = Arc::into_inner(shared).unwrap();
        let acknowledged = acknowledged.lock().unwrap();
        println!("round {round}: {} live, {} ended", acknowledged.live.len(), acknowledged.ended.len());
    }
    let mut child = spawn(&mut deployment);
    check(&deployment, &acknowledged).await;
    child.kill().unwrap();
    child.wait().unwrap();
    let acknowledged = acknowledged.lock().unwrap();
    assert!(
        acknowledged.live.len() > 50 && !acknowledged.ended.is_empty(),
        "too little load to prove anything"
    );
    println!("killed {killed} times: every acknowledged token and revocation was there again");
}

fn spawn(deployment: &mut Deployment) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::what_was_acknowledged_before_kill_9_is_there_again", "--nocapture"])
        .env(CONFIG, deployment.auth_config(0))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let Some(said) = line.strip_prefix(SAYS) else { continue };
        match said.split_once(' ') {
            Some((point, address)) => {
                deployment.elsewhere.insert((0, point.into()), address.parse().unwrap())
            }
            None => break,
        };
    }
    child
}

/// Bootstraps, and ends every fourth token, until the node is gone.
async fn load(deployment: Arc<Deployment>, sim: Arc<Sim>, acknowledged: Arc<Mutex<Acknowledged>>) {
    let Some(mut ue) = Ue::try_connect(&deployment, 0).await else { return };
    for number in 1.. {
        let Some(Ok(association)) = ue.try_bootstrap(&sim).await else { return };
        if number % 4 != 0 {
            acknowledged.lock().unwrap().live.push(association);
            continue;
        }
        let id = association.id.to_string().replace('/', "%2F").replace('+', "%2B");
        match deployment.try_end(0, &format!("/v1/tokens/{id}:revoke")).await {
            Some(200) => acknowledged.lock().unwrap().ended.push(association),
            // It may have ended or not.
            _ => return,
        }
    }
}

/// What the audit says was done something to; nothing of it was altered or is missing.
async fn acts(deployment: &Deployment) -> HashSet<String> {
    let verified = deployment.auth_administer(0, "GET", "/v1/audit:verify").await;
    assert_eq!(verified["intact"], true, "{verified}");
    let (mut acts, mut after) = (HashSet::new(), 0);
    loop {
        let page = deployment.auth_administer(0, "GET", &format!("/v1/audit?after={after}")).await;
        for row in page["audit"].as_array().unwrap() {
            assert_eq!((&row["actor"], &row["action"]), (&"admin".into(), &"token.revoke".into()));
            acts.insert(row["object"].as_str().unwrap().to_owned());
        }
        match page["next"].as_str() {
            Some(next) => after = next.parse().unwrap(),
            None => return acts,
        }
    }
}

/// Every token acknowledged as live gives the key that its device has, unless a later bootstrap of the device ended its
/// time; every ended one gives none; the device's counter never went back.
async fn check(deployment: &Deployment, acknowledged: &Mutex<Acknowledged>) {
    let application = Application::connect(deployment, 0, TRACK, TRACK).await;
    let naf = NafId { app: AppId::new(TRACK).unwrap(), ua: UaId::TLS13_PSK };
    let (live, ended) = {
        let acknowledged = acknowledged.lock().unwrap();
        (acknowledged.live.clone(), acknowledged.ended.clone())
    };
    for association in &live {
        match application.key(&association.id, UaId::TLS13_PSK).await {
            Ok(grant) => assert_eq!(Some(grant.key), association.app_key(&naf)),
            Err(Refusal::TokenExpired) => {
                let newer = live.iter().chain(&ended).any(|other| {
                    other.identity == association.identity && other.counter > association.counter
                });
                assert!(newer, "an acknowledged token is gone: {}", association.id);
            }
            Err(refusal) => panic!("an acknowledged token: {refusal}"),
        }
    }
    let acts = acts(deployment).await;
    for association in &ended {
        let refusal = application.key(&association.id, UaId::TLS13_PSK).await.unwrap_err();
        assert_eq!(refusal, Refusal::TokenRevoked, "an acknowledged revocation was forgotten");
        let object = format!("token:{}", association.id);
        assert!(acts.contains(&object), "an acknowledged revocation is not in the audit");
    }
    let mut counters: Vec<_> =
        live.iter().chain(&ended).map(|token| (token.identity.clone(), token.counter)).collect();
    let all = counters.len();
    counters.sort();
    counters.dedup();
    assert_eq!(counters.len(), all, "a bootstrap counter was given twice");
}
