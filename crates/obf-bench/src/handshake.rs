//! TLS-PSK 1.3 handshakes at the application SDK, with the key known and with the key fetched over RPO from a running
//! Authentication Server, against a bare tokio-openssl PSK echo server: same suite, no tickets, one octet echoed.
//!
//! CPU is that of the application's process; what the Authentication Server spends is `bench rpo`'s business.

use crate::{
    bootstrap::{Target, UNLIMITED, register},
    deployment::{Deployment, SERVER_CORE, Server, cpu_of},
    load, measure,
    report::{Comparison, Limit},
    subscriber::Subscriber,
};
use anyhow::{Context, Result, ensure};
use clap::Args;
use obf_app::{Application, ApplicationSettings, AsDirectory, AsSettings, Domain, ListenerSettings};
use obf_net::{
    Clock, Stopper, SystemClock,
    certificates::{self, CertificateFiles},
    psk::{PskConnector, Versions},
    radius::{TlsClientSettings, TlsServerAddress},
};
use obf_rpb::SecurityAssociation;
use obf_token::{AppKey, TokenId};
use obf_types::{AppId, NafId, UaId};
use openssl::ssl::{Ssl, SslContext, SslContextBuilder, SslMethod, SslSessionCacheMode, SslVersion};
use std::{
    collections::HashMap,
    env::current_exe,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    pin::Pin,
    sync::Arc,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const APP: &str = "track.example";
/// The suite of both servers, and of the client.
const SUITE: &str = "TLS_AES_128_GCM_SHA256";

/// Arguments.
#[derive(Args, Clone, Debug)]
pub struct Handshake {
    /// Handshakes a round.
    #[arg(long, default_value_t = 2_000)]
    pub handshakes: usize,
    /// At once.
    #[arg(long, default_value_t = 16)]
    pub at_once: usize,
    /// Live tokens used in turn.
    #[arg(long, default_value_t = 64)]
    pub tokens: u64,
}

impl Handshake {
    /// Compares CPU a handshake: known keys, then fetched ones.
    ///
    /// # Errors
    /// A server does not start, or a handshake fails.
    pub async fn compare(&self, rounds: u32) -> Result<Vec<Comparison>> {
        let deployment = Deployment::init(&["--app", APP])?;
        let _resource = deployment.serve("resource", &[])?;
        let auth = deployment.serve("auth", &UNLIMITED.map(str::to_owned))?;
        let devices = Arc::new(self.bootstrap(&deployment, auth.endpoint("rpb")?).await?);
        let bare = self.bare(&deployment, &devices)?;
        let rpo = auth.endpoint("rpo")?;
        let known = sdk(&deployment, rpo, usize::try_from(self.tokens)?)?;
        // One key is remembered: with more tokens in turn than handshakes at once, each is fetched.
        ensure!(usize::try_from(self.tokens)? > 2 * self.at_once, "more tokens than handshakes at once");
        let fetching = sdk(&deployment, rpo, 1)?;
        Ok(vec![
            self.measure("handshake, key known", 1.3, rounds, [&known, &bare, &auth], &devices).await?,
            self.measure("handshake, key fetched", 1.6, rounds, [&fetching, &bare, &auth], &devices).await?,
        ])
    }

    async fn measure(
        &self,
        name: &'static str,
        limit: f64,
        rounds: u32,
        [ours, bare, auth]: [&Server; 3],
        devices: &Arc<Vec<Device>>,
    ) -> Result<Comparison> {
        let (at, bare_at) = (ours.endpoint("rpa")?, bare.endpoint("psk")?);
        self.load(at, devices, self.handshakes / 4).await?;
        self.load(bare_at, devices, self.handshakes / 4).await?;
        let per = self.handshakes as f64 / 1e6;
        let mut figures = Vec::new();
        let auth_before = measure::cpu_seconds(auth.id())?;
        for round in 0..rounds {
            let one = |server, address| cpu_of(server, self.load(address, devices, self.handshakes));
            let (own, other) = ([ours.id()], [bare.id()]);
            let (mine, theirs) = if round % 2 == 0 {
                let mine = one(&own, at).await?;
                (mine, one(&other, bare_at).await?)
            } else {
                let theirs = one(&other, bare_at).await?;
                (one(&own, at).await?, theirs)
            };
            figures.push((mine.0 / per, theirs.0 / per));
        }
        // What shows whether keys were fetched or not.
        let auth = (measure::cpu_seconds(auth.id())? - auth_before) / per / f64::from(rounds);
        Ok(Comparison {
            name,
            unit: "CPU µs a handshake (application)",
            baseline: "bare tokio-openssl PSK echo, TLS 1.3".into(),
            rounds: figures,
            limit: Limit::AtMost(limit),
            notes: vec![
                ("handshakes a round", self.handshakes.to_string()),
                ("at once", self.at_once.to_string()),
                ("tokens", self.tokens.to_string()),
                ("suite", SUITE.into()),
                ("CPU µs a handshake of the Authentication Server", format!("{auth:.0}")),
            ],
        })
    }

    async fn bootstrap(&self, deployment: &Deployment, rpb: SocketAddr) -> Result<Vec<Device>> {
        let subscribers: Vec<Subscriber> = (1..=self.tokens).map(Subscriber::numbered).collect();
        register(deployment, &subscribers)?;
        let target = Target::new(deployment, rpb)?;
        let mut devices = Vec::new();
        for mut subscriber in subscribers {
            devices.push(Device::of(&target.associate(&mut subscriber, |_| ()).await?)?);
        }
        Ok(devices)
    }

    fn bare(&self, deployment: &Deployment, devices: &[Device]) -> Result<Server> {
        let keys: HashMap<String, &[u8; 32]> =
            devices.iter().map(|device| (device.token.psk_identity(), device.key.expose())).collect();
        let file = deployment.file("keys.json");
        std::fs::write(&file, serde_json::to_vec(&keys)?)?;
        let mut command = measure::pinned(SERVER_CORE, &current_exe()?);
        command.args(["bench", "child", "psk-echo", "--keys"]).arg(file);
        Server::start(command)
    }

    /// So many handshakes, each with an octet there and back.
    ///
    /// # Errors
    /// The first that fails ends it.
    pub async fn load(
        &self,
        address: SocketAddr,
        devices: &Arc<Vec<Device>>,
        handshakes: usize,
    ) -> Result<()> {
        let (connector, app) = (PskConnector::new(Versions::Tls13, &[])?, AppId::new(APP)?);
        load::in_flight(self.at_once, handshakes, |number| {
            let (connector, devices, app) = (connector.clone(), Arc::clone(devices), app.clone());
            async move {
                let device = devices.get(number % devices.len()).context("a device")?;
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                let key = device.key.clone();
                let connected = connector.connect(stream, &app, &device.token, move |_| Some(key.clone()));
                let mut stream = connected.await?.stream;
                stream.write_all(b"x").await?;
                let mut back = [0];
                stream.read_exact(&mut back).await?;
                ensure!(stream.suite() == SUITE, "negotiated {}", stream.suite());
                stream.shutdown().await?;
                Ok(())
            }
        })
        .await?;
        Ok(())
    }
}

/// A device that has bootstrapped: its token, and its key for the application.
pub struct Device {
    token: TokenId,
    key: AppKey,
}

impl Device {
    /// From what it has after a bootstrap.
    ///
    /// # Errors
    /// None that can happen: the application's name is one, and the subscriber hands out CK and IK.
    pub fn of(association: &SecurityAssociation) -> Result<Self> {
        let naf = NafId { app: AppId::new(APP)?, ua: UaId::TLS13_PSK };
        let key = association.app_key(&naf).ok_or_else(|| anyhow::anyhow!("Ks is not here"))?;
        Ok(Self { key, token: association.id.clone() })
    }
}

/// The deployment's application SDK as a process of its own, remembering `keys` keys.
///
/// # Errors
/// It does not become ready.
pub fn sdk(deployment: &Deployment, rpo: SocketAddr, keys: usize) -> Result<Server> {
    let mut command = measure::pinned(SERVER_CORE, deployment.binary());
    command.args(["bench", "child", "sdk-echo", "--rpo", &rpo.to_string(), "--keys", &keys.to_string()]);
    command.arg("--certificate").arg(deployment.file("apps/track.example.pem"));
    command.arg("--key").arg(deployment.file("apps/track.example.key"));
    command.arg("--ca").arg(deployment.file("ca.pem"));
    Server::start(command)
}

/// Arguments.
#[derive(Args, Clone, Debug)]
pub struct SdkEcho {
    /// The Authentication Server.
    #[arg(long)]
    rpo: SocketAddr,
    /// Keys remembered.
    #[arg(long)]
    keys: usize,
    /// Certificate chain, PEM.
    #[arg(long)]
    certificate: PathBuf,
    /// Its key, PEM.
    #[arg(long)]
    key: PathBuf,
    /// The CA, PEM.
    #[arg(long)]
    ca: PathBuf,
}

impl SdkEcho {
    /// Serves until it is killed.
    ///
    /// # Errors
    /// A file cannot be read, or there is no port.
    pub async fn child(&self) -> Result<()> {
        let files = CertificateFiles { chain: self.certificate.clone(), key: self.key.clone() };
        let server = TlsServerAddress::new(self.rpo, "as.obf.example");
        let rpo = TlsClientSettings::new(vec![server], certificates::mutual_client(&files, &self.ca)?);
        let mut settings = ApplicationSettings::new(AppId::new(APP)?);
        settings.max_keys = self.keys;
        let group = Stopper::new();
        let running = group.running();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let own = AsSettings::new(Domain::new("as.obf.example")?, rpo);
        let application = Application::new(settings, &AsDirectory::start(vec![own], &clock, &running)?);
        application.ready().await;
        let listening = ListenerSettings::new((Ipv4Addr::LOCALHOST, 0).into());
        let mut listener = application.listen(listening, &running).await?;
        ready("rpa", listener.address());
        while let Some(session) = listener.accept().await {
            tokio::spawn(echo(session.stream));
        }
        Ok(())
    }
}

/// Arguments.
#[derive(Args, Clone, Debug)]
pub struct PskEcho {
    /// PSK identities and their keys, JSON.
    #[arg(long)]
    keys: PathBuf,
}

impl PskEcho {
    /// Serves until it is killed.
    ///
    /// # Errors
    /// The file cannot be read, or there is no port.
    pub async fn child(&self) -> Result<()> {
        let keys: HashMap<Vec<u8>, [u8; 32]> = {
            let keys: HashMap<String, [u8; 32]> = serde_json::from_slice(&std::fs::read(&self.keys)?)?;
            keys.into_iter().map(|(identity, key)| (identity.into_bytes(), key)).collect()
        };
        let context = bare_context(keys)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        ready("psk", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let ssl = Ssl::new(&context)?;
            tokio::spawn(async move {
                let mut stream = tokio_openssl::SslStream::new(ssl, stream)?;
                Pin::new(&mut stream).accept().await?;
                echo(stream).await?;
                Ok::<_, anyhow::Error>(())
            });
        }
    }
}

fn bare_context(keys: HashMap<Vec<u8>, [u8; 32]>) -> Result<SslContext> {
    let mut context: SslContextBuilder = SslContext::builder(SslMethod::tls())?;
    context.set_min_proto_version(Some(SslVersion::TLS1_3))?;
    context.set_ciphersuites(SUITE)?;
    context.set_num_tickets(0)?;
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    context.set_psk_server_callback(move |_, identity, psk| {
        let key = identity.and_then(|identity| keys.get(identity));
        let (Some(key), Some(place)) = (key, psk.get_mut(..32)) else { return Ok(0) };
        place.copy_from_slice(key);
        Ok(32)
    });
    Ok(context.build())
}

async fn echo<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(mut stream: S) -> std::io::Result<()> {
    let mut octets = [0; 1024];
    loop {
        let count = stream.read(&mut octets).await?;
        if count == 0 {
            return stream.shutdown().await;
        }
        stream.write_all(octets.get(..count).unwrap_or_default()).await?;
    }
}

fn ready(point: &str, address: SocketAddr) {
    println!("{{\"event\":\"listening\",\"point\":\"{point}\",\"address\":\"{address}\"}}");
    println!("{{\"event\":\"ready\"}}");
}
