//! Durable vectors over the wire, one a request: our Resource Server over RPR against osmo-hlr over GSUP, both on the
//! same file system, both fsyncing before they answer.

use crate::{
    deployment::Deployment,
    hlr::{Hlr, count_fsyncs},
    load,
    report::{Comparison, Limit},
    subscriber::Subscriber,
};
use anyhow::{Context, Result};
use clap::Args;
use obf_files::SecretFile;
use obf_net::radius::{RadiusUdpClient, RetransmitPolicy, UdpServerAddress};
use obf_radius::{AttributeWriter, Code, Vendor};
use obf_rpr::{
    VectorAnswer, VectorRequest,
    request::{RprClient, RprOperation},
};
use obf_token::Mode;
use obf_types::{Domain, NodeNumber};
use std::{cell::RefCell, sync::Arc};
use tokio::runtime::Handle;

/// The most CPU of an answer, as a part of osmo-hlr's.
const CPU: f64 = 1.0;
/// The least of its rate: 3.4 times it was seen where an fsync costs 0.1 ms, 8.8 times where it costs more.
const RATE: f64 = 3.0;

/// Arguments.
#[derive(Args, Clone, Debug)]
pub struct Vectors {
    /// Subscribers asked for in turn.
    #[arg(long, default_value_t = 10_000)]
    pub subscribers: u64,
    /// Requests in flight.
    #[arg(long, default_value_t = 64)]
    pub in_flight: usize,
    /// Requests a round to ours; osmo-hlr gets a tenth.
    #[arg(long, default_value_t = 20_000)]
    pub requests: usize,
}

impl Vectors {
    /// Compares CPU an answer, and answered requests a second.
    ///
    /// # Errors
    /// osmo-hlr or strace is missing, or a server refuses.
    pub async fn compare(&self, rounds: u32) -> Result<Vec<Comparison>> {
        crate::measure::installed("osmo-hlr", "osmo-hlr")?;
        crate::measure::installed("strace", "strace")?;
        let deployment = Deployment::init(&[])?;
        let resource = deployment.serve("resource", &[])?;
        let subscribers: Vec<_> = (1..=self.subscribers).map(Subscriber::numbered).collect();
        let lines: String = subscribers.iter().map(Subscriber::import_line).collect();
        deployment.obf(&["device", "import", "-"], lines.as_bytes())?;
        let secret = SecretFile::open(&deployment.file("radius.secret"))?.line()?;
        let server = UdpServerAddress { address: resource.endpoint("rpr")?, secret };
        let client = RadiusUdpClient::open(vec![server], RetransmitPolicy::default()).await?;
        let identities: Arc<[String]> = subscribers.into_iter().map(|subscriber| subscriber.imsi).collect();
        let hlr = Hlr::start(deployment.directory(), usize::try_from(self.subscribers)?)?;

        let runtime = Handle::current();
        let ours = |requests: usize| {
            let asked = load::in_flight(self.in_flight, requests, |number| {
                let (client, identities) = (client.clone(), identities.clone());
                async move {
                    ask(&client, identities.get(number % identities.len()).context("a subscriber")?).await
                }
            });
            tokio::task::block_in_place(|| runtime.block_on(asked))
        };
        ours(self.requests / 10)?;
        // Rate and CPU of the same rounds: how dear an fsync is decides about the rate, and that is the disk's business.
        let (our_cpu, their_cpu) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
        let theirs_a_round = self.requests / 10;
        let figures = crate::measure::alternate(
            rounds,
            || with_cpu(resource.id(), self.requests, &our_cpu, || ours(self.requests)),
            || with_cpu(hlr.id(), theirs_a_round, &their_cpu, || hlr.rate(theirs_a_round, self.in_flight)),
        )?;
        let cpu = our_cpu.into_inner().into_iter().zip(their_cpu.into_inner()).collect();
        let (our_syncs, _) = count_fsyncs(resource.id(), || ours(self.requests / 10))?;
        let (their_syncs, _) = count_fsyncs(hlr.id(), || hlr.rate(self.requests / 10, self.in_flight))?;
        let per = |syncs: u64| format!("{syncs} for {} requests", self.requests / 10);
        let notes = vec![
            ("subscribers", self.subscribers.to_string()),
            ("in flight", self.in_flight.to_string()),
            ("fsyncs, ours", per(our_syncs)),
            ("fsyncs, osmo-hlr", per(their_syncs)),
        ];
        let baseline = "osmo-hlr over GSUP";
        Ok(vec![
            Comparison {
                name: "vectors-cpu",
                unit: "CPU µs a durable answer",
                baseline: baseline.into(),
                rounds: cpu,
                limit: Limit::AtMost(CPU),
                notes: vec![("requests a round", format!("{}, osmo-hlr {theirs_a_round}", self.requests))],
            },
            Comparison {
                name: "vectors",
                unit: "durable answers a second",
                baseline: baseline.into(),
                rounds: figures,
                limit: Limit::AtLeast(RATE),
                notes,
            },
        ])
    }
}

/// Runs a round, and notes the process's CPU µs an answer.
fn with_cpu(
    pid: u32,
    answers: usize,
    noted: &RefCell<Vec<f64>>,
    round: impl FnOnce() -> Result<f64>,
) -> Result<f64> {
    let before = crate::measure::cpu_seconds(pid)?;
    let rate = round()?;
    noted.borrow_mut().push((crate::measure::cpu_seconds(pid)? - before) * 1e6 / answers as f64);
    Ok(rate)
}

async fn ask(client: &RadiusUdpClient, identity: &str) -> Result<()> {
    let node =
        RprClient { domain: Domain::new("as.obf.example")?, node: NodeNumber::new(0).context("node 0")? };
    let wanted = RprOperation::Vector(VectorRequest {
        user_name: identity.as_bytes().to_vec(),
        mode: Mode::Aka,
        resynchronisation: None,
    });
    let mut attributes = Vec::new();
    wanted.encode(Vendor::default(), &node, &mut AttributeWriter::for_request(&mut attributes))?;
    let reply = client.ask(Code::AccessRequest, &attributes).await?;
    VectorAnswer::decode(&reply, Vendor::default())?;
    Ok(())
}
