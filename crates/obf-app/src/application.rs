//! One application and its link to the Authentication Server.

use crate::{
    keys::{Found, Held, Keys, Phase},
    link::Link,
    listener::{ListenError, Listener, ListenerSettings},
    sessions::Sessions,
};
use obf_net::{
    Clock, Running,
    psk::{KeySource, Wanted},
    radius::{AskError, RadiusTlsClient, TlsClientSettings},
};
use obf_radius::Code;
use obf_rpa::{LocalPolicy, NeedKey};
use obf_rpo::{AnswerError, Ask, KeyGrant, KeyRequest, Vendor};
use obf_token::{AppKey, TokenId};
use obf_types::{AppId, Refusal};
use std::{fmt, sync::Arc, time::Duration};
use tokio::sync::watch;

/// What an application is told.
#[derive(Clone, Debug)]
pub struct ApplicationSettings {
    /// Its id: the FQDN that devices ask for and that its certificate has.
    pub app: AppId,
    /// Distinguishes the running instances of one application (NAS-Identifier), 1 to 253 octets. Never the same for
    /// two at once: what one of them has been told would count as told to the other.
    pub instance: String,
    /// The Authentication Server's addresses, and the own certificate.
    pub rpo: TlsClientSettings,
    /// The enterprise number that attributes stand under.
    pub vendor: Vendor,
    /// Local validity (A2).
    pub policy: LocalPolicy,
    /// For an answer of the Authentication Server.
    pub fetch_time: Duration,
    /// Keys remembered at most.
    pub max_keys: usize,
}

impl ApplicationSettings {
    /// 5 s for an answer, 100,000 keys, the default policy, the documentation enterprise number, an instance of its own.
    pub fn new(app: AppId, rpo: TlsClientSettings) -> Self {
        Self {
            instance: new_instance(),
            app,
            rpo,
            vendor: Vendor::DOCUMENTATION,
            policy: LocalPolicy::default(),
            fetch_time: Duration::from_secs(5),
            max_keys: 100_000,
        }
    }
}

/// A number that no other running instance has.
fn new_instance() -> String {
    let mut number = [0; 8];
    if getrandom::fill(&mut number).is_err() {
        number = u64::from(std::process::id()).to_be_bytes();
    }
    format!("{:016x}", u64::from_be_bytes(number))
}

/// An application. Cheap to clone.
#[derive(Clone)]
pub struct Application {
    pub(crate) link: Arc<Link>,
    client: RadiusTlsClient,
    refusals: Arc<watch::Sender<Option<Refused>>>,
}

/// A key that the Authentication Server refused, and why. The device learns only that its key is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The token that the device named.
    pub token: TokenId,
    /// The reason.
    pub refusal: Refusal,
}

impl fmt::Debug for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Application({}, {} sessions)", self.link.app, self.link.sessions.len())
    }
}

/// How often expiry and the grace are looked at.
const TICK: Duration = Duration::from_millis(200);

impl Application {
    /// Connects to the Authentication Server in the background and stays connected until the group of `running` is
    /// told to finish; sessions are cut then.
    pub fn start(settings: ApplicationSettings, clock: Arc<dyn Clock>, running: &Running) -> Self {
        let keys = Keys::new(settings.policy, settings.max_keys, clock.now());
        let link = Arc::new(Link {
            app: settings.app,
            instance: settings.instance,
            vendor: settings.vendor,
            clock,
            keys,
            sessions: Sessions::default(),
            time: settings.fetch_time,
        });
        let client = RadiusTlsClient::start(settings.rpo, running, Arc::clone(&link));
        running.spawn(keep_time(Arc::clone(&link), running.clone()));
        Self { link, client, refusals: Arc::new(watch::Sender::new(None)) }
    }

    /// Its id.
    pub fn id(&self) -> &AppId {
        &self.link.app
    }

    /// Resolves when the link is up: keys are served.
    pub async fn ready(&self) {
        // An error is impossible: the sender lives in the link, which self holds.
        let _ = self.link.keys.phases().wait_for(|phase| *phase == Phase::Up).await;
    }

