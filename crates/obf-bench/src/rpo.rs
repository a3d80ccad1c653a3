//! Key fetches over RPO, authorised and derived afresh each time, against FreeRADIUS answering Access-Requests over
//! TLS with equal bytes; one load generator for both.

use crate::{
    bootstrap::{Target, register},
    deployment::{Deployment, SERVER_CORE, cpu_of},
    load, measure,
    report::{Comparison, Limit},
    subscriber::Subscriber,
};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use obf_net::{
    Stopper,
    certificates::{self, CertificateFiles},
    radius::{LinkEvents, NoRequests, RadiusTlsClient, TlsClientSettings, TlsServerAddress},
};
use obf_radius::{AttributeWriter, Code, Vendor};
use obf_rpo::{KeyGrant, KeyRequest, request::RpoOperation};
use obf_token::TokenId;
use obf_types::{AppId, UaId};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

const APP: &str = "track.example";
/// How long an answer may take.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// The baseline's configuration, as committed.
const FREERADIUS: &str = include_str!("../../../benches/baseline/freeradius/radiusd.conf");

/// Arguments.
#[derive(Args, Clone, Debug)]
pub struct Rpo {
    /// Connections of the load generator.
    #[arg(long, default_value_t = 4)]
    pub connections: usize,
    /// Requests in flight on each.
    #[arg(long, default_value_t = 64)]
    pub in_flight: usize,
    /// Requests a round.
    #[arg(long, default_value_t = 40_000)]
    pub requests: usize,
    /// Live tokens asked for in turn.
    #[arg(long, default_value_t = 256)]
    pub tokens: u64,
}

impl Rpo {
    /// Compares CPU a fetch.
    ///
    /// # Errors
    /// FreeRADIUS is missing, or a server refuses.
    pub async fn compare(&self, rounds: u32) -> Result<Comparison> {
        measure::installed("freeradius", "freeradius")?;
        let deployment = Deployment::init(&["--app", APP])?;
        let _resource = deployment.serve("resource", &[])?;
        let auth = deployment.serve("auth", &crate::bootstrap::UNLIMITED.map(str::to_owned))?;
        let subscribers: Vec<Subscriber> = (1..=self.tokens).map(Subscriber::numbered).collect();
        register(&deployment, &subscribers)?;
        let target = Target::new(&deployment, auth.endpoint("rpb")?)?;
        let mut packets = Vec::new();
        for mut subscriber in subscribers {
            let token = target.bootstrap(&mut subscriber, |_| ()).await?;
            packets.push(key_request(token)?);
        }
        let packets: Arc<[Vec<u8>]> = packets.into();

        let stopper = Stopper::new();
        let ours = links(&deployment, auth.endpoint("rpo")?, &stopper, self.connections).await?;
        let first = packets.first().context("at least one token")?;
        let answer = ours
            .first()
            .context("at least one connection")?
            .ask(Code::AccessRequest, first, PATIENCE)
            .await?;
        KeyGrant::decode(&answer, Vendor::default())?;
        let octets = answer.packet().octets().len();
        let freeradius = FreeRadius::start(&deployment, octets)?;
        let theirs = links(&deployment, freeradius.address, &stopper, self.connections).await?;
        let answer = theirs
            .first()
            .context("at least one connection")?
            .ask(Code::AccessRequest, first, PATIENCE)
            .await?;
        ensure!(
            answer.packet().octets().len() == octets && answer.code() == Code::AccessAccept,
            "FreeRADIUS answers {} octets, ours {octets}",
            answer.packet().octets().len()
        );

        self.load(&ours, &packets, self.requests / 4).await?;
        self.load(&theirs, &packets, self.requests / 4).await?;
        let mut figures = Vec::new();
        for round in 0..rounds {
            let (ours, theirs) = if round % 2 == 0 {
                let ours = cpu_of(&[auth.id()], self.load(&ours, &packets, self.requests)).await?;
                (ours, cpu_of(&[freeradius.process.id()], self.load(&theirs, &packets, self.requests)).await?)
            } else {
                let theirs =
                    cpu_of(&[freeradius.process.id()], self.load(&theirs, &packets, self.requests)).await?;
                (cpu_of(&[auth.id()], self.load(&ours, &packets, self.requests)).await?, theirs)
            };
            let per = self.requests as f64 / 1e6;
            figures.push((ours.0 / per, theirs.0 / per));
        }
        Ok(Comparison {
            name: "rpo",
            unit: "CPU µs a fetch",
            baseline: "FreeRADIUS over TLS, Auth-Type Accept".into(),
            rounds: figures,
            limit: Limit::AtMost(1.0 / 3.0),
            notes: vec![
                ("requests a round", self.requests.to_string()),
                ("connections × in flight", format!("{} × {}", self.connections, self.in_flight)),
                ("tokens", self.tokens.to_string()),
                ("octets of an answer", octets.to_string()),
            ],
        })
    }

