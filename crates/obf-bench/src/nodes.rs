//! Two Authentication Server nodes on one PostgreSQL database against one node on SQLite, on the same disk: bootstraps a
//! second, and how soon one node refuses what the other ended.

use crate::{
    bootstrap::{Target, UNLIMITED, register},
    deployment::{Deployment, Server},
    postgres::Postgres,
    report::{Comparison, Limit},
    rpo::{PATIENCE, links},
    subscriber::Subscriber,
};
use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use clap::Args;
use http_body_util::Full;
use hyper::Request;
use obf_net::{Stopper, certificates, http::HttpClient, radius::RadiusTlsClient};
use obf_radius::{AttributeWriter, Code, Vendor};
use obf_rpo::{KeyRequest, request::RpoOperation};
use obf_token::TokenId;
use obf_types::{AppId, UaId};
use std::{
    io::Write,
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::Instant,
};

const APP: &str = "track.example";

/// Arguments.
#[derive(Args, Clone, Debug)]
pub struct Nodes {
    /// Clients at once, each with a subscriber of its own.
    #[arg(long, default_value_t = 64)]
    pub clients: u64,
    /// Bootstraps of each client a round.
    #[arg(long, default_value_t = 40)]
    pub each: u64,
    /// Tokens ended one after the other, a round.
    #[arg(long, default_value_t = 40)]
    pub revocations: u32,
}

impl Nodes {
    /// Compares rates, and times revocations.
    ///
    /// # Errors
    /// A server does not start, or refuses.
    pub async fn compare(&self, rounds: u32) -> Result<Vec<Comparison>> {
        let postgres = Postgres::start()?;
        let file = Site::start(1, None, self.clients).await?;
        let server = Site::start(2, Some(&postgres), self.clients).await?;
        let (mut one, mut two) = (self.subscribers(), self.subscribers());
        // The first round warms both up.
        (_, one) = self.rate(&file, one).await?;
        (_, two) = self.rate(&server, two).await?;
        let (mut rates, mut heard) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            let (server_rate, file_rate);
            if round % 2 == 0 {
                (file_rate, one) = self.rate(&file, one).await?;
                (server_rate, two) = self.rate(&server, two).await?;
            } else {
                (server_rate, two) = self.rate(&server, two).await?;
                (file_rate, one) = self.rate(&file, one).await?;
            }
            rates.push((server_rate, file_rate));
            let subscriber = two.first_mut().context("at least one client")?;
            heard.push((self.revocation_p99(&server, subscriber).await?, 1.0));
        }
        let clients = ("clients at once", self.clients.to_string());
        Ok(vec![
            Comparison {
                name: "nodes-bootstrap",
                unit: "bootstraps a second (two AS nodes on PostgreSQL, RS, server and clients on all cores)",
                baseline: "one AS node on SQLite, RS and clients".into(),
                rounds: rates,
                limit: Limit::AtLeast(0.5),
                notes: vec![clients, ("durable", "synchronous_commit on; fsync on".into())],
            },
            Comparison {
                name: "nodes-revocation",
                unit: "ms, 99th percentile from the revocation at one node to the refusal at the other",
                baseline: "one millisecond".into(),
                rounds: heard,
                limit: Limit::AtMost(100.0),
                notes: vec![("revocations a round", self.revocations.to_string())],
            },
        ])
    }

    fn subscribers(&self) -> Vec<Subscriber> {
        (1..=self.clients).map(Subscriber::numbered).collect()
    }

    /// Every client bootstraps at one node; they are spread over all.
    async fn rate(&self, site: &Site, subscribers: Vec<Subscriber>) -> Result<(f64, Vec<Subscriber>)> {
        let each = self.each;
        let start = Instant::now();
        let clients =
            subscribers.into_iter().zip(site.targets.iter().cycle()).map(|(mut subscriber, target)| {
                let target = Arc::clone(target);
                tokio::spawn(async move {
                    for _ in 0..each {
                        target.bootstrap(&mut subscriber, |_| ()).await?;
                    }
                    Ok::<_, anyhow::Error>(subscriber)
                })
            });
        let mut back = Vec::new();
        for client in clients.collect::<Vec<_>>() {
            back.push(client.await??);
        }
        Ok(((self.clients * each) as f64 / start.elapsed().as_secs_f64(), back))
    }

    /// Tokens that a node has in memory are ended at the other: ms until it refuses them.
    async fn revocation_p99(&self, site: &Site, subscriber: &mut Subscriber) -> Result<f64> {
        let [here, there] = site.nodes.as_slice() else { bail!("there are to be two nodes") };
        let [target, ..] = site.targets.as_slice() else { bail!("there are to be two nodes") };
        let stopper = Stopper::new();
        let link =
            links(&site.deployment, there.endpoint("rpo")?, &stopper, 1).await?.pop().context("a link")?;
        let mut administrator = Administrator::connect(&site.deployment, here.endpoint("admin")?).await?;
        let mut times = Vec::new();
        for _ in 0..self.revocations {
            let token = target.bootstrap(subscriber, |_| ()).await?;
            ensure!(permitted(&link, &token).await?, "a token that lives is refused");
            let begun = Instant::now();
            administrator.end(&token).await?;
            while permitted(&link, &token).await? {
                ensure!(begun.elapsed() < PATIENCE, "a token that was ended is not refused");
            }
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        let place = (times.len() * 99).div_ceil(100).saturating_sub(1);
        times.get(place).copied().context("at least one revocation")
    }
}

