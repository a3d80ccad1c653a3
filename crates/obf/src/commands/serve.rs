//! `obf serve`: servers until SIGTERM.

use crate::{
    admin::Node, cli::Context, configuration::Configuration, failure::Outcome, nodes::Nodes,
    signals::Signals, systemd,
};
use clap::{Args, ValueEnum};
use obf_net::SystemClock;
use serde_json::json;
use std::sync::Arc;

const EXAMPLES: &str = "\
Examples:
  obf serve all --config /srv/obf/obf.toml
  obf serve auth --json --set auth.rpb.listen=0.0.0.0:443

SIGTERM or SIGINT: no new connections, what is under way finishes, exit 0. A second one ends it at once.
Under systemd use Type=notify. OBF_LOG filters the log on standard error: info, obf_auth=debug …";

/// Run servers until SIGTERM, then drain.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Serve {
    /// Which servers.
    what: ServedNodes,
    /// A configuration value that wins over the file: section.key=value; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// Which servers run in this process.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ServedNodes {
    /// The Authentication Server.
    Auth,
    /// The Resource Server.
    Resource,
    /// Both.
    All,
}

impl Serve {
    /// Serves.
    pub async fn run(self, context: &Context) -> Outcome {
        let configuration = Configuration::load(&context.config, &self.set)?;
        let mut signals = Signals::new()?;
        let nodes = match self.what {
            ServedNodes::Auth => &[Node::Auth][..],
            ServedNodes::Resource => &[Node::Resource],
            ServedNodes::All => &[Node::Resource, Node::Auth],
        };
        let nodes = Nodes::start(&configuration, nodes, Arc::new(SystemClock)).await?;
        nodes.endpoints().iter().for_each(|endpoints| context.out.listeners(endpoints));
        context.out.say(&json!({"event": "ready"}), || "ready".to_owned());
        systemd::notify("READY=1");
        signals.any().await;
        systemd::notify("STOPPING=1");
        tracing::info!("draining");
        tokio::select! {
            () = nodes.shutdown() => tracing::info!("drained"),
            () = signals.any() => tracing::warn!("ended before everything was drained"),
        }
        Ok(())
    }
}
