//! A million live tokens: memory a token, and whether a fetch among a million is slower than among a thousand.

use crate::{
    deployment::{Deployment, Server},
    load, measure,
    report::{Comparison, Limit, median},
    rpo::{PATIENCE, links},
};
use anyhow::{Context, Result, ensure};
use clap::Args;
use obf_auth::vault::Vault;
use obf_files::SecretFile;
use obf_net::{Stopper, radius::RadiusTlsClient};
use obf_radius::{AttributeWriter, Code, Vendor};
use obf_rpo::{KeyRequest, request::RpoOperation};
use obf_store::{
    Options,
    auth::{AuthStore, Bootstrap, Committed, RightsSet, TokenStore},
};
use obf_token::{Algorithm, Ks, Method, Technology, TokenFacts, TokenId};
use obf_types::{
    AppId, Domain, Epoch, GlobalIdentity, IdentityKind, KeySchema, Lifetime, Right, UaId, UnixTime,
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

const APPS: [&str; 3] = ["track.example", "panic.example", "diagnosis.example"];
/// The many.
const MANY: u64 = 1_000_000;
/// Tokens committed at once while filling.
const FILLING: usize = 4_000;

/// Arguments.
#[derive(Args, Clone, Debug)]
pub struct Tokens {
    /// The many; 1,000,000 if it is not said, with --against 10,000.
    #[arg(long)]
    pub many: Option<u64>,
    /// The few.
    #[arg(long, default_value_t = 1_000)]
    pub few: u64,
    /// Fetches a round of each.
    #[arg(long, default_value_t = 20_000)]
    pub fetches: usize,
}

impl Tokens {
    /// Compares memory with its bound, and the 99th percentile of a fetch among many with that among few.
    ///
    /// # Errors
    /// A server does not start, or refuses.
    pub async fn compare(&self, rounds: u32) -> Result<Vec<Comparison>> {
        let many_tokens = self.many.unwrap_or(MANY);
        let few = Filled::start(self.few).await?;
        let many = Filled::start(many_tokens).await?;
        few.load_all().await?;
        let before = measure::resident_octets(many.auth.id())?;
        many.load_all().await?;
        let octets = measure::resident_octets(many.auth.id())?.saturating_sub(before);
        let mut figures = Vec::new();
        for round in 0..rounds {
            figures.push(if round % 2 == 0 {
                let ours = many.percentile(self.fetches, 0.99).await?;
                (ours, few.percentile(self.fetches, 0.99).await?)
            } else {
                let theirs = few.percentile(self.fetches, 0.99).await?;
                (many.percentile(self.fetches, 0.99).await?, theirs)
            });
        }
        let count = ("live tokens", many_tokens.to_string());
        Ok(vec![
            Comparison {
                name: "tokens-memory",
                unit: "octets of RSS a live token (growth of the AS process)",
                baseline: "one octet".into(),
                rounds: vec![(octets as f64 / many_tokens as f64, 1.0)],
                limit: Limit::AtMost(400.0),
                notes: vec![count.clone(), ("identity", "50 octets; rights for 3 applications".into())],
            },
            Comparison {
                name: "tokens-p99",
                unit: "µs, 99th percentile of an RPO fetch",
                baseline: format!("among {} tokens", self.few),
                rounds: figures,
                limit: Limit::AtMost(1.5),
                notes: vec![count, ("fetches a round", self.fetches.to_string())],
            },
        ])
    }
}

/// A deployment whose store holds so many tokens.
struct Filled {
    auth: Server,
    // Answers the Authentication Server's heartbeats and says registrations.
    _resource: Server,
    link: RadiusTlsClient,
    count: u64,
    _stopper: Stopper,
    _deployment: Deployment,
}

impl Filled {
    async fn start(count: u64) -> Result<Self> {
        let deployment = Deployment::init(&["--app", "track.example"])?;
        let resource = deployment.serve("resource", &[])?;
        for app in APPS {
            deployment.obf(&["app", "add", app, "--cert-name", app, "--ua", "tls-psk"], b"")?;
        }
        fill(&deployment, count).await?;
        let auth = deployment.serve("auth", &[])?;
        let stopper = Stopper::new();
        let link = links(&deployment, auth.endpoint("rpo")?, &stopper, 1).await?.pop().context("a link")?;
        Ok(Self { auth, _resource: resource, link, count, _stopper: stopper, _deployment: deployment })
    }

    /// Fetches each token once, so that it is in memory.
    async fn load_all(&self) -> Result<()> {
        load::in_flight(128, usize::try_from(self.count)?, |number| fetch(self.link.clone(), number as u64))
            .await?;
        Ok(())
    }

    /// Of the latencies of fetches of tokens far apart from each other, µs.
    async fn percentile(&self, fetches: usize, part: f64) -> Result<f64> {
        let latencies = Arc::new(Mutex::new(Vec::with_capacity(fetches)));
        load::in_flight(4, fetches, |number| {
            let (link, latencies) = (self.link.clone(), latencies.clone());
            // A multiplier coprime to any count spreads the numbers.
            let token = (number as u64).wrapping_mul(2_654_435_761) % self.count;
            async move {
                let start = Instant::now();
                fetch(link, token).await?;
                let mut latencies = latencies.lock().unwrap_or_else(PoisonError::into_inner);
                latencies.push(start.elapsed());
                Ok(())
            }
        })
        .await?;
        let mut sorted: Vec<Duration> =
            std::mem::take(&mut *latencies.lock().unwrap_or_else(PoisonError::into_inner));
        sorted.sort_unstable();
        let place = ((sorted.len() as f64 * part) as usize).min(sorted.len().saturating_sub(1));
        Ok(median(sorted.get(place).map(|latency| latency.as_secs_f64() * 1e6).into_iter()))
    }
}

async fn fetch(link: RadiusTlsClient, number: u64) -> Result<()> {
    let wanted = RpoOperation::Key(KeyRequest {
        token: token_id(number)?,
        app: AppId::new("track.example")?,
        ua: UaId::TLS13_PSK,
    });
    let mut attributes = Vec::new();
    wanted.encode(Vendor::default(), "obf-bench", &mut AttributeWriter::for_request(&mut attributes))?;
    let reply = link.ask(Code::AccessRequest, &attributes, PATIENCE).await?;
    ensure!(reply.code() == Code::AccessAccept, "token {number} was refused: {:?}", reply.code());
    Ok(())
}

/// Commits tokens to the store as the Authentication Server does, before it runs.
async fn fill(deployment: &Deployment, count: u64) -> Result<()> {
    let vault = Vault::new(&SecretFile::open_private(&deployment.file("kek.hex"))?.key()?);
    let store = AuthStore::open(&Options::new(deployment.file("data/auth.db")))?;
    let now = UnixTime(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs());
    let rights = APPS.iter().map(|app| {
        Ok(Right {
            app: AppId::new(app)?,
            lifetime: Lifetime::CEILING,
            settings: Box::default(),
            local_validity: None,
        })
    });
    let rights = Arc::new(RightsSet::new(rights.collect::<Result<_>>()?, false));
    load::in_flight(FILLING, usize::try_from(count)?, |number| {
        let number = number as u64;
        let (store, rights) = (store.clone(), rights.clone());
        let new = token(number, now, rights, &vault);
        async move {
            let done = store.commit(Arc::new(new?)).await?;
            ensure!(matches!(done, Committed::Done { .. }), "token {number} was not kept: {done:?}");
            Ok(())
        }
    })
    .await?;
    Ok(())
}

fn token(number: u64, now: UnixTime, rights: Arc<RightsSet>, vault: &Vault) -> Result<Bootstrap> {
    let id = token_id(number)?;
    let user_name = format!("00101{number:010}@ims.mnc001.mcc001.3gppnetwork.org");
    let wrapped_ks = vault.wrap_ks(&id, &Ks::new([(number % 251) as u8; 32]));
    Ok(Bootstrap {
        id,
        device: GlobalIdentity::new(IdentityKind::Impi, &user_name)?,
        user_name: user_name.into_bytes(),
        facts: TokenFacts {
            schema: KeySchema::Obf1,
            method: Method::Aka(Algorithm::AkaV2Sha256),
            technology: Technology::ThreeGpp,
            epoch: Epoch(0),
            counter: 1,
            bootstrapped_at: now,
            expires: now.plus(Lifetime::CEILING),
            rights_at: now,
        },
        wrapped_ks,
        rights,
        former_until: now,
    })
}

fn token_id(number: u64) -> Result<TokenId> {
    let mut rand = [0x5a; 16];
    // Spread like the random numbers that RANDs are.
    let spread = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
    rand.iter_mut().zip(spread).for_each(|(slot, octet)| *slot = octet);
    Ok(TokenId::new(rand, Domain::new("rs.as.obf.example")?))
}