/// Nodes, their Resource Server and subscribers.
struct Site {
    nodes: Vec<Server>,
    targets: Vec<Arc<Target>>,
    _resource: Server,
    deployment: Deployment,
}

impl Site {
    async fn start(nodes: u8, postgres: Option<&Postgres>, subscribers: u64) -> Result<Self> {
        let deployment = Deployment::init(&["--app", APP])?;
        let mut notices = Vec::new();
        for node in 1..nodes {
            let address = UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
            let mut config = std::fs::OpenOptions::new().append(true).open(deployment.file("obf.toml"))?;
            writeln!(
                config,
                "\n[[resource.auth_servers]]\ndomain = \"as.obf.example\"\nnode = {node}\naddress = \"127.0.0.1\"\n\
                 secret_file = \"radius.secret\"\ndas = \"{address}\""
            )?;
            notices.push(address);
        }
        let resource = deployment.serve_on_all_cores("resource", &[])?;
        let mut settings: Vec<String> = UNLIMITED.map(str::to_owned).into();
        settings.extend(postgres.map(|postgres| format!("auth.database={}", postgres.location())));
        let mut running = vec![deployment.serve_on_all_cores("auth", &settings)?];
        for (node, das) in (1..nodes).zip(notices) {
            let mut settings = settings.clone();
            settings.push(format!("auth.node={node}"));
            settings.push(format!("auth.das.listen={das}"));
            settings.extend(["rpb", "rpo", "admin"].map(|point| format!("auth.{point}.listen=127.0.0.1:0")));
            running.push(deployment.serve_on_all_cores("auth", &settings)?);
        }
        let registered: Vec<_> = (1..=subscribers).map(Subscriber::numbered).collect();
        register(&deployment, &registered)?;
        let targets =
            running.iter().map(|node| Ok(Arc::new(Target::new(&deployment, node.endpoint("rpb")?)?)));
        let targets = targets.collect::<Result<_>>()?;
        Ok(Self { nodes: running, targets, _resource: resource, deployment })
    }
}

/// Whether the application gets a key of the token.
async fn permitted(link: &RadiusTlsClient, token: &TokenId) -> Result<bool> {
    let wanted =
        RpoOperation::Key(KeyRequest { token: token.clone(), app: AppId::new(APP)?, ua: UaId::TLS13_PSK });
    let mut attributes = Vec::new();
    wanted.encode(Vendor::default(), "obf-bench", &mut AttributeWriter::for_request(&mut attributes))?;
    Ok(link.ask(Code::AccessRequest, &attributes, PATIENCE).await?.code() == Code::AccessAccept)
}

/// The administrator of a node, on one connection.
struct Administrator {
    client: HttpClient,
    token: String,
}

impl Administrator {
    async fn connect(deployment: &Deployment, address: SocketAddr) -> Result<Self> {
        let tls = certificates::client(&deployment.file("ca.pem"))?;
        let token = std::fs::read_to_string(deployment.file("admin.token"))?.trim().to_owned();
        let client = HttpClient::connect(address, "localhost", Some(tls), PATIENCE).await?;
        Ok(Self { client, token })
    }

    async fn end(&mut self, token: &TokenId) -> Result<()> {
        let id = token.to_string().replace('/', "%2F").replace('+', "%2B");
        let request = Request::builder()
            .method("POST")
            .uri(format!("/v1/tokens/{id}:revoke"))
            .header("host", "localhost")
            .header("authorization", format!("Bearer {}", self.token))
            .body(Full::new(Bytes::new()))?;
        let answer = self.client.send(request).await?;
        ensure!(answer.status().is_success(), "a token was not ended: {}", answer.status());
        Ok(())
    }
}
