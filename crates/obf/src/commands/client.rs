//! `obf client …`: a device with a software secure element.

use crate::{
    cli::Context,
    failure::{Exit, Failure, Outcome},
    output::record,
};
use clap::{Args, Subcommand, ValueEnum};
use obf_client::{
    AssociationStore, AuthenticationServer, BootstrapFailure, Client as Device, ConnectError, Fault, SeError,
    SecurityAssociation, Settings, SoftwareSe,
};
use obf_net::psk::Versions;
use obf_types::{AppId, Domain, NafId, UaId};
use serde_json::{Value, json};
use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

const BOOTSTRAP_EXAMPLES: &str = "\
Examples:
  obf client bootstrap --as https://127.0.0.1:8443 --ca /srv/obf/ca.pem --se sim.json
  obf client bootstrap --as https://as.operator.example --se sim.json --show-key track.example

sim.json is one line of `obf device import`: {\"imsi\":\"…\",\"algorithm\":\"milenage\",\"k\":\"<hex>\",\"opc\":\"<hex>\"}";

const CONNECT_EXAMPLES: &str = "\
Examples:
  echo hello | obf client connect track.example 127.0.0.1:9443 --as https://127.0.0.1:8443 --ca ca.pem --se sim.json
  obf client connect track.example 127.0.0.1:9443 --http /position --as … --se sim.json";

/// The most of an HTTP answer that is read.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// A device.
#[derive(Subcommand)]
pub enum Client {
    /// One bootstrap: mutual authentication with the Authentication Server.
    #[command(after_help = BOOTSTRAP_EXAMPLES)]
    Bootstrap(Bootstrap),
    /// Standard input to an application over TLS-PSK, its answer to standard output; bootstraps if need be.
    #[command(after_help = CONNECT_EXAMPLES)]
    Connect(Connect),
}

/// Who the device is, and with whom it bootstraps.
#[derive(Args)]
struct DeviceArguments {
    /// The Authentication Server: https://NAME[:PORT].
    #[arg(long = "as", value_name = "URL")]
    server: AuthenticationServer,
    /// The software secure element: a JSON file, which remembers what it has answered.
    #[arg(long, value_name = "FILE")]
    se: PathBuf,
    /// Certificate authorities for the Authentication Server, PEM; otherwise the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Where the association is kept; otherwise beside the secure element.
    #[arg(long, value_name = "FILE")]
    associations: Option<PathBuf>,
    /// Connect to the Authentication Server here instead of looking its name up.
    #[arg(long, value_name = "ADDR")]
    as_address: Option<SocketAddr>,
    /// The Authentication Server's domain, where its URL does not say it.
    #[arg(long)]
    domain: Option<Domain>,
    /// Another identity than the secure element's own, for example the IMPI derived from its IMSI.
    #[arg(long, value_name = "IDENTITY")]
    username: Option<String>,
    /// Offer no key schemas: bootstrap like a 3GPP UE that never heard of OBF.
    #[arg(long)]
    stock: bool,
    /// Accept AKAv1-MD5 even where AKAv2-SHA-256 has worked before.
    #[arg(long)]
    allow_downgrade: bool,
    /// Seconds for connecting, and for each answer.
    #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
}

/// One bootstrap.
#[derive(Args)]
pub struct Bootstrap {
    #[command(flatten)]
    device: DeviceArguments,
    /// Also show the key for this application, as an application of this device would derive it.
    #[arg(long, value_name = "APP")]
    show_key: Option<AppId>,
    /// The security protocol of the key: 10 hex digits; otherwise TLS 1.3 PSK.
    #[arg(long, value_name = "UA-ID", value_parser = ua_id, requires = "show_key")]
    ua: Vec<UaId>,
}

/// One connection.
#[derive(Args)]
pub struct Connect {
    /// The application's id: its lower-case domain name.
    app: AppId,
    /// Where it listens: HOST:PORT.
    address: String,
    #[command(flatten)]
    device: DeviceArguments,
    /// TLS versions to offer.
    #[arg(long, value_enum, default_value = "both")]
    tls: Tls,
    /// One HTTP GET of this path (or URL of the application) instead of standard input; the body goes to standard
    /// output.
    #[arg(long, value_name = "URL")]
    http: Option<String>,
}

/// TLS versions.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Tls {
    /// 1.3, or 1.2 with a server that has no 1.3.
    Both,
    /// 1.2 only.
    #[value(name = "1.2")]
    V12,
    /// 1.3 only.
    #[value(name = "1.3")]
    V13,
}

impl Client {
    /// Does it.
    pub async fn run(self, context: &Context) -> Outcome {
        match self {
            Self::Bootstrap(bootstrap) => bootstrap.run(context).await,
            Self::Connect(connect) => connect.run().await,
        }
    }
}

impl DeviceArguments {
    fn device(self, versions: Versions) -> Result<Device, Failure> {
        let se = SoftwareSe::open(&self.se).map_err(|error| se_failure(&error))?;
        let kept = self.associations.unwrap_or_else(|| {
            let mut name = self.se.into_os_string();
            name.push(".associations");
            name.into()
        });
        let store = AssociationStore::in_file(kept).map_err(|error| Failure::bad_data("associations", error))?;
        let mut server = self.server;
        if let Some(ca) = self.ca {
            server = server.with_ca(ca);
        }
        if let Some(address) = self.as_address {
            server = server.at(address);
        }
        if let Some(domain) = self.domain {
            server = server.with_domain(domain);
        }
        let defaults = Settings::new(server);
        let settings = Settings {
            username: self.username,
            schemas: if self.stock { Vec::new() } else { defaults.schemas.clone() },
            allow_downgrade: self.allow_downgrade,
            versions,
            time: Duration::from_secs(self.timeout),
            ..defaults
        };
        Device::new(settings, Arc::new(se), Arc::new(store)).map_err(|error| Failure::other("openssl", error))
    }
}