    /// Resolves when the link is down: no new keys, and known ones for the grace only.
    pub async fn away(&self) {
        // As above.
        let _ = self.link.keys.phases().wait_for(|phase| *phase != Phase::Up).await;
    }

    /// The latest refusal of a key, for those who want to say or log why a device was not let in.
    pub fn refusals(&self) -> watch::Receiver<Option<Refused>> {
        self.refusals.subscribe()
    }

    /// Live sessions.
    pub fn sessions(&self) -> usize {
        self.link.sessions.len()
    }

    /// Accepts devices on a TCP port.
    ///
    /// # Errors
    /// [`ListenError`].
    pub async fn listen(
        &self,
        settings: ListenerSettings,
        running: &Running,
    ) -> Result<Listener, ListenError> {
        Listener::bind(self.clone(), settings, running).await
    }

    /// The key, from memory or from the Authentication Server.
    async fn held(&self, need: NeedKey) -> Option<Held> {
        let keys = &self.link.keys;
        loop {
            match keys.find(&need, self.link.clock.now()) {
                Found::Held(held) => return Some(held),
                Found::Refused => return None,
                Found::Unknown(seen) => return self.fetch(need, seen).await,
                Found::Wait => {
                    let mut phases = keys.phases();
                    let other = phases.wait_for(|phase| !matches!(phase, Phase::Resuming(_)));
                    tokio::time::timeout(self.link.time, other).await.ok()?.ok()?;
                }
            }
        }
    }

    async fn fetch(&self, need: NeedKey, seen: u64) -> Option<Held> {
        let NeedKey { token, ua } = need.clone();
        let ask = Ask::Key(KeyRequest { token, app: self.link.app.clone(), ua });
        let attributes = self.link.encode(&ask)?;
        let answer = self.client.ask(Code::AccessRequest, &attributes, self.link.time).await;
        let now = self.link.clock.now();
        match answer.map(|reply| KeyGrant::decode(&reply, self.link.vendor)) {
            Ok(Ok(grant)) => self.link.keys.fetched(need, grant, seen, now),
            Ok(Err(AnswerError::Refused(refusal))) => {
                tracing::debug!(token = %need.token, ua = %need.ua, %refusal, "no key");
                self.refusals.send_replace(Some(Refused { token: need.token.clone(), refusal }));
                if !is_passing(refusal) {
                    self.link.keys.refused(need, now);
                }
                None
            }
            Ok(Err(AnswerError::Malformed(error))) => {
                tracing::error!(%error, "answer of the Authentication Server");
                None
            }
            Err(error @ (AskError::Unreachable | AskError::NoAnswer)) => {
                tracing::warn!(%error, "no key from the Authentication Server");
                None
            }
            Err(error) => {
                tracing::debug!(%error, "no key from the Authentication Server");
                None
            }
        }
    }
}

impl KeySource for Application {
    type Grant = Held;

    fn known(&self, wanted: &Wanted) -> Option<(AppKey, Held)> {
        match self.link.keys.find(&wanted.need, self.link.clock.now()) {
            Found::Held(held) => Some((held.grant.key.clone(), held)),
            Found::Refused | Found::Unknown(_) | Found::Wait => None,
        }
    }

    async fn key(&self, wanted: Wanted) -> Option<(AppKey, Held)> {
        let held = self.held(wanted.need).await?;
        Some((held.grant.key.clone(), held))
    }
}

/// Whether the next handshake may fare better at once.
const fn is_passing(refusal: Refusal) -> bool {
    matches!(
        refusal,
        Refusal::ResourceServerUnreachable | Refusal::Overloaded | Refusal::StorageFailed | Refusal::Limited
    )
}

/// Ends sessions and forgets keys when their time has come.
async fn keep_time(link: Arc<Link>, running: Running) {
    let mut ticks = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = running.stopping() => return link.sessions.end_all(),
        }
        let now = link.clock.now();
        let ended = link.sessions.end_expired(link.keys.policy(), link.keys.link(), now);
        if ended > 0 {
            tracing::info!(sessions = ended, "sessions expired");
        }
        link.keys.expire(now);
    }
}
