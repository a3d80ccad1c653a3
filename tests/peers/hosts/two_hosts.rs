//! Two Authentication Server nodes on two hosts of a network of the test's own, one PostgreSQL database, encrypted: what
//! they do at the same moment, what each hears of the other, and what is left when a node, the server or the link dies.
//!
//! The same test is all of them: in the environment stands whether it is a node.

use super::{
    application::Application,
    deployment::{Deployment, TRACK},
    device::{Sim, Ue},
};
use obf_rpb::SecurityAssociation;
use obf_testkit::{Host, PostgresCluster, in_own_network};
use obf_token::TokenId;
use obf_types::{AppId, NafId, Refusal, UaId};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::task::{JoinSet, spawn_blocking};

const TEST: &str = concat!(module_path!(), "::two_nodes_on_two_hosts_behave_as_one");
const CONFIG: &str = "OBF_TEST_NODE_CONFIG";
/// Before each line of the node: the test harness writes some of its own.
const SAYS: &str = "node: ";
/// Seconds after which a node that does not hear its store issues nothing.
const STALE_AFTER: u64 = 3;
const DEVICES: u32 = 6;
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn two_nodes_on_two_hosts_behave_as_one() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if let Ok(config) = std::env::var(CONFIG) {
        runtime().block_on(node(&config));
    } else if in_own_network(TEST.split_once("::").unwrap().1) {
        runtime().block_on(story());
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

async fn story() {
    let mut site = Site::start().await;
    site.what_one_makes_the_other_knows().await;
    site.a_challenge_raced_at_both_is_used_once().await;
    site.what_one_ends_the_other_refuses_and_tells().await;
    site.kill_9_of_a_node_loses_nothing().await;
    site.kill_9_of_the_server_loses_nothing().await;
    site.a_node_that_does_not_hear_the_store_issues_nothing().await;
    site.end().await;
}

struct Site {
    deployment: Arc<Deployment>,
    cluster: Option<PostgresCluster>,
    database: String,
    hosts: [Host; 2],
    nodes: [Option<Child>; 2],
    sims: Vec<Arc<Sim>>,
}

/// What was acknowledged.
#[derive(Default)]
struct Acknowledged {
    live: Vec<SecurityAssociation>,
    ended: Vec<SecurityAssociation>,
    refused: u32,
}

impl Site {
    async fn start() -> Self {
        let deployment = Deployment::for_hosts(
            2,
            &format!("[limits]\nstale_after = {STALE_AFTER}\nchallenges = 100000\n"),
        )
        .await;
        let hosts = [Host::new(1), Host::new(2)];
        let addresses = hosts.each_ref().map(|host| host.storage().to_string());
        let (chain, key) = certificate(&deployment.file("storage-ca.pem"), &addresses);
        let started = spawn_blocking(move || {
            let cluster = PostgresCluster::start_encrypted(&chain, &key);
            let database = cluster.database();
            (cluster, database)
        });
        let (cluster, database) = started.await.unwrap();
        let sims: Vec<_> = (1..=DEVICES).map(|number| Arc::new(Sim::new(number))).collect();
        for sim in &sims {
            deployment.add_device(sim, &[TRACK]).await;
        }
        let deployment = Arc::new(deployment);
        let mut site =
            Self { deployment, cluster: Some(cluster), database, hosts, nodes: [None, None], sims };
        for number in 0..2 {
            site.start_node(number).await;
        }
        site
    }

    /// A node on its host, which reaches the database over its link to storage.
    async fn start_node(&mut self, number: usize) {
        let deployment = Arc::get_mut(&mut self.deployment).expect("nobody works");
        let host = &self.hosts[number];
        let file = deployment.file("auth.db").display().to_string();
        let server = self.database.replace("127.0.0.1", &host.storage().to_string()) + "?sslmode=require";
        let config = deployment
            .auth_config(number)
            .replace(&file, &server)
            .replace("0.0.0.0", &host.services().to_string())
            .replace("127.0.0.1:0", &format!("{}:0", host.address()));
        let mut child = host
            .command(&std::env::current_exe().unwrap())
            .args(["--exact", TEST.split_once("::").unwrap().1, "--nocapture"])
            .env(CONFIG, config)
            .env("SSL_CERT_FILE", deployment.file("storage-ca.pem"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut lines = output.lines().map_while(Result::ok);
        for line in lines.by_ref() {
            let Some((_, line)) = line.split_once(SAYS) else { continue };
            match line.split_once(' ') {
                Some((point, address)) => {
                    deployment.elsewhere.insert((number, point.into()), address.parse().unwrap());
                }
                None => break,
            }
        }
        assert!(deployment.elsewhere.contains_key(&(number, "rpo".into())), "node {number} did not start");
        // The test harness there says something every minute.
        std::thread::spawn(move || lines.for_each(drop));
        self.nodes[number] = Some(child);
    }

    fn kill_node(&mut self, number: usize) {
        let mut child = self.nodes[number].take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    async fn bootstrap(&self, node: usize, sim: usize) -> SecurityAssociation {
        Ue::connect(&self.deployment, node).await.bootstrap(&self.sims[sim]).await.unwrap()
    }

    async fn application(&self, node: usize, instance: &str) -> Application {
        Application::connect_as(&self.deployment, node, TRACK, TRACK, instance, true).await
    }

    async fn end_token(&self, node: usize, id: &TokenId) -> u16 {
        end_token(&self.deployment, node, id).await.expect("an answer")
    }

    async fn what_one_makes_the_other_knows(&self) {
        for (here, there) in [(0, 1), (1, 0)] {
            let association = self.bootstrap(here, 0).await;
            let application = self.application(there, "elsewhere").await;
            let grant = application.key(&association.id, UaId::TLS13_PSK).await.unwrap();
            assert_eq!(Some(grant.key), association.app_key(&naf()));
        }
    }

    /// One response at both nodes, whichever made the challenge.
    async fn a_challenge_raced_at_both_is_used_once(&self) {
        for round in 0..10 {
            let mut ues = [Ue::connect(&self.deployment, 0).await, Ue::connect(&self.deployment, 1).await];
            let halfway = ues[round % 2].halfway(&self.sims[1]).await;
            let [one, other] = &mut ues;
            let (one, other) = tokio::join!(one.exchange(&halfway.request), other.exchange(&halfway.request));
            let mut statuses = [one.status().as_u16(), other.status().as_u16()];
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 401], "round {round}");
        }
    }

    async fn what_one_ends_the_other_refuses_and_tells(&self) {
        let mut applications = [self.application(0, "one").await, self.application(1, "other").await];
        for (here, there) in [(0, 1), (1, 0), (0, 1)] {
            let id = self.bootstrap(here, 2).await.id;
            for application in &applications {
                application.key(&id, UaId::TLS13_PSK).await.unwrap();
            }
            assert_eq!(self.end_token(here, &id).await, 200);
            let began = Instant::now();
            while applications[there].key(&id, UaId::TLS13_PSK).await != Err(Refusal::TokenRevoked) {
                assert!(began.elapsed() < Duration::from_secs(5), "it is not refused");
            }
            println!("heard after {:?}", began.elapsed());
            for application in &mut applications {
                assert_eq!(application.told().await.token, id);
            }
        }
        // Also by the Resource Server, which tells each node.
        let id = self.bootstrap(0, 2).await.id;
        applications[1].key(&id, UaId::TLS13_PSK).await.unwrap();
        let path = format!("/v1/devices/{}:revoke", self.sims[2].imsi);
        self.deployment.resource_admin("POST", &path, &serde_json::json!({})).await;
        for application in &mut applications {
            assert_eq!(application.told().await.token, id);
            assert_eq!(application.key(&id, UaId::TLS13_PSK).await, Err(Refusal::TokenRevoked));
        }
    }

    async fn kill_9_of_a_node_loses_nothing(&mut self) {
        let acknowledged = Arc::<Mutex<Acknowledged>>::default();
        let load = self.load(&acknowledged);
        until(&acknowledged, |it| it.live.len() > 30 && it.ended.len() > 3).await;
        self.kill_node(0);
        // What was under way there is neither here nor there; the other goes on.
        let so_far = acknowledged.lock().unwrap().live.len();
        until(&acknowledged, |it| it.live.len() > so_far + 20).await;
        stop(load, &acknowledged).await;
        check(&self.deployment, 1, &acknowledged).await;
        self.start_node(0).await;
        check(&self.deployment, 0, &acknowledged).await;
    }

    async fn kill_9_of_the_server_loses_nothing(&mut self) {
        let acknowledged = Arc::<Mutex<Acknowledged>>::default();
        let load = self.load(&acknowledged);
        until(&acknowledged, |it| it.live.len() > 30 && it.ended.len() > 3).await;
        self.server(PostgresCluster::kill).await;
        until(&acknowledged, |it| it.refused > 5).await;
        self.server(PostgresCluster::restart).await;
        let so_far = acknowledged.lock().unwrap().live.len();
        until(&acknowledged, |it| it.live.len() > so_far + 30).await;
        stop(load, &acknowledged).await;
        for node in 0..2 {
            check(&self.deployment, node, &acknowledged).await;
        }
    }

    async fn a_node_that_does_not_hear_the_store_issues_nothing(&self) {
        let (ended, stays) = (self.bootstrap(0, 3).await, self.bootstrap(0, 4).await);
        let application = self.application(1, "deaf").await;
        for association in [&ended, &stays] {
            application.key(&association.id, UaId::TLS13_PSK).await.unwrap();
        }
        self.hosts[1].cut_storage();
        let cut = Instant::now();
        assert_eq!(self.end_token(0, &ended.id).await, 200);
        // For a while the node cannot know; then it knows that it cannot.
        tokio::time::sleep(Duration::from_secs(STALE_AFTER + 1)).await;
        for association in [&ended, &stays] {
            let refused = application.key(&association.id, UaId::TLS13_PSK).await;
            assert_eq!(refused, Err(Refusal::StorageFailed), "{:?} after the cut", cut.elapsed());
        }
        let bootstrapped = Ue::connect(&self.deployment, 1).await.bootstrap(&self.sims[5]).await;
        assert!(bootstrapped.is_err(), "issued without the store");
        // The other node serves on.
        let elsewhere = self.application(0, "hears").await;
        assert!(elsewhere.key(&stays.id, UaId::TLS13_PSK).await.is_ok());
        self.bootstrap(0, 5).await;
        self.hosts[1].mend_storage();
        let mended = Instant::now();
        while application.key(&stays.id, UaId::TLS13_PSK).await.is_err() {
            assert!(mended.elapsed() < PATIENCE, "it does not hear the store again");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(application.key(&ended.id, UaId::TLS13_PSK).await, Err(Refusal::TokenRevoked));
        self.bootstrap(1, 5).await;
    }

    /// Does something to the database's server.
    async fn server(&mut self, act: fn(&mut PostgresCluster)) {
        let mut cluster = self.cluster.take().unwrap();
        let acted = spawn_blocking(move || {
            act(&mut cluster);
            cluster
        });
        self.cluster = Some(acted.await.unwrap());
    }

    /// Each device bootstraps at one node or the other, and ends every fourth token.
    fn load(&self, acknowledged: &Arc<Mutex<Acknowledged>>) -> JoinSet<()> {
        let mut devices = JoinSet::new();
        for (place, sim) in self.sims.iter().enumerate() {
            let (deployment, sim) = (Arc::clone(&self.deployment), Arc::clone(sim));
            devices.spawn(work(deployment, place % 2, sim, Arc::clone(acknowledged)));
        }
        devices
    }

    async fn end(mut self) {
        self.kill_node(0);
        self.kill_node(1);
        spawn_blocking(move || drop(self.cluster)).await.unwrap();
    }
}

fn naf() -> NafId {
    NafId { app: AppId::new(TRACK).unwrap(), ua: UaId::TLS13_PSK }
}

async fn end_token(deployment: &Deployment, node: usize, id: &TokenId) -> Option<u16> {
    let id = id.to_string().replace('/', "%2F").replace('+', "%2B");
    deployment.try_end(node, &format!("/v1/tokens/{id}:revoke")).await
}

/// Works as long as it is let, while nodes and servers come and go.
async fn work(deployment: Arc<Deployment>, node: usize, sim: Arc<Sim>, all: Arc<Mutex<Acknowledged>>) {
    let mut number = 0;
    loop {
        let Some(mut ue) = Ue::try_connect(&deployment, node).await else {
            // A node that was killed.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        while let Some(answer) = ue.try_bootstrap(&sim).await {
            let Ok(association) = answer else {
                all.lock().unwrap().refused += 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            number += 1;
            if number % 4 != 0 {
                all.lock().unwrap().live.push(association);
            } else if end_token(&deployment, node, &association.id).await == Some(200) {
                // Without an answer it may have ended or not.
                all.lock().unwrap().ended.push(association);
            }
        }
    }
}

async fn until(acknowledged: &Mutex<Acknowledged>, enough: impl Fn(&Acknowledged) -> bool) {
    let began = Instant::now();
    while !enough(&acknowledged.lock().unwrap()) {
        assert!(began.elapsed() < PATIENCE, "too little was acknowledged");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Stops the load: what is under way then is neither here nor there.
async fn stop(mut load: JoinSet<()>, acknowledged: &Mutex<Acknowledged>) {
    load.shutdown().await;
    let acknowledged = acknowledged.lock().unwrap();
    println!("{} live, {} ended", acknowledged.live.len(), acknowledged.ended.len());
}

/// Every token acknowledged as live gives the key that its device has, unless a later bootstrap of the device ended its
/// time; every ended one gives none.
async fn check(deployment: &Deployment, node: usize, acknowledged: &Mutex<Acknowledged>) {
    let application = Application::connect(deployment, node, TRACK, TRACK).await;
    let (live, ended) = {
        let acknowledged = acknowledged.lock().unwrap();
        (acknowledged.live.clone(), acknowledged.ended.clone())
    };
    for association in &live {
        match application.key(&association.id, UaId::TLS13_PSK).await {
            Ok(grant) => assert_eq!(Some(grant.key), association.app_key(&naf())),
            Err(Refusal::TokenExpired) => {
                let newer = live.iter().chain(&ended).any(|other| {
                    other.identity == association.identity && other.counter > association.counter
                });
                assert!(newer, "an acknowledged token is gone: {}", association.id);
            }
            Err(refusal) => panic!("an acknowledged token: {refusal}"),
        }
    }
    for association in &ended {
        let refused = application.key(&association.id, UaId::TLS13_PSK).await;
        assert_eq!(refused, Err(Refusal::TokenRevoked), "an acknowledged revocation is gone");
    }
}

/// A certificate for these addresses and its key, PEM; who issued it is written to that file.
fn certificate(authority: &Path, addresses: &[String]) -> (String, String) {
    let ca_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "storage");
    std::fs::write(authority, params.self_signed(&ca_key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(params, ca_key);
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(addresses.to_vec()).unwrap().signed_by(&key, &issuer).unwrap();
    (certificate.pem(), key.serialize_pem())
}