impl Bootstrap {
    async fn run(self, context: &Context) -> Outcome {
        let device = self.device.device(Versions::Both)?;
        let association = device.bootstrap().await.map_err(|error| failure(&error))?;
        let mut said = described(&association);
        if let Some(app) = self.show_key {
            let uas = if self.ua.is_empty() { vec![UaId::TLS13_PSK] } else { self.ua };
            let keys = uas.into_iter().map(|ua| {
                let key = association.app_key(&NafId { app: app.clone(), ua });
                let hex: String = key.expose().iter().map(|octet| format!("{octet:02x}")).collect();
                (ua.to_string(), Value::String(hex))
            });
            if let Value::Object(fields) = &mut said {
                fields.insert("app".into(), app.as_str().into());
                fields.insert("keys".into(), Value::Object(keys.collect()));
            }
        }
        context.out.say(&said, || record(&said));
        Ok(())
    }
}

impl Connect {
    async fn run(self) -> Outcome {
        let versions = match self.tls {
            Tls::Both => Versions::Both,
            Tls::V12 => Versions::Tls12,
            Tls::V13 => Versions::Tls13,
        };
        let target = self.http.as_deref().map(|url| target_of(url, &self.app)).transpose()?;
        let time = Duration::from_secs(self.device.timeout);
        let device = self.device.device(versions)?;
        let stream = device.connect(&self.app, self.address.as_str()).await.map_err(|error| failure(&error))?;
        let Some(target) = target else { return talk(stream).await };
        let request = hyper::Request::get(target).body(Default::default()).map_err(Failure::usage)?;
        let answer = obf_client::http::send(stream, &self.app, request, MAX_ANSWER, time)
            .await
            .map_err(|error| Failure::new(Exit::Unreachable, "no-answer", error))?;
        let mut out = tokio::io::stdout();
        write_all(&mut out, answer.body()).await?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(Failure::other("http-status", format_args!("{} answered {status}", self.app))),
        }
    }
}

/// Both directions until the application has said all it has to say.
async fn talk(stream: obf_client::AppStream) -> Outcome {
    let (mut from, mut to) = tokio::io::split(stream);
    let outgoing = async {
        let mut input = tokio::io::stdin();
        tokio::io::copy(&mut input, &mut to).await?;
        to.shutdown().await
    };
    let incoming = async {
        let (mut output, mut buffer) = (tokio::io::stdout(), vec![0; 16 * 1024]);
        loop {
            // The other end may close without a word; what it said before counts.
            let Ok(read @ 1..) = from.read(&mut buffer).await else { return Ok(()) };
            write_all(&mut output, buffer.get(..read).unwrap_or_default()).await?;
        }
    };
    // A broken outgoing half shows on the incoming one.
    tokio::pin!(outgoing, incoming);
    tokio::select! {
        ended = &mut incoming => ended,
        _ = &mut outgoing => incoming.await,
    }
}

async fn write_all(out: &mut (impl AsyncWrite + Unpin), octets: &[u8]) -> Outcome {
    let written = async {
        out.write_all(octets).await?;
        out.flush().await
    };
    written.await.map_err(|error: std::io::Error| Failure::other("output", error))
}

fn described(association: &SecurityAssociation) -> Value {
    json!({
        "token": association.id.to_string(),
        "expires": association.expires.to_string(),
        "schema": association.schema.name(),
        "algorithm": association.algorithm.name(),
        "identity": association.identity.as_ref().map(|identity| identity.value().to_owned()),
    })
}

/// The path of a URL of the application, or the path itself.
fn target_of(url: &str, app: &AppId) -> Result<String, Failure> {
    if url.starts_with('/') {
        return Ok(url.to_owned());
    }
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let rest = rest.and_then(|rest| rest.strip_prefix(app.as_str()));
    match rest {
        Some("") => Ok("/".to_owned()),
        Some(path) if path.starts_with('/') => Ok(path.to_owned()),
        _ => Err(Failure::usage(format_args!("--http is a path or a URL of {app}, not {url}"))),
    }
}

fn ua_id(text: &str) -> Result<UaId, String> {
    UaId::from_hex(text).ok_or_else(|| "a Ua security protocol id is 10 hex digits".to_owned())
}

fn failure(error: &ConnectError) -> Failure {
    if let ConnectError::Bootstrap(BootstrapFailure::SecureElement(error)) = error {
        return se_failure(error);
    }
    if let ConnectError::Bootstrap(failure) = error
        && let Some(refusal) = failure.refusal()
    {
        return Failure::refused(refusal);
    }
    let (exit, code) = match (error, error.fault()) {
        (ConnectError::KeyNotAccepted { .. }, _) => (Exit::NotAuthenticated, "key-not-accepted"),
        (_, Fault::Network) => (Exit::Unreachable, "unreachable"),
        (_, Fault::Server) => (Exit::Other, "server"),
        (_, Fault::Authentication) => (Exit::NotAuthenticated, "not-authenticated"),
        (_, Fault::Refused) => (Exit::Refused, "refused"),
        (_, Fault::Local) => (Exit::Other, "client"),
    };
    let failure = Failure::new(exit, code, error);
    match error {
        ConnectError::KeyNotAccepted { app, .. } => failure.next(format!("obf grant list --app {app}")),
        _ => failure,
    }
}

fn se_failure(error: &SeError) -> Failure {
    match error {
        SeError::File { path, reason } => Failure::file(path, reason),
        SeError::Record { .. } => Failure::bad_data("secure-element", error),
        _ => Failure::other("secure-element", error),
    }
}
