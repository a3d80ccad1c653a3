//! One application: its keys and sessions under each Authentication Server.

use crate::{
    app_keys::{AppKeys, NoKey},
    directory::AsDirectory,
    keys::{CachedKey, Phase},
    listener::{ListenError, Listener, ListenerSettings},
};
use obf_net::Running;
use obf_rpa::NeedKey;
use obf_token::{AppKey, TokenId};
use obf_types::{AppId, Domain, GlobalIdentity, KeySchema, Refusal, UaId, UnixTime};
use std::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
};
use tokio::sync::watch;

/// What an application is told.
#[derive(Clone, Debug)]
pub struct ApplicationSettings {
    /// Its id: the FQDN that devices ask for.
    pub app: AppId,
    /// Seconds after its fetch beyond which a key is not used, whatever its expiry (SPEC A2); `None`: its expiry alone
    /// decides.
    pub max_age: Option<u32>,
    /// Keys remembered at most, for each Authentication Server.
    pub max_keys: usize,
}

impl ApplicationSettings {
    /// 100,000 keys, no maximum age of its own.
    pub const fn new(app: AppId) -> Self {
        Self { app, max_age: None, max_keys: 100_000 }
    }
}

/// An application. Cheap to clone; it is there, and told of tokens that end, as long as a clone, a listener or a session
/// of it is.
#[derive(Clone)]
pub struct Application(Arc<Inner>);

struct Inner {
    id: AppId,
    servers: AsDirectory,
    /// By the number of the Authentication Server.
    keys: Box<[Arc<AppKeys>]>,
    refusals: watch::Sender<Option<Refused>>,
}

/// A key that the Authentication Server refused, and why. The device learns only that its key is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The token that the device named.
    pub token: TokenId,
    /// The reason.
    pub refusal: Refusal,
}

/// How an Authentication Server stands to an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerState {
    /// Its domain, where it is configured.
    pub domain: Option<Domain>,
    /// Whether keys are had from it now. If not, known ones go on for its grace.
    pub up: bool,
}

/// A key and what came with it. Cheap to clone.
#[derive(Clone)]
pub struct Grant {
    pub(crate) cached: CachedKey,
    pub(crate) keys: Arc<AppKeys>,
}

impl Grant {
    /// The application's key for one security protocol. It never leaves the process.
    pub fn key(&self) -> &AppKey {
        &self.cached.grant.key
    }

    /// From then on it is not to be used: the key's own end or the local maximum age, whichever is sooner.
    pub const fn expires(&self) -> UnixTime {
        self.cached.expires
    }

    /// When the device bootstrapped.
    pub fn bootstrapped_at(&self) -> UnixTime {
        self.cached.grant.bootstrapped_at
    }

    /// How it was derived.
    pub fn schema(&self) -> KeySchema {
        self.cached.grant.schema
    }

    /// User security settings, as the Resource Server has them.
    pub fn settings(&self) -> &[u8] {
        &self.cached.grant.settings
    }

    /// The device, if the application is registered to be told. The Authentication Server says so, and another one may
    /// say the same of a device of its own: tell devices apart by both.
    pub fn device(&self) -> Option<&GlobalIdentity> {
        self.cached.grant.device.as_ref()
    }

    /// The domain of the Authentication Server, where it is configured.
    pub fn server(&self) -> Option<&Domain> {
        self.keys.link.domain.as_ref()
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Grant(of {}, until {})", self.keys.link, self.cached.expires)
    }
}

impl Application {
    /// An application at each of these Authentication Servers. Where it is not registered, its tokens are refused.
    pub fn new(settings: ApplicationSettings, servers: &AsDirectory) -> Self {
        let ApplicationSettings { app, max_age, max_keys } = settings;
        let join = |link| AppKeys::join(app.clone(), link, max_age, max_keys);
        let keys = servers.links().iter().map(join).collect();
        Self(Arc::new(Inner { keys, servers: servers.clone(), refusals: watch::Sender::default(), id: app }))
    }

    /// Its id.
    pub fn id(&self) -> &AppId {
        &self.0.id
    }

    /// The key of a token for one security protocol, from memory or from the token's Authentication Server: for servers
    /// without a TLS-PSK listener (OSCORE, messages, HTTP Digest). Ask for it at each use: a known one costs a look-up in
    /// memory, and one that was revoked is not known any more.
    ///
    /// # Errors
    /// [`NoKey`]; the device is told no more than that its key is not accepted.
    pub async fn key(&self, token: &TokenId, ua: UaId) -> Result<Grant, NoKey> {
        let keys = self.keys_of(token).ok_or(NoKey::UnknownServer)?;
        let found = keys.key(NeedKey { token: token.clone(), ua }).await;
        if let Err(NoKey::Refused(Some(refusal))) = &found {
            self.0.refusals.send_replace(Some(Refused { token: token.clone(), refusal: *refusal }));
        }
        Ok(Grant { cached: found?, keys: Arc::clone(keys) })
    }

    /// The key, if it is known.
    pub(crate) fn known(&self, need: &NeedKey) -> Option<Grant> {
        let keys = self.keys_of(&need.token)?;
        Some(Grant { cached: keys.known(need)?, keys: Arc::clone(keys) })
    }

    /// The number of the Authentication Server that a token is of.
    pub(crate) fn server_of(&self, token: &TokenId) -> Option<usize> {
        self.0.servers.of(token)
    }

    pub(crate) fn keys(&self) -> &[Arc<AppKeys>] {
        &self.0.keys
    }

    fn keys_of(&self, token: &TokenId) -> Option<&Arc<AppKeys>> {
        self.0.keys.get(self.server_of(token)?)
    }

    /// Resolves when keys can be had from one Authentication Server at least.
    pub async fn ready(&self) {
        let mut waiting: Vec<_> = self
            .0
            .keys
            .iter()
            .map(|keys| {
                let mut phases = keys.keys.phases();
                // An error is impossible: the sender lives in the keys, which self holds.
                Box::pin(async move { phases.wait_for(|phase| *phase == Phase::Up).await.is_ok() })
            })
            .collect();
        poll_fn(|context| {
            let ready = waiting.iter_mut().any(|one| pin!(one).poll(context).is_ready());
            if ready { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Resolves when keys can be had from no Authentication Server: known ones go on for the grace only.
    pub async fn away(&self) {
        while self.servers().any(|server| server.up) {
            for keys in &self.0.keys {
                // As above.
                let _ = keys.keys.phases().wait_for(|phase| *phase != Phase::Up).await;
            }
        }
    }

    /// How each Authentication Server stands to it now.
    pub fn servers(&self) -> impl Iterator<Item = ServerState> + '_ {
        self.0.keys.iter().map(|keys| ServerState {
            domain: keys.link.domain.clone(),
            up: *keys.keys.phases().borrow() == Phase::Up,
        })
    }

    /// The latest refusal of a key, for those who want to say or log why a device was not let in.
    pub fn refusals(&self) -> watch::Receiver<Option<Refused>> {
        self.0.refusals.subscribe()
    }

    /// Live sessions.
    pub fn sessions(&self) -> usize {
        self.0.keys.iter().map(|keys| keys.sessions()).sum()
    }

    /// Accepts devices of this application on a TCP port: [`Listener::bind`] for one.
    ///
    /// # Errors
    /// [`ListenError`].
    pub async fn listen(
        &self,
        settings: ListenerSettings,
        running: &Running,
    ) -> Result<Listener, ListenError> {
        Listener::bind(vec![self.clone()], settings, running).await
    }
}

impl fmt::Debug for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Application({}, {} sessions)", self.0.id, self.sessions())
    }
}
