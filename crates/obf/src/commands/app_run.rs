//! `obf app run`: a small application server on the SDK, to try things against.

use crate::{
    cli::Context,
    endpoints::Endpoints,
    failure::{Failure, Outcome},
    signals::Signals,
    systemd,
};
use clap::Args;
use obf_app::{Config, Environment, Service};
use serde_json::json;
use std::{net::SocketAddr, path::PathBuf};

const EXAMPLES: &str = "\
Examples (in the directory that `obf init` made):
  obf app run --id track.example --listen 127.0.0.1:4433 --rpo 127.0.0.1:2083 \\
      --cert apps/track.example.pem --key apps/track.example.key --ca ca.pem --echo
  obf app run … --to 127.0.0.1:5023          hands the plain stream to a server that knows no OBF";

/// A small application server on the SDK.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Run {
    /// The application's id.
    #[arg(long)]
    id: String,
    /// Where devices come in; port 0 takes a free one.
    #[arg(long)]
    listen: SocketAddr,
    /// The Authentication Server's RPO listener, host:port; may be repeated.
    #[arg(long, required = true)]
    rpo: Vec<String>,
    /// The name in the Authentication Server's certificate; the host of --rpo if absent.
    #[arg(long)]
    rpo_name: Option<String>,
    /// The application's certificate, PEM.
    #[arg(long)]
    cert: PathBuf,
    /// Its private key, PEM.
    #[arg(long)]
    key: PathBuf,
    /// Trust anchors of the Authentication Server's certificate, PEM.
    #[arg(long)]
    ca: PathBuf,
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
        let config = Config {
            id: self.id,
            listen: self.listen,
            rpo: self.rpo,
            rpo_name: self.rpo_name,
            cert_file: self.cert,
            key_file: self.key,
            ca_file: self.ca,
            service: self.to.map_or(Service::Echo, Service::To),
            instance: None,
            protocols: Vec::new(),
            max_key_age: None,
            stale_grace: obf_app::LocalPolicy::DEFAULT_STALE_GRACE,
            vendor: obf_app::Vendor::DOCUMENTATION.0,
        };
        let handle = obf_app::start(config, Environment::default()).await.map_err(|error| match error {
            obf_app::StartError::Config(error) => Failure::usage(error),
            error => Failure::other("not-started", error),
        })?;
        let listeners = handle.endpoints();
        let listeners = listeners.into_iter().map(|(point, address, tls)| (point.to_owned(), address, tls));
        context.out.listeners(&Endpoints::new("app", listeners));
        tokio::select! {
            // Said once keys can be had; devices that come earlier wait for it.
            () = handle.application().ready() => {
                context.out.say(&json!({"event": "ready"}), || "ready".to_owned());
                systemd::notify("READY=1");
                signals.any().await;
            }
            () = signals.any() => {}
        }
        systemd::notify("STOPPING=1");
        handle.shutdown().await;
        Ok(())
    }
}
