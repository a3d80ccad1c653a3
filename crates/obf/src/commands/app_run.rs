//! `obf app run`: a small application server on the SDK, to try things against.

use crate::{
    application_server::{ApplicationServer, Service, Settings},
    as_file,
    cli::Context,
    endpoints::Endpoints,
    failure::{Failure, Outcome},
    signals::Signals,
    systemd,
};
use clap::Args;
use obf_app::{AppId, AsSettings};
use obf_net::{
    Environment,
    certificates::{self, CertificateFiles},
    radius::TlsClientSettings,
};
use serde_json::json;
use std::{net::SocketAddr, path::PathBuf};

const EXAMPLES: &str = "\
Examples (in the directory that `obf init` made):
  obf app run --id track.example --listen 127.0.0.1:4433 --rpo 127.0.0.1:2083 \\
      --cert apps/track.example.pem --key apps/track.example.key --ca ca.pem --echo
  obf app run … --to 127.0.0.1:5023          hands the plain stream to a server that knows no OBF

Devices of several operators come in at one port; a file says all of one operator's Authentication Server:
  obf app run --id track.example --listen 0.0.0.0:4433 --as one.toml --as two.toml --to 127.0.0.1:5023

  # one.toml; paths are relative to it
  domain = \"as.one.example\"                 tokens …@<rs>.as.one.example are its own
  servers = [\"rpo1.one.example:2083\", \"rpo2.one.example:2083\"]
  ca_file = \"one/ca.pem\"                    trust anchors of its certificate
  cert_file = \"one/track.example.pem\"       the own certificate
  key_file = \"one/track.example.key\"
  # server_name (the domain), stale_grace (900), vendor (32473), instance (a new one at each start)";

/// A small application server on the SDK.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Run {
    /// The application's id; may be repeated: devices then have to say which one they mean (SNI).
    #[arg(long, required = true)]
    id: Vec<AppId>,
    /// Where devices come in; port 0 takes a free one.
    #[arg(long)]
    listen: SocketAddr,
    /// A file that says all of one Authentication Server; may be repeated, one for each operator.
    #[arg(long = "as", value_name = "FILE", conflicts_with_all = ["rpo", "rpo_name", "cert", "key", "ca"])]
    servers: Vec<PathBuf>,
    /// The one Authentication Server's RPO listener, host:port; may be repeated.
    #[arg(long, required_unless_present = "servers", requires = "cert")]
    rpo: Vec<String>,
    /// The name in the Authentication Server's certificate; the host of --rpo if absent.
    #[arg(long)]
    rpo_name: Option<String>,
    /// The application's certificate, PEM.
    #[arg(long, requires = "key")]
    cert: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, requires = "ca")]
    key: Option<PathBuf>,
    /// Trust anchors of the Authentication Server's certificate, PEM.
    #[arg(long)]
    ca: Option<PathBuf>,
    /// Send every octet back (the default).
    #[arg(long, conflicts_with = "to")]
    echo: bool,
    /// Hand the plain stream to this host:port.
    #[arg(long)]
    to: Option<String>,
}

impl Run {
    /// Serves until SIGTERM.
    pub async fn run(self, context: &Context) -> Outcome {
        let mut signals = Signals::new()?;
        let servers = self.servers()?;
        let service = self.to.map_or(Service::Echo, Service::To);
        let settings = Settings { apps: self.id, listen: self.listen, servers, service };
        let server = ApplicationServer::start(settings, &Environment::default().clock).await?;
        context.out.listeners(&Endpoints::new("app", [("rpa".to_owned(), server.address(), true)]));
        tokio::select! {
            // Said once keys can be had; devices that come earlier wait for it.
            () = server.ready() => {
                context.out.say(&json!({"event": "ready"}), || "ready".to_owned());
                systemd::notify("READY=1");
                signals.any().await;
            }
            () = signals.any() => {}
        }
        systemd::notify("STOPPING=1");
        server.shutdown().await;
        Ok(())
    }

    fn servers(&self) -> Result<Vec<AsSettings>, Failure> {
        let (Some(cert), Some(key), Some(ca)) = (&self.cert, &self.key, &self.ca) else {
            return self.servers.iter().map(|path| as_file::read(path)).collect();
        };
        let name = self.rpo_name.as_deref();
        let address = |text: &String| {
            as_file::server(text, name).map_err(|error| Failure::usage(format_args!("--rpo: {error}")))
        };
        let addresses = self.rpo.iter().map(address).collect::<Result<_, _>>()?;
        let files = CertificateFiles { chain: cert.clone(), key: key.clone() };
        let tls =
            certificates::mutual_client(&files, ca).map_err(|error| Failure::other("not-started", error))?;
        Ok(vec![AsSettings::only(TlsClientSettings::new(addresses, tls))])
    }
}
