//! `obf app run`: a small application server on the SDK, to try things against.

use crate::{
    cli::Context,
    commands::serve::Signals,
    failure::{Exit, Failure, Outcome},
};
use clap::Args;
use obf_app::{Config, Environment, Service, StartError};
use obf_types::AppId;
use serde_json::json;
use std::{net::SocketAddr, path::PathBuf};

/// Arguments.
#[derive(Args)]
#[command(after_help = "\
Examples:
  obf app run --id track.example --listen 127.0.0.1:9443 --rpo 127.0.0.1:2083 --rpo-name as.obf.example \\
      --cert apps/track.example.pem --key apps/track.example.key --ca ca.pem --echo
  obf app run … --to 127.0.0.1:8080          the plain stream goes to a server that knows nothing of OBF")]
pub struct Run {
    /// The application's id.
    #[arg(long)]
    id: AppId,
    /// Where devices come in; port 0 takes a free one.
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// The Authentication Server's RPO address, HOST:PORT; further ones are tried in this order.
    #[arg(long, value_name = "ADDR", required = true)]
    rpo: Vec<String>,
    /// The name in the Authentication Server's certificate, if it is not the host of --rpo.
    #[arg(long, value_name = "NAME")]
    rpo_name: Option<String>,
    /// The application's certificate, PEM.
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// Its private key, PEM.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The CA of the Authentication Server's certificate, PEM.
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// Send back what devices send (the default).
    #[arg(long, conflicts_with = "to")]
    echo: bool,
    /// Hand the plain stream of each device to this address.
    #[arg(long, value_name = "ADDR")]
    to: Option<String>,
    /// Seconds that known keys go on while the Authentication Server is away.
    #[arg(long, default_value_t = 900, value_name = "SECONDS")]
    stale_grace: u32,
    /// Seconds after its fetch beyond which a key is not used (local policy).
    #[arg(long, value_name = "SECONDS")]
    max_key_age: Option<u32>,
}

impl Run {
    /// Serves until SIGTERM.
    pub async fn run(self, context: &Context) -> Outcome {
        let mut signals = Signals::new()?;
        let config = Config {
            id: self.id.as_str().to_owned(),
            listen: self.listen,
            rpo: self.rpo,
            rpo_name: self.rpo_name,
            cert_file: self.cert,
            key_file: self.key,
            ca_file: self.ca,
            service: self.to.map_or(Service::Echo, Service::To),
            instance: None,
            protocols: Vec::new(),
            max_key_age: self.max_key_age,
            stale_grace: self.stale_grace,
            vendor: obf_radius::Vendor::DEFAULT.0,
        };
        let handle = obf_app::start(config, Environment::default()).await.map_err(|error| failure(&error))?;
        for (point, address, tls) in handle.endpoints() {
            let said = json!({"event": "listening", "point": point, "address": address, "tls": tls, "app": self.id.as_str()});
            context.out.say(&said, || format!("{} accepts devices at {address}", self.id));
        }
        handle.application().ready().await;
        context.out.say(&json!({"event": "ready"}), || "ready".to_owned());
        signals.any().await;
        handle.shutdown().await;
        Ok(())
    }
}

fn failure(error: &StartError) -> Failure {
    match error {
        StartError::Config(_) | StartError::Certificates(_) | StartError::Address { .. } => {
            Failure::bad_data("app-configuration", error)
        }
        _ => Failure::new(Exit::Other, "not-started", error),
    }
}
