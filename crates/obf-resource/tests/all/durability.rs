//! Durability with real processes (issue sentences 4 and 9): `kill -9` at random moments under load, failover between
//! two processes of one Resource Server, and no key in clear in anything it writes.
//!
//! Power loss, where even what the system had taken is gone, is tested in `obf-store`.

use crate::common::{Admin, LONG, POLICY, RprUdpClient, Usim};
use obf_rpr::{RprClient, VectorAnswer};
use obf_store::{Options, resource::ResourceDb};
use obf_testkit::{Deployment, Sim};
use obf_token::SealingKey;
use obf_types::{Domain, NodeNumber};
use serde_json::Value;
use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

const DEVICES: u32 = 30;
const RS_HOST: &str = "rs.as.obf.example";

/// Everything that was acknowledged since the deployment began.
#[derive(Default)]
struct Ledger {
    taken: Mutex<HashSet<(u32, u64)>>,
    highest: Mutex<HashMap<u32, (u64, u64)>>,
    count: AtomicU64,
}

impl Ledger {
    fn vector(&self, device: u32, answer: &VectorAnswer) {
        let sqn = Usim::new().sqn(answer);
        assert!(
            self.taken.lock().unwrap().insert((device, sqn)),
            "device {device}: SQN {sqn:#x} handed out twice"
        );
        self.reached(device, sqn, answer.device.epoch.0);
    }

    fn reached(&self, device: u32, sqn: u64, epoch: u64) {
        let mut highest = self.highest.lock().unwrap();
        let known = highest.entry(device).or_default();
        *known = (known.0.max(sqn), known.1.max(epoch));
        self.count.fetch_add(1, Ordering::SeqCst);
    }

