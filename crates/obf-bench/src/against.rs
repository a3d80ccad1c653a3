//! `--against OLD`: what an operation costs with this binary and with an older one, round by round in one run.
//!
//! Each binary gets a deployment of its own: its own `obf init`, its own servers, its own commands. The load is this binary's for
//! both, and the CPU is that of the servers alone, so that the two answer the same requests. The order turns every round.

use crate::{
    bootstrap::{Bootstrap, Target, UNLIMITED, register},
    deployment::{Deployment, Server, cpu_of},
    devices::{self, Devices},
    handshake::Handshake,
    report::{Comparison, Limit},
    rpo::{self, Rpo},
    subscriber::Subscriber,
    tokens::Tokens,
};
use anyhow::{Context, Result, ensure};
use obf_net::{Stopper, radius::RadiusTlsClient};
use obf_token::TokenId;
use obf_types::KeySchema;
use std::{
    env::current_exe,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

/// The most that an operation may cost, as a part of what it cost the older binary.
const COST: Limit = Limit::AtMost(1.05);
/// The least of its rate of import.
const IMPORT: Limit = Limit::AtLeast(0.75);
/// The most of its time for a full rotation.
const ROTATION: Limit = Limit::AtMost(1.3);
/// Devices of an import, and tokens that are fetched, unless more or fewer are asked for.
const DEVICES: u64 = 100_000;
const TOKENS: u64 = 10_000;
const APP: &str = "track.example";

/// The older binary.
#[derive(Clone, Debug)]
pub struct Old(PathBuf);

impl Old {
    /// That one.
    ///
    /// # Errors
    /// There is no such file.
    pub fn new(binary: &Path) -> Result<Self> {
        let binary = binary.canonicalize().with_context(|| binary.display().to_string())?;
        Ok(Self(binary))
    }

    fn comparison(
        &self,
        name: &'static str,
        unit: &'static str,
        limit: Limit,
        rounds: Vec<(f64, f64)>,
    ) -> Comparison {
        Comparison { name, unit, baseline: format!("{}", self.0.display()), rounds, limit, notes: Vec::new() }
    }

    /// CPU a bootstrap of both servers.
    ///
    /// # Errors
    /// A server does not start, or a bootstrap fails.
    pub async fn bootstrap(&self, bench: &Bootstrap, rounds: u32) -> Result<Vec<Comparison>> {
        let (mut new, mut old) = self.sides(bench.clients).await?;
        let schemas = agree(&mut new, &mut old).await?;
        for side in [&mut new, &mut old] {
            side.bootstraps(bench.each).await?;
        }
        let per = (bench.clients * bench.each) as f64 / 1e6;
        let mut figures = Vec::new();
        for round in 0..rounds {
            figures.push(
                turns(round, &mut new, &mut old, async |side| Ok(side.bootstraps(bench.each).await? / per))
                    .await?,
            );
        }
        let mut comparison = self.comparison("bootstrap", "CPU µs a bootstrap (AS + RS)", COST, figures);
        comparison.notes.push(("bootstraps a round", (bench.clients * bench.each).to_string()));
        comparison.notes.push(("key schemas offered", schemas));
        Ok(vec![comparison])
    }

    /// CPU a fetch of the Authentication Server, its tokens in memory.
    ///
    /// # Errors
    /// A server does not start, or refuses.
    pub async fn rpo(&self, bench: &Rpo, rounds: u32) -> Result<Vec<Comparison>> {
        let (mut new, mut old) = self.sides(bench.tokens).await?;
        agree(&mut new, &mut old).await?;
        let stopper = Stopper::new();
        let mut fetchers = Vec::new();
        for side in [&mut new, &mut old] {
            let packets = side.key_requests().await?;
            let links =
                rpo::links(&side.deployment, side.auth.endpoint("rpo")?, &stopper, bench.connections).await?;
            bench.load(&links, &packets, bench.requests / 4).await?;
            fetchers.push((side.auth.id(), links, packets));
        }
        let per = bench.requests as f64 / 1e6;
        let (mut new, mut old) = pair(fetchers)?;
        let mut figures = Vec::new();
        for round in 0..rounds {
            let one = async |(id, links, packets): &mut (u32, Vec<RadiusTlsClient>, Arc<[Vec<u8>]>)| {
                Ok(cpu_of(&[*id], bench.load(links, packets, bench.requests)).await?.0 / per)
            };
            figures.push(turns(round, &mut new, &mut old, one).await?);
        }
        let mut comparison = self.comparison("rpo", "CPU µs a fetch", COST, figures);
        comparison.notes.push(("requests a round", bench.requests.to_string()));
        Ok(vec![comparison])
    }

    /// CPU of the Authentication Server for the first fetch of a token after it started: the token comes from the store.
    ///
    /// # Errors
    /// A server does not start, or refuses.
    pub async fn tokens(&self, bench: &Tokens, rounds: u32) -> Result<Vec<Comparison>> {
        let count = bench.many.unwrap_or(TOKENS);
        let (mut new, mut old) = self.sides(count).await?;
        agree(&mut new, &mut old).await?;
        let stopper = Stopper::new();
        let mut stored = Vec::new();
        for mut side in [new, old] {
            let packets = side.key_requests().await?;
            stored.push((side, packets));
        }
        let (mut new, mut old) = pair(stored)?;
        let load = Rpo { connections: 1, in_flight: 64, requests: usize::try_from(count)?, tokens: count };
        let mut figures = Vec::new();
        // The first round warms up and is not counted.
        for round in 0..=rounds {
            let one = async |(side, packets): &mut (Side, Arc<[Vec<u8>]>)| {
                side.restart_auth()?;
                let address = side.auth.endpoint("rpo")?;
                let links = rpo::links(&side.deployment, address, &stopper, 1).await?;
                let fetched = load.load(&links, packets, load.requests);
                Ok(cpu_of(&[side.auth.id()], fetched).await?.0 / (count as f64 / 1e6))
            };
            let figure = turns(round, &mut new, &mut old, one).await?;
            if round > 0 {
                figures.push(figure);
            }
        }
        let unit = "CPU µs a first fetch of a token after the AS started";
        let mut comparison = self.comparison("tokens", unit, COST, figures);
        comparison.notes.push(("tokens", count.to_string()));
        Ok(vec![comparison])
    }

    /// CPU a handshake of the application: known keys, then fetched ones.
    ///
    /// # Errors
    /// A server does not start, or a handshake fails.
    pub async fn handshake(&self, bench: &Handshake, rounds: u32) -> Result<Vec<Comparison>> {
        let (mut new, mut old) = self.sides(bench.tokens).await?;
        agree(&mut new, &mut old).await?;
        let mut sides = Vec::new();
        for mut side in [new, old] {
            let devices = Arc::new(side.associations().await?);
            sides.push((side, devices));
        }
        let (new, old) = pair(sides)?;
        let mut comparisons = Vec::new();
        let known = usize::try_from(bench.tokens)?;
        for (name, keys) in [("handshake, key known", known), ("handshake, key fetched", 1)] {
            let sdk = |(side, _): &(Side, _)| {
                crate::handshake::sdk(&side.deployment, side.auth.endpoint("rpo")?, keys)
            };
            let (mut ours, mut theirs) = ((sdk(&new)?, &new.1), (sdk(&old)?, &old.1));
            let per = bench.handshakes as f64 / 1e6;
            let mut figures = Vec::new();
            for round in 0..=rounds {
                let one = async |(server, devices): &mut (Server, &Arc<Vec<crate::handshake::Device>>)| {
                    let load = bench.load(server.endpoint("rpa")?, devices, bench.handshakes);
                    Ok(cpu_of(&[server.id()], load).await?.0 / per)
                };
                let figure = turns(round, &mut ours, &mut theirs, one).await?;
                if round > 0 {
                    figures.push(figure);
                }
            }
            let unit = "CPU µs a handshake (application)";
            let mut comparison = self.comparison(name, unit, COST, figures);
            comparison.notes.push(("handshakes a round", bench.handshakes.to_string()));
            comparisons.push(comparison);
        }
        Ok(comparisons)
    }

    /// Devices imported a second, and how long a full rotation of them takes; a fresh deployment for each.
    ///
    /// # Errors
    /// A server does not start, or a command fails.
    pub async fn devices(&self, bench: &Devices, rounds: u32) -> Result<Vec<Comparison>> {
        let count = bench.many.unwrap_or(DEVICES);
        let (mut imports, mut rotations) = (Vec::new(), Vec::new());
        let (mut new, mut old) = (current_exe()?, self.0.clone());
        for round in 0..rounds {
            let mut rotated = Vec::new();
            let one = async |binary: &mut PathBuf| {
                let (rate, seconds) = import_and_rotate(binary, count)?;
                rotated.push((binary.clone(), seconds));
                Ok(rate)
            };
            imports.push(turns(round, &mut new, &mut old, one).await?);
            let of = |binary: &PathBuf| {
                rotated.iter().find(|(of, _)| of == binary).map(|(_, seconds)| *seconds).context("a rotation")
            };
            rotations.push((of(&new)?, of(&old)?));
        }
        let mut import =
            self.comparison("import", "devices a second through obf device import", IMPORT, imports);
        let mut rotate = self.comparison("rotate", "seconds of obf kms rotate --full", ROTATION, rotations);
        for comparison in [&mut import, &mut rotate] {
            comparison.notes.push(("devices", count.to_string()));
        }
        Ok(vec![import, rotate])
    }

    /// A deployment of this binary and one of the older, with so many devices.
    async fn sides(&self, devices: u64) -> Result<(Side, Side)> {
        Ok((Side::start(&current_exe()?, devices)?, Side::start(&self.0, devices)?))
    }
}

/// One binary's servers, and its devices.
struct Side {
    deployment: Deployment,
    resource: Server,
    auth: Server,
    target: Arc<Target>,
    devices: Vec<Subscriber>,
}

impl Side {
    fn start(binary: &Path, devices: u64) -> Result<Self> {
        let deployment = Deployment::init_of(binary, &["--app", APP])?;
        let resource = deployment.serve("resource", &[])?;
        let auth = deployment.serve("auth", &UNLIMITED.map(str::to_owned))?;
        let devices: Vec<Subscriber> = (1..=devices).map(Subscriber::numbered).collect();
        register(&deployment, &devices)?;
        let target = Arc::new(Target::new(&deployment, auth.endpoint("rpb")?)?);
        Ok(Self { deployment, resource, auth, target, devices })
    }

    /// So many bootstraps of each device, all devices at once: the servers' CPU seconds.
    async fn bootstraps(&mut self, each: u64) -> Result<f64> {
        let devices = std::mem::take(&mut self.devices);
        let run = crate::bootstrap::all(&self.target, devices, each);
        let (seconds, devices) = cpu_of(&[self.auth.id(), self.resource.id()], run).await?;
        self.devices = devices;
        Ok(seconds)
    }

    /// A bootstrap of each device, and what it then has.
    async fn associations(&mut self) -> Result<Vec<crate::handshake::Device>> {
        let mut associations = Vec::with_capacity(self.devices.len());
        for device in &mut self.devices {
            associations.push(crate::handshake::Device::of(&self.target.associate(device, |_| ()).await?)?);
        }
        Ok(associations)
    }

    /// A token of each device, as the request for its key.
    async fn key_requests(&mut self) -> Result<Arc<[Vec<u8>]>> {
        let mut packets = Vec::with_capacity(self.devices.len());
        for device in &mut self.devices {
            let token: TokenId = self.target.bootstrap(device, |_| ()).await?;
            packets.push(rpo::key_request(token)?);
        }
        Ok(packets.into())
    }

    /// Its Authentication Server anew: what it had in memory is in the store only.
    fn restart_auth(&mut self) -> Result<()> {
        self.auth.stop();
        self.auth = self.deployment.serve("auth", &UNLIMITED.map(str::to_owned))?;
        Ok(())
    }
}

/// The key schemas that both ends of both sides understand: ours, or where an older server says something that this client no
/// longer reads, those of a stock UE. Says which.
async fn agree(new: &mut Side, old: &mut Side) -> Result<String> {
    let ours = [KeySchema::Obf1, KeySchema::GbaMe];
    for schemas in [&ours[..], &[]] {
        for side in [&mut *new, &mut *old] {
            side.target = Arc::new(side.target.offering(schemas));
        }
        let mut understood = true;
        for side in [&mut *new, &mut *old] {
            let device = side.devices.first_mut().context("at least one device")?;
            understood &= side.target.associate(device, |_| ()).await.is_ok();
        }
        if understood {
            let names: Vec<&str> = schemas.iter().map(|schema| schema.name()).collect();
            return Ok(if names.is_empty() { "none, as a stock UE".into() } else { names.join(", ") });
        }
    }
    anyhow::bail!("a device of this binary cannot bootstrap at both servers")
}

fn import_and_rotate(binary: &Path, count: u64) -> Result<(f64, f64)> {
    let deployment = Deployment::init_of(binary, &[])?;
    let _resource = deployment.serve_on_all_cores("resource", &[])?;
    let file = devices::lines(&deployment, count)?;
    let start = Instant::now();
    deployment.obf(&["device", "import", &file.display().to_string()], b"")?;
    let rate = count as f64 / start.elapsed().as_secs_f64();
    let start = Instant::now();
    deployment.obf(&["kms", "rotate", "--full"], b"")?;
    Ok((rate, start.elapsed().as_secs_f64()))
}

/// One round: a figure of ours and of theirs, ours first in every other round.
async fn turns<T>(
    round: u32,
    new: &mut T,
    old: &mut T,
    mut one: impl AsyncFnMut(&mut T) -> Result<f64>,
) -> Result<(f64, f64)> {
    if round.is_multiple_of(2) {
        let ours = one(new).await?;
        Ok((ours, one(old).await?))
    } else {
        let theirs = one(old).await?;
        Ok((one(new).await?, theirs))
    }
}

fn pair<T>(mut both: Vec<T>) -> Result<(T, T)> {
    ensure!(both.len() == 2, "two sides");
    let old = both.pop().context("the old side")?;
    Ok((both.pop().context("the new side")?, old))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ours_and_theirs_are_told_apart_whoever_goes_first() {
        for round in 0..3 {
            let mut order = Vec::new();
            let one = async |side: &mut f64| {
                order.push(*side);
                Ok(*side)
            };
            assert_eq!(turns(round, &mut 1.0, &mut 2.0, one).await.unwrap(), (1.0, 2.0));
            assert_eq!(order[0], if round % 2 == 0 { 1.0 } else { 2.0 });
        }
        assert!(pair(vec![1]).is_err());
        assert!(Old::new(Path::new("/nowhere/obf")).unwrap_err().to_string().contains("/nowhere/obf"));
    }
}
