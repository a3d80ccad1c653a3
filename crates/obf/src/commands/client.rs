//! `obf client …`: the device side, with a software secure element.

use crate::{
    admin::Node,
    cli::Context,
    failure::{Exit, Failure, Outcome},
    output::record,
};
use clap::{Args, Subcommand};
use http_body_util::Full;
use hyper::{Request, body::Bytes};
use obf_client::{
    AppStream, AssociationStore, AuthenticationServer, Client as ObfClient, ConnectError, Fault,
    SecurityAssociation, Settings, SoftwareSe,
};
use obf_types::{AppId, UaId, hex};
use serde_json::json;
use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::io::AsyncWriteExt;

const HTTP_TIME: Duration = Duration::from_secs(30);
const HTTP_MAX: usize = 64 << 20;

const BOOTSTRAP_EXAMPLES: &str = "\
Examples:
  obf client bootstrap --se sim.json                                    with the deployment of --config
  obf client bootstrap --se sim.json --as https://as.operator.example --ca ca.pem
  obf client bootstrap --se sim.json --show-key track.example           prints a secret: for trying things only

The secure element's file has the fields of `obf device import`; it keeps its sequence numbers in it.";

const CONNECT_EXAMPLES: &str = "\
Examples:
  echo hello | obf client connect track.example 127.0.0.1:4433 --se sim.json
  obf client connect track.example 127.0.0.1:4433 --se sim.json --http /status";

/// The device side.
#[derive(Subcommand)]
pub enum Client {
    /// One bootstrap: token id and lifetime.
    #[command(after_help = BOOTSTRAP_EXAMPLES)]
    Bootstrap(Bootstrap),
    /// A stream to an application: standard input there, its answer to standard output; bootstraps if needed.
    #[command(after_help = CONNECT_EXAMPLES)]
    Connect(Connect),
    Personalise(super::personalise::Personalise),
}

/// Whose keys, and with whom.
#[derive(Args)]
struct Device {
    /// The secure element's file.
    #[arg(long, value_name = "FILE")]
    se: PathBuf,
    /// The Authentication Server; the one of --config's deployment if absent.
    #[arg(long = "as", value_name = "URL")]
    server: Option<String>,
    /// Trust anchors of its certificate, PEM; the system's, or the deployment's ca.pem, if absent.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Bootstrap as this IMPI or IMSI instead of the secure element's own identity.
    #[arg(long)]
    username: Option<String>,
    /// Where associations are kept between runs; beside the secure element's file if absent.
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
}

/// One bootstrap.
#[derive(Args)]
pub struct Bootstrap {
    #[command(flatten)]
    device: Device,
    /// Print the key for this application: a secret.
    #[arg(long, value_name = "APP")]
    show_key: Option<AppId>,
    /// For --show-key, the security protocol: 10 hex digits (TS 33.220 Annex H). TLS 1.3 PSK if absent.
    #[arg(long, value_name = "HEX", requires = "show_key", value_parser = ua)]
    ua: Option<UaId>,
}

/// A stream.
#[derive(Args)]
pub struct Connect {
    /// The application's id.
    app: AppId,
    /// host:port.
    address: String,
    #[command(flatten)]
    device: Device,
    /// Send one GET request for this path or URL and print the body.
    #[arg(long, value_name = "URL")]
    http: Option<String>,
}

impl Client {
    /// Does it.
    pub async fn run(self, context: &Context) -> Outcome {
        match self {
            Self::Bootstrap(command) => command.run(context).await,
            Self::Connect(command) => command.run(context).await,
            Self::Personalise(command) => command.run(context),
        }
    }
}

impl Bootstrap {
    async fn run(self, context: &Context) -> Outcome {
        let client = self.device.client(context)?;
        let association = client.bootstrap().await.map_err(|error| failed(&error, None))?;
        let mut said = described(&association);
        if let (Some(app), Some(fields)) = (self.show_key, said.as_object_mut()) {
            let ua = self.ua.unwrap_or(UaId::TLS13_PSK);
            let (_, key) =
                client.app_key(app.clone(), ua).await.map_err(|error| failed(&error, Some(&app)))?;
            fields.insert("app".to_owned(), json!(app.as_str()));
            fields.insert("ua".to_owned(), json!(ua.to_string()));
            fields.insert("key".to_owned(), json!(hex::encode(key.expose())));
        }
        context.out.say(&said, || record(&said));
        Ok(())
    }
}

impl Connect {
    async fn run(self, context: &Context) -> Outcome {
        let client = self.device.client(context)?;
        let stream = client
            .connect(&self.app, self.address.as_str())
            .await
            .map_err(|error| failed(&error, Some(&self.app)))?;
        tracing::info!(token = %stream.token(), version = stream.version(), suite = stream.suite(), "connected");
        match self.http {
            Some(url) => get(stream, &self.app, &url).await,
            None => converse(stream).await,
        }
    }
}

