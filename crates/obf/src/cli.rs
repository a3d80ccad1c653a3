//! What can be typed. Flags are described here and in the commands' files, once; help and completions come from it.

use crate::{
    commands::{app, backup, client, completions, demo, described, device, init, kms, serve},
    configuration::Configuration,
    failure::Failure,
    output::Output,
};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Try it:
  obf demo                                       the whole story on this machine, every step verified

A deployment of your own:
  obf init /srv/obf                              configuration, certificates, keys, an administrator
  export OBF_CONFIG=/srv/obf/obf.toml
  obf serve all                                  Authentication and Resource Server; stop it with SIGTERM
  obf device import sims.jsonl
  obf app add track.example --cert-name track.example --ua tls-psk
  obf grant add --device 001010000000001 --app track.example

Exit codes: 0 done, 2 usage, 3 refused by policy, 4 unreachable, 5 not authenticated, 6 bad data, 1 anything else.";

/// The Open Bootstrap Framework: a SIM's key, trusted by any application.
#[derive(Parser)]
#[command(name = "obf", version, after_help = EXAMPLES, max_term_width = 110)]
pub struct Cli {
    /// The deployment's configuration.
    #[arg(long, global = true, env = "OBF_CONFIG", value_name = "FILE", default_value = "obf.toml")]
    pub config: PathBuf,
    /// One JSON object a line on standard output; errors as one object on standard error.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands, a file each in `commands/`.
#[derive(Subcommand)]
pub enum Command {
    /// The whole story on this machine, with real sockets; each step said and verified.
    Demo(demo::Demo),
    /// Set up a ready deployment in a directory.
    Init(init::Init),
    /// Run servers until SIGTERM, then drain.
    Serve(serve::Serve),
    /// Devices and their keys: import, add, list, show, suspend, resume, revoke, remove …
    #[command(subcommand)]
    Device(device::Device),
    /// Applications: add, list, show, suspend, resume, remove …; run a small one.
    #[command(subcommand)]
    App(app::App),
    /// Keys: status, rotation, rotate, create.
    #[command(subcommand)]
    Kms(kms::Kms),
    Backup(backup::Backup),
    Restore(backup::Restore),
    /// The device side: bootstrap, connect.
    #[command(subcommand)]
    Client(client::Client),
    /// Measure against baselines.
    #[cfg(feature = "bench")]
    Bench(obf_bench::Bench),
    /// Shell completions on standard output.
    Completions(completions::Completions),
}

impl Command {
    /// Whether it runs servers, whose log is wanted by default.
    pub const fn serves(&self) -> bool {
        matches!(self, Self::Serve(_) | Self::App(app::App::Run(_)))
    }
}

/// What was typed.
pub struct Typed {
    /// `--config`.
    pub config: PathBuf,
    /// `--json`.
    pub json: bool,
    /// What to do.
    pub command: Either,
}

/// A command of a file here, or one that is made from the description of the admin API.
pub enum Either {
    /// Of a file here.
    Own(Command),
    /// Made from the description.
    Described(described::Typed),
}

/// Everything that can be typed.
pub fn command() -> clap::Command {
    described::add_to(Cli::command())
}

/// Reads the command line; ends the process with help or an error if there is nothing to do.
pub fn parse() -> Typed {
    let matches = command().get_matches();
    if let Some(typed) = described::typed(&matches) {
        let config = matches.get_one::<PathBuf>("config").cloned().unwrap_or_default();
        return Typed { config, json: matches.get_flag("json"), command: Either::Described(typed) };
    }
    let Cli { config, json, command } = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    Typed { config, json, command: Either::Own(command) }
}

impl Either {
    /// Whether it runs servers, whose log is wanted by default.
    pub const fn serves(&self) -> bool {
        matches!(self, Self::Own(command) if command.serves())
    }
}

/// What every command may need.
pub struct Context {
    /// `--config`.
    pub config: PathBuf,
    /// How to talk.
    pub out: Output,
}

impl Context {
    /// The deployment's configuration.
    ///
    /// # Errors
    /// It cannot be read or is wrong.
    pub fn configuration(&self) -> Result<Configuration, Failure> {
        Configuration::load(&self.config, &[])
    }
}
