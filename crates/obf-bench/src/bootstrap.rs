//! Full bootstraps: AS and RS as two processes on one core, durable, 64 clients on the other; the baseline is a bare
//! hyper + rustls server that gives equal bytes to the same two requests.

use crate::{
    deployment::{Deployment, SERVER_CORE, Server, cpu_of},
    measure,
    report::{Comparison, Limit},
    subscriber::Subscriber,
};
use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use clap::Args;
use http_body_util::Full;
use hyper::{Request, Response};
use obf_net::{certificates, http::HttpClient};
use obf_rpb::{
    Bootstrap as Machine, ClientStep, SecurityAssociation,
    client::ClientSettings,
    http::{ClientRequest, HttpResponse},
};
use obf_token::{Algorithm, TokenId};
use obf_types::{Domain, KeySchema};
use rustls::ClientConfig;
use std::{env::current_exe, net::SocketAddr, sync::Arc, time::Duration};

const TIMEOUT: Duration = Duration::from_secs(30);
/// The limits on floods are for strangers; here one address stands for all devices.
pub const UNLIMITED: [&str; 2] =
    ["auth.limits.challenges=1000000", "auth.limits.requests_per_source=1000000000"];
const APP: &str = "track.example";
/// Devices that are each granted the application by themselves.
const MOST_GRANTED: usize = 256;

/// Arguments.
#[derive(Args, Clone, Debug)]
pub struct Bootstrap {
    /// Clients at once, each with a subscriber of its own.
    #[arg(long, default_value_t = 64)]
    pub clients: u64,
    /// Bootstraps of each client a round: enough for some seconds of either side.
    #[arg(long, default_value_t = 160)]
    pub each: u64,
}

impl Bootstrap {
    /// Compares CPU a bootstrap.
    ///
    /// # Errors
    /// A server does not start, or a bootstrap fails.
    pub async fn compare(&self, rounds: u32) -> Result<Comparison> {
        let deployment = Deployment::init(&["--app", APP])?;
        let resource = deployment.serve("resource", &[])?;
        let auth = deployment.serve("auth", &UNLIMITED.map(str::to_owned))?;
        let mut subscribers: Vec<Subscriber> = (1..=self.clients).map(Subscriber::numbered).collect();
        register(&deployment, &subscribers)?;
        let target = Target::new(&deployment, auth.endpoint("rpb")?)?;

        let sample = target.sample(subscribers.first_mut().context("at least one client")?).await?;
        let canned = deployment.file("canned.json");
        std::fs::write(&canned, serde_json::to_vec(&sample.answers)?)?;
        let mut command = measure::pinned(SERVER_CORE, &current_exe()?);
        command.args(["bench", "child", "https", "--answers"]).arg(&canned);
        command
            .arg("--certificate")
            .arg(deployment.file("as.pem"))
            .arg("--key")
            .arg(deployment.file("as.key"));
        let baseline = Server::start(command)?;
        let bare = Arc::new(Target { address: baseline.endpoint("https")?, ..target.clone() });

        let target = Arc::new(target);
        let mut figures = Vec::new();
        for round in 0..rounds {
            // One warm-up round is not counted: caches, first allocations, WAL growth.
            if round == 0 {
                subscribers = self.ours(&target, subscribers).await?;
            }
            let pids = [auth.id(), resource.id()];
            let per = (self.clients * self.each) as f64 / 1e6;
            let (ours, theirs) = if round % 2 == 0 {
                let (ours, back) = cpu_of(&pids, self.ours(&target, subscribers)).await?;
                subscribers = back;
                (ours, cpu_of(&[baseline.id()], self.bare(&bare, &sample)).await?.0)
            } else {
                let theirs = cpu_of(&[baseline.id()], self.bare(&bare, &sample)).await?.0;
                let (ours, back) = cpu_of(&pids, self.ours(&target, subscribers)).await?;
                subscribers = back;
                (ours, theirs)
            };
            figures.push((ours / per, theirs / per));
        }
        Ok(Comparison {
            name: "bootstrap",
            unit: "CPU µs a bootstrap (AS + RS)",
            baseline: "bare hyper + rustls, TLS 1.3, same certificate and bytes".into(),
            rounds: figures,
            limit: Limit::AtMost(1.6),
            notes: vec![
                ("bootstraps a round", (self.clients * self.each).to_string()),
                ("clients at once", self.clients.to_string()),
                ("durable", "SQN, spent challenge and token fsynced before each answer".into()),
            ],
        })
    }

    async fn ours(&self, target: &Arc<Target>, subscribers: Vec<Subscriber>) -> Result<Vec<Subscriber>> {
        all(target, subscribers, self.each).await
    }

    async fn bare(&self, target: &Arc<Target>, sample: &Sample) -> Result<()> {
        let each = self.each;
        let clients: Vec<_> = (0..self.clients)
            .map(|_| {
                let (target, requests) = (target.clone(), sample.requests.clone());
                tokio::spawn(async move {
                    for _ in 0..each {
                        target.replay(&requests).await?;
                    }
                    Ok::<_, anyhow::Error>(())
                })
            })
            .collect();
        for client in clients {
            client.await??;
        }
        Ok(())
    }
}

/// So many bootstraps of each subscriber, all subscribers at once.
///
/// # Errors
/// The first that fails ends it.
pub async fn all(target: &Arc<Target>, subscribers: Vec<Subscriber>, each: u64) -> Result<Vec<Subscriber>> {
    let clients = subscribers.into_iter().map(|mut subscriber| {
        let target = target.clone();
        tokio::spawn(async move {
            for _ in 0..each {
                target.bootstrap(&mut subscriber, |_| ()).await?;
            }
            Ok::<_, anyhow::Error>(subscriber)
        })
    });
    let clients: Vec<_> = clients.collect();
    let mut back = Vec::new();
    for client in clients {
        back.push(client.await??);
    }
    Ok(back)
}

