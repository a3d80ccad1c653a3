//! Whole-system measurements (`obf bench`): what a thing costs, as a ratio to a baseline measured in the same run.
//!
//! With `--against` the baseline is an older `obf`: [`against`].
//!
//! Reading order: [`measure`] (CPU of a process, interleaved rounds), [`report`] (ratio, limit, verdict), then a file
//! per measurement. Every measurement runs its servers as processes of their own; CPU is user + system of those.
//! Rounds of ours and of the baseline alternate, so that a noisy neighbour hits both.
#![forbid(unsafe_code)]

pub mod against;
pub mod aka;
pub mod bootstrap;
pub mod deployment;
pub mod devices;
pub mod gsup;
pub mod handshake;
pub mod hlr;
pub mod https;
pub mod load;
pub mod measure;
pub mod nodes;
pub mod postgres;
pub mod report;
pub mod rpo;
pub mod subscriber;
pub mod tokens;
pub mod vectors;

use against::Old;
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use report::{Comparison, Verdict};
use std::path::PathBuf;

/// `obf bench`: measures against a baseline of the same run.
#[derive(Args, Debug)]
#[command(
    after_help = "Each measurement prints its ratio to the baseline, the spread over the rounds and the limit.\n\
    With --check the exit code is 1 if a limit is missed."
)]
pub struct Bench {
    /// Exit with 1 if a ratio misses its limit.
    #[arg(long, global = true)]
    pub check: bool,
    /// Alternating rounds of ours and the baseline; 5 if it is not said, with --against 21.
    #[arg(long, global = true, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub rounds: Option<u32>,
    /// Compare with an older obf instead: bootstrap, rpo, tokens, handshake and devices.
    #[arg(long, global = true, value_name = "OLD-BINARY")]
    pub against: Option<PathBuf>,
    /// What to measure.
    #[command(subcommand)]
    pub what: Measurement,
}

/// The measurements.
#[derive(Subcommand, Debug)]
pub enum Measurement {
    /// AKA vectors in memory, a new subscriber each time, against libosmocore (packages gcc, libosmocore-dev).
    Aka(aka::Aka),
    /// Full bootstraps, AS and RS on one core, against a bare hyper + rustls server with equal bytes.
    Bootstrap(bootstrap::Bootstrap),
    /// Durable vectors over the wire against osmo-hlr (packages osmo-hlr, strace).
    Vectors(vectors::Vectors),
    /// Key fetches over RPO against FreeRADIUS over TLS (package freeradius).
    Rpo(rpo::Rpo),
    /// TLS-PSK 1.3 handshakes at the application SDK against a bare tokio-openssl PSK echo.
    Handshake(handshake::Handshake),
    /// A million live tokens: memory a token, and the latency of a fetch among them.
    Tokens(tokens::Tokens),
    /// Two Authentication Server nodes on PostgreSQL against one on SQLite, and how soon one hears of the other (package
    /// postgresql).
    Nodes(nodes::Nodes),
    /// A million devices: how fast they are imported, their memory, and the latency of a lookup among them.
    Devices(devices::Devices),
    /// A part of a measurement that runs as a process of its own.
    #[command(hide = true, subcommand)]
    Child(Child),
}

/// What the measurements start as processes of their own.
#[derive(Subcommand, Debug)]
pub enum Child {
    /// Ours of `bench aka`.
    Aka(aka::Aka),
    /// The baseline of `bench bootstrap`.
    Https(https::Https),
    /// The baseline of `bench handshake`.
    PskEcho(handshake::PskEcho),
    /// Ours of `bench handshake`.
    SdkEcho(handshake::SdkEcho),
}

/// Runs the measurement and hands each comparison to `say`. The result tells whether all limits held.
///
/// # Errors
/// A peer is missing, or a process failed; the message says which and what to install.
pub async fn run(bench: &Bench, mut say: impl FnMut(&Comparison)) -> Result<Verdict> {
    if !matches!(bench.what, Measurement::Child(_)) {
        measure::keep_to(deployment::LOAD_CORE)?;
    }
    let rounds = bench.rounds.unwrap_or(if bench.against.is_some() { 21 } else { 5 });
    if let Some(old) = &bench.against {
        let old = Old::new(old)?;
        let comparisons = match &bench.what {
            Measurement::Bootstrap(bootstrap) => old.bootstrap(bootstrap, rounds).await?,
            Measurement::Rpo(rpo) => old.rpo(rpo, rounds).await?,
            Measurement::Tokens(tokens) => old.tokens(tokens, rounds).await?,
            Measurement::Handshake(handshake) => old.handshake(handshake, rounds).await?,
            Measurement::Devices(devices) => old.devices(devices, rounds).await?,
            _ => bail!("--against is for bootstrap, rpo, tokens, handshake and devices"),
        };
        comparisons.iter().for_each(&mut say);
        return Ok(Verdict::of(&comparisons));
    }
    let comparisons = match &bench.what {
        Measurement::Aka(aka) => vec![aka.compare(rounds)?],
        Measurement::Bootstrap(bootstrap) => vec![bootstrap.compare(rounds).await?],
        Measurement::Rpo(rpo) => vec![rpo.compare(rounds).await?],
        Measurement::Handshake(handshake) => handshake.compare(rounds).await?,
        Measurement::Tokens(tokens) => tokens.compare(rounds).await?,
        Measurement::Nodes(nodes) => nodes.compare(rounds).await?,
        Measurement::Devices(devices) => devices.compare(rounds).await?,
        Measurement::Vectors(vectors) => vectors.compare(rounds).await?,
        Measurement::Child(Child::Https(https)) => {
            https.child().await?;
            return Ok(Verdict::Held);
        }
        Measurement::Child(Child::PskEcho(echo)) => {
            echo.child().await?;
            return Ok(Verdict::Held);
        }
        Measurement::Child(Child::SdkEcho(echo)) => {
            echo.child().await?;
            return Ok(Verdict::Held);
        }
        Measurement::Child(Child::Aka(aka)) => {
            aka.child()?;
            return Ok(Verdict::Held);
        }
    };
    comparisons.iter().for_each(&mut say);
    Ok(Verdict::of(&comparisons))
}
