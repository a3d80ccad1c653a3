//! `obf`: the Open Bootstrap Framework on the command line.
//!
//! Reading order: [`cli`] (what can be typed), [`commands`] (a file a command), [`configuration`] (`obf.toml`),
//! [`failure`] (exit codes and error texts).
#![forbid(unsafe_code)]

mod admin;
mod application_server;
mod as_file;
mod cli;
mod commands;
mod configuration;
mod endpoints;
mod failure;
mod files;
mod nodes;
mod output;
mod pki;
mod signals;
mod systemd;

use std::{io::IsTerminal, process::ExitCode};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::parse();
    start_logging(cli.command.serves());
    if cli.command.serves() {
        obf_net::scheduling::wake_without_preempting();
    }
    let json = cli.json;
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report(json);
            ExitCode::from(failure.exit as u8)
        }
    }
}

fn run(cli: cli::Typed) -> failure::Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| failure::Failure::other("runtime", error))?;
    let outcome = runtime.block_on(commands::run(cli));
    // A read of standard input may be under way; it cannot be cancelled and is not waited for.
    runtime.shutdown_background();
    outcome
}

/// To standard error, before any configuration is read; `OBF_LOG` filters (`info`, `obf_auth=debug` …).
fn start_logging(serves: bool) {
    // Commands report their errors themselves.
    let default = if serves { "info" } else { "off" };
    let filter = tracing_subscriber::EnvFilter::try_from_env("OBF_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}