    async fn has_grown_by(&self, more: u64) {
        let wanted = self.count.load(Ordering::SeqCst) + more;
        let grown = async {
            while self.count.load(Ordering::SeqCst) < wanted {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(LONG, grown).await.expect("the load goes on");
    }
}

fn deployment() -> Deployment {
    Deployment::init(&[])
}

fn import(deployment: &Deployment) {
    let lines: String = (0..DEVICES).map(|number| Sim::number(number).import_line()).collect();
    deployment.obf_with_input(&["device", "import", "-"], lines.as_bytes()).expect_success();
}

async fn client(deployment: &Deployment, servers: &[SocketAddr]) -> RprUdpClient {
    let secret = std::fs::read_to_string(deployment.file("radius.secret")).unwrap();
    let client =
        RprClient { domain: Domain::new("as.obf.example").unwrap(), node: NodeNumber::new(0).unwrap() };
    RprUdpClient::with(servers, secret.trim().as_bytes(), client).await
}

async fn admin(deployment: &Deployment) -> Admin {
    let token = std::fs::read_to_string(deployment.file("admin.token")).unwrap();
    let address = deployment.endpoint("resource", "admin");
    Admin::connect(address, RS_HOST, &deployment.file("ca.pem"), token.trim()).await.unwrap()
}

/// Takes vectors, one after the other, as long as it is answered.
async fn take_vectors(client: Arc<RprUdpClient>, ledger: Arc<Ledger>, lane: u32) {
    for step in 0.. {
        let device = (lane * 7 + step) % DEVICES;
        let Ok(reply) = client.send(&crate::common::vector_for(&Sim::number(device).imsi)).await else {
            return;
        };
        ledger.vector(device, &VectorAnswer::decode(&reply, crate::common::VENDOR).unwrap());
    }
}

/// Ends the tokens of one device after the other, as long as it is answered.
async fn revoke(mut admin: Admin, ledger: Arc<Ledger>) {
    for step in 0.. {
        let device = step % DEVICES;
        let path = format!("/v1/devices/{}:revoke", Sim::number(device).imsi);
        let Ok(answer) = admin.send("POST", &path, "").await else { return };
        let shown: Value = serde_json::from_slice(answer.body()).unwrap();
        ledger.reached(device, 0, shown["epoch"].as_u64().unwrap());
    }
}

/// Every device stands at least where it was acknowledged to be.
async fn check(deployment: &Deployment, ledger: &Ledger) {
    let mut admin = admin(deployment).await;
    let highest = ledger.highest.lock().unwrap().clone();
    for (device, (sqn, epoch)) in highest {
        let path = format!("/v1/devices/{}", Sim::number(device).imsi);
        let shown = admin.done("GET", &path, Value::Null).await;
        let now = u64::from_str_radix(shown["sqn"].as_str().unwrap(), 16).unwrap();
        assert!(now >= sqn, "device {device}: SQN {now:#x} after {sqn:#x} was acknowledged");
        assert!(shown["epoch"].as_u64().unwrap() >= epoch, "device {device}: revocation {epoch} is lost");
    }
}

fn random(below: u64) -> u64 {
    let mut octets = [0; 8];
    getrandom::fill(&mut octets).unwrap();
    u64::from_be_bytes(octets) % below
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_under_load_loses_no_acknowledged_sqn_or_revocation() {
    let mut deployment = deployment();
    let ledger = Arc::new(Ledger::default());
    for round in 0..8 {
        deployment.serve("resource", &[]);
        if round == 0 {
            import(&deployment);
        }
        check(&deployment, &ledger).await;
        let client = Arc::new(client(&deployment, &[deployment.endpoint("resource", "rpr")]).await);
        let mut load = JoinSet::new();
        load.spawn(revoke(admin(&deployment).await, ledger.clone()));
        for lane in 0..32 {
            load.spawn(take_vectors(client.clone(), ledger.clone(), lane));
        }
        ledger.has_grown_by(1 + random(600)).await;
        deployment.servers().last_mut().unwrap().kill();
        load.abort_all();
        while let Some(lane) = load.join_next().await {
            // A lane that panicked has seen an SQN twice, or an answer that is none.
            assert!(lane.is_ok() || lane.unwrap_err().is_cancelled());
        }
    }
    deployment.serve("resource", &[]);
    check(&deployment, &ledger).await;
    assert!(ledger.taken.lock().unwrap().len() > 500, "too little load to mean anything");
}

/// Issue sentence 4: a second process of the same logical Resource Server, on the same database with its own slice of
/// SQN. The first is killed under load: no SQN twice, and nothing fails: a request takes at most the retransmission
/// time longer. That bound is the issue's; the slack on it is for a loaded machine.
#[tokio::test(flavor = "multi_thread")]
async fn the_second_process_takes_over_with_no_sqn_twice_and_no_request_failed() {
    let mut deployment = deployment();
    let rpr = |server: &obf_testkit::Server| server.endpoint("resource", "rpr").unwrap();
    let first = rpr(deployment.serve("resource", &["--set", "resource.nodes=2"]));
    let other =
        ["--set", "resource.nodes=2", "--set", "resource.node=1", "--set", "resource.rpr.listen=127.0.0.1:0"];
    let second = rpr(deployment.serve("resource", &other));
    assert_ne!(first, second);
    import(&deployment);
    let ledger = Arc::new(Ledger::default());
    let slowest = Arc::new(Mutex::new(Duration::ZERO));
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut load = JoinSet::new();
    for order in [[first, second], [second, first]] {
        let client = Arc::new(client(&deployment, &order).await);
        for lane in 0..24u32 {
            let (client, ledger, slowest) = (client.clone(), ledger.clone(), slowest.clone());
            let stopped = stopped.clone();
            load.spawn(async move {
                for step in 0.. {
                    if *stopped.borrow() {
                        return;
                    }
                    let device = (lane * 7 + step) % DEVICES;
                    let begun = Instant::now();
                    let answer = client.vector(&Sim::number(device).imsi).await.expect("no bootstrap fails");
                    ledger.vector(device, &answer);
                    let mut slowest = slowest.lock().unwrap();
                    *slowest = begun.elapsed().max(*slowest);
                }
            });
        }
    }
    ledger.has_grown_by(800 + random(400)).await;
    deployment.servers()[0].kill();
    *slowest.lock().unwrap() = Duration::ZERO;
    ledger.has_grown_by(800).await;
    stop.send_replace(true);
    while let Some(lane) = load.join_next().await {
        lane.unwrap();
    }
    let slices: HashSet<u64> = ledger.taken.lock().unwrap().iter().map(|(_, sqn)| sqn % 32).collect();
    assert_eq!(slices, HashSet::from([0, 1]), "each process has its own IND");
    // 200 ms and 400 ms until the other server is asked, each 10 % more at most.
    let retransmission: Duration = POLICY.initial * 33 / 10;
    let slowest = *slowest.lock().unwrap();
    assert!(slowest < retransmission + Duration::from_secs(5), "{slowest:?}");
    check(&deployment, &ledger).await;
}

/// Subscriber keys are encrypted at rest and never logged: neither database, log, endpoints file nor any answer has K,
/// OPc, a data key or the KEK, as octets, hex digits or base64.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_written_has_a_key_in_clear() {
    let mut deployment = deployment();
    deployment.serve("resource", &[]);
    import(&deployment);
    let sim = Sim::number(1);
    // What goes wrong is logged and answered too.
    let conflicting = sim.import_line().replace("\"sqn\":\"000000000000\"", "\"sqn\":\"000000000020\"");
    let refused = deployment.obf_with_input(&["device", "import", "-"], conflicting.as_bytes());
    assert_eq!(refused.code(), 6, "{refused:?}");
    let client = client(&deployment, &[deployment.endpoint("resource", "rpr")]).await;
    client.vector(&sim.imsi).await.unwrap();
    let shown = deployment.obf(&["device", "show", &sim.imsi, "--json"]);
    shown.expect_success();

    let mut written = Vec::new();
    collect(deployment.dir(), &mut written);
    assert!(written.iter().any(|(name, content)| name.ends_with("resource.db-wal") && !content.is_empty()));
    // Once more after the end, when the log has gone into the database.
    assert!(deployment.servers()[0].terminate().success());
    collect(deployment.dir(), &mut written);
    assert!(written.iter().any(|(name, content)| name.ends_with("resource.db") && content.len() > 4096));
    written.push(("log".into(), deployment.servers()[0].log().into_bytes()));
    written.push(("refusal".into(), format!("{refused:?}").into_bytes()));
    written.push(("answer".into(), shown.stdout.into_bytes()));
    let marker = sim.imsi.as_bytes();
    let has = |content: &[u8], part: &[u8]| content.windows(part.len()).any(|window| window == part);
    assert!(written.iter().any(|(_, content)| has(content, marker)), "the search finds what is there");
    let kek = std::fs::read_to_string(deployment.file("kek.hex")).unwrap();
    let mut keys = vec![sim.k.clone(), sim.opc.clone()];
    // The halves of longer keys: whoever finds one knows that the whole is there.
    keys.extend(halves(kek.trim()));
    let store = ResourceDb::open(&Options::new(deployment.file("data/resource.db"))).unwrap();
    let opener = obf_types::hex::secret(kek.trim()).unwrap();
    for key in store.data_keys().await.unwrap() {
        // By hand: the key management system shows none.
        let opener = SealingKey::new(SealingKey::id_of(&key.wrapped).unwrap(), &opener);
        let associated = [&b"obf data key\0"[..], &key.id.to_be_bytes()].concat();
        let octets = opener.open(&associated, &key.wrapped).unwrap();
        keys.extend(halves(&octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>()));
    }
    assert!(keys.len() >= 6, "K, OPc, the KEK, a data key");
    for key in &keys {
        let octets = u128::from_str_radix(key, 16).unwrap().to_be_bytes();
        let spellings =
            [octets.to_vec(), key.clone().into_bytes(), key.to_uppercase().into_bytes(), base64(&octets)];
        for (name, content) in written.iter().filter(|(name, _)| !name.ends_with("kek.hex")) {
            for spelling in &spellings {
                assert!(!has(content, spelling), "{name} has a key in clear");
            }
        }
    }
}

fn halves(key: &str) -> [String; 2] {
    let (first, second) = key.split_at(32);
    [first.to_owned(), second.to_owned()]
}

fn collect(directory: &Path, into: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, into);
        } else {
            into.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
}

/// The first 20 characters: those do not depend on what follows.
fn base64(octets: &[u8; 16]) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let groups = octets.as_chunks::<3>().0.iter();
    groups
        .flat_map(|[a, b, c]| {
            let bits = u32::from_be_bytes([0, *a, *b, *c]);
            [18, 12, 6, 0].map(|shift| ALPHABET[(bits >> shift) as usize % 64])
        })
        .collect()
}