impl Device {
    fn client(&self, context: &Context) -> Result<ObfClient, Failure> {
        let local = |error: &dyn std::fmt::Display| Failure::bad_data("secure-element", error);
        let se = SoftwareSe::open(&self.se).map_err(|error| local(&error))?;
        let path = self.store.clone().unwrap_or_else(|| {
            let mut name = self.se.clone().into_os_string();
            name.push(".associations");
            PathBuf::from(name)
        });
        let store =
            AssociationStore::in_file(path).map_err(|error| Failure::bad_data("associations", error))?;
        let settings = Settings { username: self.username.clone(), ..Settings::new(self.server(context)?) };
        ObfClient::new(settings, Arc::new(se), Arc::new(store))
            .map_err(|error| Failure::other("openssl", error))
    }

    fn server(&self, context: &Context) -> Result<AuthenticationServer, Failure> {
        let (server, deployment_ca) = match &self.server {
            Some(url) => (AuthenticationServer::parse(url).map_err(Failure::usage)?, None),
            None => {
                let configuration = context.configuration()?;
                let domain = configuration.auth()?.domain;
                let address: SocketAddr = configuration.endpoint(Node::Auth, "rpb")?;
                let server = AuthenticationServer::parse(&format!("https://{domain}:{}", address.port()))
                    .map_err(Failure::usage)?
                    .at(address);
                (server, Some(configuration.directory().join("ca.pem")))
            }
        };
        Ok(match self.ca.clone().or(deployment_ca) {
            Some(ca) => server.with_ca(ca),
            None => server,
        })
    }
}

async fn get(stream: AppStream, app: &AppId, url: &str) -> Outcome {
    let parsed: hyper::Uri = url.parse().map_err(|error| Failure::usage(format_args!("{url}: {error}")))?;
    let target = parsed.path_and_query().map_or("/", |target| target.as_str());
    let request = Request::get(target)
        .body(Full::new(Bytes::new()))
        .map_err(|error| Failure::usage(error.to_string()))?;
    let answer = obf_client::http::send(stream, app, request, HTTP_MAX, HTTP_TIME)
        .await
        .map_err(|error| Failure::unreachable("the application", app, error))?;
    let mut out = tokio::io::stdout();
    let written = async {
        out.write_all(answer.body()).await?;
        out.flush().await
    };
    written.await.map_err(|error| Failure::other("standard-output", error))?;
    let status = answer.status();
    match status.as_u16() {
        401 => Err(Failure::new(Exit::NotAuthenticated, "http", status)),
        403 => Err(Failure::new(Exit::Refused, "http", status)),
        400.. => Err(Failure::other("http", status)),
        _ => Ok(()),
    }
}

/// Like `openssl s_client -quiet`: over when the application has closed.
async fn converse(stream: AppStream) -> Outcome {
    let (mut from_app, mut to_app) = tokio::io::split(stream);
    let upward = tokio::spawn(async move {
        let (mut input, mut buffer) = (tokio::io::stdin(), vec![0; 16 * 1024]);
        loop {
            use tokio::io::AsyncReadExt;
            let count = input.read(&mut buffer).await?;
            let Some(read) = buffer.get(..count).filter(|read| !read.is_empty()) else { break };
            to_app.write_all(read).await?;
            to_app.flush().await?;
        }
        to_app.shutdown().await
    });
    let mut output = tokio::io::stdout();
    let downward = tokio::io::copy(&mut from_app, &mut output).await;
    upward.abort();
    let flushed = output.flush().await;
    downward.map(drop).and(flushed).map_err(|error| {
        Failure::new(Exit::Unreachable, "connection-lost", format_args!("the connection ended: {error}"))
    })
}

fn described(association: &SecurityAssociation) -> serde_json::Value {
    json!({
        "token": association.id.to_string(),
        "expires": association.expires.to_string(),
        "schema": association.schema.name(),
        "algorithm": association.method.algorithm_name(),
        "technology": association.technology.name(),
        "counter": association.counter,
        "device": association.identity.as_ref().map(|identity| identity.value()),
    })
}

/// The one table from what the client says to what its user sees.
pub fn failed(error: &ConnectError, app: Option<&AppId>) -> Failure {
    let refusal = match error {
        ConnectError::Bootstrap(failure) => failure.refusal(),
        _ => None,
    };
    if let Some(refusal) = refusal {
        return Failure::refused(refusal);
    }
    let (exit, code) = match error.fault() {
        Fault::Network => (Exit::Unreachable, "unreachable"),
        Fault::Server => (Exit::Other, "protocol"),
        Fault::Authentication => (Exit::NotAuthenticated, "not-authenticated"),
        Fault::Refused => (Exit::Refused, "refused"),
        Fault::Local => (Exit::BadData, "local"),
    };
    let failure = Failure::new(exit, code, error);
    match (error, app) {
        (ConnectError::KeyNotAccepted { .. }, Some(app)) => {
            failure.next(format!("obf grant list --app {app}"))
        }
        _ => failure,
    }
}

fn ua(text: &str) -> Result<UaId, String> {
    UaId::from_hex(text).ok_or_else(|| "10 hex digits, for example 0100000007".to_owned())
}
