//! `obf completions SHELL`.

use crate::{cli, failure::Outcome};
use clap::Args;
use clap_complete::Shell;

/// Shell completions on standard output.
#[derive(Args)]
#[command(after_help = "Example:\n  obf completions bash > /etc/bash_completion.d/obf")]
pub struct Completions {
    /// bash, zsh, fish, elvish or powershell.
    shell: Shell,
}

impl Completions {
    /// Writes the script.
    pub fn run(self) -> Outcome {
        clap_complete::generate(self.shell, &mut cli::command(), "obf", &mut std::io::stdout());
        Ok(())
    }
}
