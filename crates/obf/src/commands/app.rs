//! `obf app run`: a small application server to try things against. The other commands on applications are described.

use super::app_run::Run;
use crate::{cli::Context, failure::Outcome};
use clap::Subcommand;

/// Applications.
#[derive(Subcommand)]
pub enum App {
    /// Run a small application server on the SDK: echo, or hand the plain stream on.
    Run(Run),
}

impl App {
    /// Does it.
    pub async fn run(self, context: &Context) -> Outcome {
        match self {
            Self::Run(run) => run.run(context).await,
        }
    }
}
