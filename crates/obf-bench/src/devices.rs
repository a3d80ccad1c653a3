//! A million devices: how fast they are imported, what memory they take, whether a device is found and authorised among
//! them as fast as among a thousand, and what wrapping all their keys anew costs the bootstraps beside it.

use crate::{
    bootstrap::{Target, UNLIMITED},
    deployment::{Deployment, Server},
    load, measure,
    report::{Comparison, Limit},
    subscriber::Subscriber,
};
use anyhow::{Context, Result, ensure};
use clap::Args;
use obf_files::SecretFile;
use obf_net::radius::{RadiusUdpClient, RetransmitPolicy, UdpServerAddress};
use obf_radius::{AttributeWriter, Code, Vendor};
use obf_rpr::{
    RightsAnswer, RightsRequest, RightsSelector,
    request::{RprClient, RprOperation},
};
use obf_types::{AppId, Domain, NodeNumber};
use std::{
    fs::File,
    io::{BufWriter, Write},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

const APP: &str = "track.example";
const GROUP: &str = "fleet";
/// The many.
const MANY: u64 = 1_000_000;
/// Imported devices a second (the figure; a rate has no baseline of the same run).
const IMPORTED_A_SECOND: f64 = 50_000.0;
/// Resident memory of a Resource Server with a million devices, octets.
const RESIDENT: f64 = 150e6;

/// How long a full rotation of a million may take, seconds.
const ROTATION: f64 = 60.0;
/// What is left of the bootstraps' rate beside it.
const BESIDE: f64 = 0.7;
/// How long bootstraps are counted without a rotation, before and after each; and how long they warm up.
const ALONE: Duration = Duration::from_secs(10);

/// Arguments.
#[derive(Args, Clone, Debug)]
pub struct Devices {
    /// The many; 1,000,000 if it is not said, with --against 100,000.
    #[arg(long)]
    pub many: Option<u64>,
    /// The few.
    #[arg(long, default_value_t = 1_000)]
    pub few: u64,
    /// Lookups a round of each.
    #[arg(long, default_value_t = 20_000)]
    pub lookups: usize,
    /// Clients that bootstrap beside the rotations.
    #[arg(long, default_value_t = 32)]
    pub clients: u64,
    /// Full rotations, one after the other.
    #[arg(long, default_value_t = 2)]
    pub rotations: u32,
}

impl Devices {
    /// Measures all of it.
    ///
    /// # Errors
    /// A server does not start, or refuses.
    pub async fn compare(&self, rounds: u32) -> Result<Vec<Comparison>> {
        let many_devices = self.many.unwrap_or(MANY);
        let few = Filled::start(self.few).await?;
        let many = Filled::start(many_devices).await?;
        let mut figures = Vec::new();
        for round in 0..rounds {
            figures.push(if round % 2 == 0 {
                let ours = many.percentile(self.lookups).await?;
                (ours, few.percentile(self.lookups).await?)
            } else {
                let theirs = few.percentile(self.lookups).await?;
                (many.percentile(self.lookups).await?, theirs)
            });
        }
        let resident = measure::resident_octets(many.resource.id())?;
        let rotations = many.rotate(self.clients, self.rotations).await?;
        let count = ("devices", many_devices.to_string());
        let clients = ("clients", self.clients.to_string());
        let size = ROTATION * many_devices as f64 / 1e6;
        Ok(vec![
            Comparison {
                name: "import",
                unit: "devices a second through obf device import, durable",
                baseline: "wanted".into(),
                rounds: vec![(many.imported_a_second, IMPORTED_A_SECOND)],
                limit: Limit::AtLeast(1.0),
                notes: vec![count.clone()],
            },
            Comparison {
                name: "devices-p99",
                unit: "µs, 99th percentile of a lookup with authorisation on RPR",
                baseline: format!("among {} devices", self.few),
                rounds: figures,
                limit: Limit::AtMost(1.5),
                notes: vec![count.clone(), ("lookups a round", self.lookups.to_string())],
            },
            Comparison {
                name: "devices-memory",
                unit: "octets of RSS of the RS process",
                baseline: "wanted".into(),
                rounds: vec![(resident as f64, RESIDENT)],
                limit: Limit::AtMost(1.0),
                notes: vec![count.clone()],
            },
            Comparison {
                name: "rotation",
                unit: "seconds of obf kms rotate --full beside bootstraps",
                baseline: "wanted".into(),
                rounds: rotations.iter().map(|one| (one.seconds, size)).collect(),
                limit: Limit::AtMost(1.0),
                notes: vec![count.clone(), clients.clone()],
            },
            Comparison {
                name: "rotation-bootstraps",
                unit: "bootstraps a second beside it",
                baseline: "without it, before and after".into(),
                rounds: rotations.iter().map(|one| (one.beside, one.alone)).collect(),
                limit: Limit::AtLeast(BESIDE),
                notes: vec![count, clients],
            },
        ])
    }
}

/// A Resource Server with so many devices, each granted one application.
struct Filled {
    resource: Server,
    client: RadiusUdpClient,
    count: u64,
    imported_a_second: f64,
    deployment: Deployment,
}

/// A full rotation, and bootstraps a second beside it and, around it, without.
struct Rotated {
    seconds: f64,
    alone: f64,
    beside: f64,
}

impl Filled {
    async fn start(count: u64) -> Result<Self> {
        let deployment = Deployment::init(&[])?;
        let resource = deployment.serve_on_all_cores("resource", &[])?;
        deployment.obf(&["app", "add", APP, "--cert-name", APP, "--ua", "tls-psk"], b"")?;
        let file = lines(&deployment, count)?;
        let start = Instant::now();
        deployment.obf(&["device", "import", &file.display().to_string()], b"")?;
        let imported_a_second = count as f64 / start.elapsed().as_secs_f64();
        std::fs::remove_file(&file)?;
        let secret = SecretFile::open(&deployment.file("radius.secret"))?.line()?;
        let address = resource.endpoint("rpr")?;
        let server = UdpServerAddress { address, secret };
        let client = RadiusUdpClient::open(vec![server], RetransmitPolicy::default()).await?;
        grant_all(&deployment, count)?;
        Ok(Self { resource, client, count, imported_a_second, deployment })
    }

    /// The 99th percentile of lookups of devices far apart from each other, µs.
    async fn percentile(&self, lookups: usize) -> Result<f64> {
        let latencies = Arc::new(Mutex::new(Vec::with_capacity(lookups)));
        load::in_flight(4, lookups, |number| {
            let (client, latencies) = (self.client.clone(), latencies.clone());
            // A multiplier coprime to any count spreads the numbers.
            let device = 1 + (number as u64).wrapping_mul(2_654_435_761) % self.count;
            async move {
                let start = Instant::now();
                look_up(&client, &imsi(device)).await?;
                let mut latencies = latencies.lock().unwrap_or_else(PoisonError::into_inner);
                latencies.push(start.elapsed());
                Ok(())
            }
        })
        .await?;
        let mut sorted = std::mem::take(&mut *latencies.lock().unwrap_or_else(PoisonError::into_inner));
        sorted.sort_unstable();
        let place = (sorted.len() * 99 / 100).min(sorted.len().saturating_sub(1));
        Ok(sorted.get(place).context("lookups")?.as_secs_f64() * 1e6)
    }
}

impl Filled {
    /// Wraps every key anew, so many times, while `clients` devices bootstrap without pause.
    async fn rotate(&self, clients: u64, rotations: u32) -> Result<Vec<Rotated>> {
        let unlimited = UNLIMITED.map(str::to_owned);
        let auth = self.deployment.serve_on_all_cores("auth", &unlimited)?;
        let target = Arc::new(Target::new(&self.deployment, auth.endpoint("rpb")?)?);
        let (done, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let mut lanes = JoinSet::new();
        for client in 0..clients.min(self.count) {
            let (target, done, stop) = (target.clone(), done.clone(), stop.clone());
            let mut subscriber = Subscriber::numbered(1 + client * (self.count / clients.max(1)));
            lanes.spawn(async move {
                while !stop.load(Relaxed) {
                    target.bootstrap(&mut subscriber, |_| ()).await?;
                    done.fetch_add(1, Relaxed);
                }
                Ok::<_, anyhow::Error>(())
            });
        }
        let rate = |since: Instant, before: u64| {
            (done.load(Relaxed) - before) as f64 / since.elapsed().as_secs_f64()
        };
        let alone = async || {
            let (start, before) = (Instant::now(), done.load(Relaxed));
            tokio::time::sleep(ALONE).await;
            rate(start, before)
        };
        let mut rotated = Vec::new();
        tokio::time::sleep(ALONE).await;
        let mut before_it = alone().await;
        for _ in 0..rotations {
            let (start, before) = (Instant::now(), done.load(Relaxed));
            let mut rotate = self.deployment.command(&["kms", "rotate", "--full"])?;
            tokio::task::spawn_blocking(move || measure::output_of(&mut rotate, "obf")).await??;
            let (seconds, beside) = (start.elapsed().as_secs_f64(), rate(start, before));
            let after_it = alone().await;
            rotated.push(Rotated { seconds, beside, alone: before_it.midpoint(after_it) });
            before_it = after_it;
        }
        stop.store(true, Relaxed);
        while let Some(lane) = lanes.join_next().await {
            lane??;
        }
        Ok(rotated)
    }
}

fn imsi(number: u64) -> String {
    format!("00101{number:010}")
}

/// So many lines to import, in a file of the deployment.
///
/// # Errors
/// It cannot be written.
pub fn lines(deployment: &Deployment, count: u64) -> Result<PathBuf> {
    let path = deployment.file("devices.jsonl");
    let mut file = BufWriter::new(File::create(&path)?);
    for number in 1..=count {
        file.write_all(Subscriber::numbered(number).import_line().as_bytes())?;
    }
    file.flush()?;
    Ok(path)
}

/// Through groups, as a fleet is granted an application.
fn grant_all(deployment: &Deployment, count: u64) -> Result<()> {
    const AT_ONCE: u64 = 50_000;
    deployment.obf(&["group", "add", GROUP], b"")?;
    for first in (1..=count).step_by(usize::try_from(AT_ONCE)?) {
        let devices: Vec<String> = (first..=count.min(first + AT_ONCE - 1)).map(imsi).collect();
        let file = deployment.file("members.txt");
        std::fs::write(&file, devices.join("\n"))?;
        deployment.obf(&["group", "join", GROUP, "--device", &format!("@{}", file.display())], b"")?;
    }
    deployment.obf(&["grant", "add", "--group", GROUP, "--app", APP], b"")?;
    Ok(())
}

async fn look_up(client: &RadiusUdpClient, identity: &str) -> Result<()> {
    let node =
        RprClient { domain: Domain::new("as.obf.example")?, node: NodeNumber::new(0).context("node 0")? };
    let selector = RightsSelector::Only(AppId::new(APP)?);
    let operation = RprOperation::Rights(RightsRequest { user_name: identity.as_bytes().to_vec(), selector });
    let mut attributes = Vec::new();
    operation.encode(Vendor::default(), &node, &mut AttributeWriter::for_request(&mut attributes))?;
    let reply = client.ask(Code::AccessRequest, &attributes).await?;
    let answer = RightsAnswer::decode(&reply, Vendor::default())?;
    ensure!(answer.rights.list.len() == 1, "{identity} is not permitted");
    Ok(())
}