/// Imports the subscribers, and grants each of them the application.
pub fn register(deployment: &Deployment, subscribers: &[Subscriber]) -> Result<()> {
    let lines: String = subscribers.iter().map(Subscriber::import_line).collect();
    deployment.obf(&["device", "import", "-"], lines.as_bytes())?;
    deployment.obf(&["app", "add", APP, "--cert-name", APP, "--ua", "tls-psk"], b"")?;
    // A command for each grant is for few; many have it through a group.
    if subscribers.len() <= MOST_GRANTED {
        for subscriber in subscribers {
            deployment.obf(&["grant", "add", "--device", &subscriber.imsi, "--app", APP], b"")?;
        }
        return Ok(());
    }
    let members: Vec<&str> = subscribers.iter().map(|subscriber| subscriber.imsi.as_str()).collect();
    let file = deployment.file("members.txt");
    std::fs::write(&file, members.join("\n"))?;
    deployment.obf(&["group", "add", "fleet"], b"")?;
    deployment.obf(&["group", "join", "fleet", "--device", &format!("@{}", file.display())], b"")?;
    deployment.obf(&["grant", "add", "--group", "fleet", "--app", APP], b"")?;
    Ok(())
}

/// Where to bootstrap.
#[derive(Clone)]
pub struct Target {
    address: SocketAddr,
    domain: Domain,
    tls: Arc<ClientConfig>,
    schemas: Vec<KeySchema>,
}

/// One exchange, recorded: what the baseline is asked and answers.
struct Sample {
    requests: Vec<ClientRequest>,
    answers: Vec<crate::https::Answer>,
}

impl Target {
    /// The deployment's RPB listener.
    pub fn new(deployment: &Deployment, address: SocketAddr) -> Result<Self> {
        let mut tls = (*certificates::client(&deployment.file("ca.pem"))?).clone();
        tls.resumption = rustls::client::Resumption::disabled();
        let schemas = vec![KeySchema::Obf1, KeySchema::GbaMe];
        Ok(Self { address, domain: Domain::new("as.obf.example")?, tls: Arc::new(tls), schemas })
    }

    /// The same for devices that offer these key schemas.
    #[must_use]
    pub fn offering(&self, schemas: &[KeySchema]) -> Self {
        Self { schemas: schemas.to_vec(), ..self.clone() }
    }

    async fn connect(&self) -> Result<HttpClient> {
        Ok(HttpClient::connect(self.address, self.domain.as_str(), Some(self.tls.clone()), TIMEOUT).await?)
    }

    /// One bootstrap on a connection of its own; `seen` is shown each request and its answer.
    pub async fn bootstrap(
        &self,
        subscriber: &mut Subscriber,
        seen: impl FnMut((&ClientRequest, &Response<Bytes>)),
    ) -> Result<TokenId> {
        Ok(self.associate(subscriber, seen).await?.id)
    }

    /// The same, and everything that the client then has.
    pub async fn associate(
        &self,
        subscriber: &mut Subscriber,
        mut seen: impl FnMut((&ClientRequest, &Response<Bytes>)),
    ) -> Result<SecurityAssociation> {
        let mut connection = self.connect().await?;
        let mut machine = Machine::new(ClientSettings {
            username: subscriber.imsi.as_str().into(),
            domain: self.domain.clone(),
            minimum: Algorithm::AkaV2Sha256,
            strongest: Algorithm::AkaV2Sha256,
            schemas: self.schemas.clone(),
            product: "obf-bench/0".into(),
        });
        let mut request = machine.first_request()?;
        for _ in 0..4 {
            let answer = connection.send(to_http(&request, &self.domain)?).await?;
            seen((&request, &answer));
            match machine.answer(&from_http(&answer))? {
                ClientStep::Done(association) => return Ok(*association),
                ClientStep::Authenticate { rand, autn, .. } => {
                    let mut cnonce = [0; 16];
                    getrandom::fill(&mut cnonce).map_err(|error| anyhow::anyhow!("randomness: {error}"))?;
                    request = machine.authenticated(subscriber.answer(&rand, &autn)?, cnonce)?;
                }
            }
        }
        bail!("no end of challenges for {}", subscriber.imsi)
    }

    async fn sample(&self, subscriber: &mut Subscriber) -> Result<Sample> {
        let mut sample = Sample { requests: Vec::new(), answers: Vec::new() };
        self.bootstrap(subscriber, |(request, answer)| {
            sample.requests.push(request.clone());
            sample.answers.push(crate::https::Answer::record(answer));
        })
        .await?;
        ensure!(
            sample.requests.len() == 2,
            "a bootstrap has two requests, this one had {}",
            sample.requests.len()
        );
        Ok(sample)
    }

    async fn replay(&self, requests: &[ClientRequest]) -> Result<()> {
        let mut connection = self.connect().await?;
        for request in requests {
            connection.send(to_http(request, &self.domain)?).await?;
        }
        Ok(())
    }
}

fn to_http(request: &ClientRequest, domain: &Domain) -> Result<Request<Full<Bytes>>> {
    let builder =
        Request::builder().method(request.method).uri(request.target).header("host", domain.as_str());
    let headers = request.headers.iter();
    Ok(headers
        .fold(builder, |builder, (name, value)| builder.header(*name, value.as_slice()))
        .body(Full::default())?)
}

fn from_http(answer: &Response<Bytes>) -> HttpResponse<'_> {
    let start = HttpResponse::new(answer.status().as_u16(), answer.body());
    answer.headers().iter().fold(start, |all, (name, value)| all.with_header(name.as_str(), value.as_bytes()))
}