    /// On each connection its share of the requests, never more than the window in flight.
    ///
    /// # Errors
    /// The first that is refused ends it.
    pub async fn load(
        &self,
        links: &[RadiusTlsClient],
        packets: &Arc<[Vec<u8>]>,
        requests: usize,
    ) -> Result<()> {
        let mut connections = JoinSet::new();
        for link in links {
            let (link, packets) = (link.clone(), packets.clone());
            let (share, window) = (requests / links.len(), self.in_flight);
            connections.spawn(async move {
                load::in_flight(window, share, |number| {
                    let (link, packets) = (link.clone(), packets.clone());
                    async move {
                        let packet = packets.get(number % packets.len()).context("a packet")?;
                        let reply = link.ask(Code::AccessRequest, packet, PATIENCE).await?;
                        ensure!(reply.code() == Code::AccessAccept, "refused: {:?}", reply.code());
                        Ok(())
                    }
                })
                .await
            });
        }
        while let Some(done) = connections.join_next().await {
            done??;
        }
        Ok(())
    }
}

/// The attributes of a request for the key of a token.
///
/// # Errors
/// They do not fit a packet.
pub fn key_request(token: TokenId) -> Result<Vec<u8>> {
    let wanted = RpoOperation::Key(KeyRequest { token, app: AppId::new(APP)?, ua: UaId::TLS13_PSK });
    let mut attributes = Vec::new();
    wanted.encode(Vendor::default(), "obf-bench", &mut AttributeWriter::for_request(&mut attributes))?;
    Ok(attributes)
}

/// So many RADIUS/TLS connections to `address`, with the certificate of the first application.
///
/// # Errors
/// One of them does not come up.
pub async fn links(
    deployment: &Deployment,
    address: SocketAddr,
    stopper: &Stopper,
    connections: usize,
) -> Result<Vec<RadiusTlsClient>> {
    let files = CertificateFiles {
        chain: deployment.file("apps/track.example.pem"),
        key: deployment.file("apps/track.example.key"),
    };
    let tls = certificates::mutual_client(&files, &deployment.file("ca.pem"))?;
    let server = TlsServerAddress::new(address, "as.obf.example");
    let mut links = Vec::new();
    for _ in 0..connections {
        // FreeRADIUS speaks radius/1.0 only; so do both sides here.
        let settings = TlsClientSettings {
            radius_1_1: false,
            ..TlsClientSettings::new(vec![server.clone()], tls.clone())
        };
        let link = RadiusTlsClient::start(settings, &stopper.running(), Arc::new(Silent));
        tokio::time::timeout(PATIENCE, link.connected()).await.context("RADIUS/TLS connection")?;
        links.push(link);
    }
    Ok(links)
}

/// Nothing comes in reverse while measuring.
struct Silent;

impl obf_net::radius::Handler for Silent {
    async fn handle(&self, request: obf_radius::Request, origin: obf_net::radius::Origin) -> Option<Vec<u8>> {
        NoRequests.handle(request, origin).await
    }
}

impl LinkEvents for Silent {}

/// A running FreeRADIUS with the committed configuration, killed on drop.
struct FreeRadius {
    process: Child,
    address: SocketAddr,
}

impl FreeRadius {
    /// `octets`: how long its answers have to be.
    fn start(deployment: &Deployment, octets: usize) -> Result<Self> {
        let directory = deployment.file("freeradius");
        fs::create_dir(&directory)?;
        fs::write(directory.join("radiusd.conf"), FREERADIUS)?;
        for (from, to) in [("as.pem", "server.pem"), ("as.key", "server.key"), ("ca.pem", "ca.pem")] {
            fs::copy(deployment.file(from), directory.join(to))?;
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        // Header and Message-Authenticator, and the header of Class, are not padding.
        let pad = octets.checked_sub(20 + 18 + 2).context("our answer is shorter than any of FreeRADIUS")?;
        let mut command = measure::pinned(SERVER_CORE, Path::new("freeradius"));
        command.args(["-f", "-l", "stdout", "-n", "radiusd", "-d"]).arg(&directory);
        command.env("OBF_BENCH_DIR", &directory).env("OBF_BENCH_PORT", address.port().to_string());
        command.env("OBF_BENCH_PAD", format!("0x{}", "5a".repeat(pad)));
        let log: PathBuf = directory.join("stdout");
        command.stdout(fs::File::create(&log)?).stderr(Stdio::null());
        let process = command.spawn().context("taskset cannot be started: apt-get install util-linux")?;
        let server = Self { process, address };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).is_err() {
            if Instant::now() > deadline {
                bail!(
                    "freeradius does not listen (apt-get install freeradius): {}",
                    fs::read_to_string(&log).unwrap_or_default().trim()
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }
}

impl Drop for FreeRadius {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port that was free a moment ago; FreeRADIUS cannot say which one it took.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
