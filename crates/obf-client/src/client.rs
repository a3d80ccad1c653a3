//! The one call that an application makes: [`Client::connect`].

use crate::{
    AppStream, AssociationStore, AuthenticationServer, BootstrapFailure, Fault, KeyIndex, SeError,
    SecureElement, StoreError,
    bootstrap::{Bootstrapping, bootstrap},
    keys,
    store::Key,
    throttle::Throttle,
};
use obf_net::{
    Clock, SystemClock,
    psk::{PskConnectError, PskConnector, PskSetupError, Versions},
};
use obf_rpb::SecurityAssociation;
use obf_token::{Algorithm, AppKey};
use obf_types::{AppId, KeySchema, NafId, UaId};
use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::net::ToSocketAddrs;

/// How a client behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// With whom it bootstraps.
    pub server: AuthenticationServer,
    /// The identity to bootstrap with; `None`: the one that the secure element is registered under
    /// ([`crate::Identities::registered`]).
    pub username: Option<String>,
    /// Which key of the secure element.
    pub key: KeyIndex,
    /// Key schemas offered, the one preferred first, as far as the secure element derives by them if it keeps Ks; empty:
    /// like a UE that never heard of OBF.
    pub schemas: Vec<KeySchema>,
    /// Accepts AKAv1 even where AKAv2 has worked. Only for a server that has gone back for good.
    pub allow_downgrade: bool,
    /// TLS versions offered to applications.
    pub versions: Versions,
    /// ALPN names offered to applications; empty: none.
    pub protocols: Vec<String>,
    /// For a connection attempt, a handshake, and each exchange of a bootstrap.
    pub time: Duration,
    /// Decides when an association has expired.
    pub clock: Arc<dyn Clock>,
}

impl Settings {
    /// The defaults: the element's own identity and subscriber key, `obf-1` before `gba-me`, no downgrade, TLS 1.3
    /// or 1.2, no ALPN, 10 s, the system's clock.
    pub fn new(server: AuthenticationServer) -> Self {
        Self {
            server,
            username: None,
            key: KeyIndex::SUBSCRIBER,
            schemas: vec![KeySchema::Obf1, KeySchema::GbaMe],
            allow_downgrade: false,
            versions: Versions::default(),
            protocols: Vec::new(),
            time: Duration::from_secs(10),
            clock: Arc::new(SystemClock),
        }
    }
}

/// Why there is no connection to the application.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The application is not reached, or the connection broke before it was secured.
    #[error("{app} is not reached: {reason}")]
    Unreachable {
        /// The application.
        app: AppId,
        /// What the system said.
        reason: io::Error,
    },
    /// Its handshake failed for another reason than the key.
    #[error("{app}: {reason}")]
    Handshake {
        /// The application.
        app: AppId,
        /// What TLS said.
        reason: PskConnectError,
    },
    /// It does not accept the key of a fresh bootstrap: the device may have no permission for it.
    #[error("{app} does not accept this device's key; the next new bootstrap for it is due in {} s", retry_after.as_secs())]
    KeyNotAccepted {
        /// The application.
        app: AppId,
        /// Until a refused key may lead to another bootstrap.
        retry_after: Duration,
    },
    /// There is no association.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapFailure),
    /// The association cannot be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The secure element keeps Ks and derives no key.
    #[error(transparent)]
    SecureElement(#[from] SeError),
}

impl ConnectError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Unreachable { .. } => Fault::Network,
            Self::Handshake { reason: PskConnectError::Lost(_), .. } => Fault::Network,
            Self::Handshake { reason: PskConnectError::Refused(_), .. } => Fault::Refused,
            Self::Handshake { .. } => Fault::Server,
            Self::KeyNotAccepted { .. } => Fault::Authentication,
            Self::Bootstrap(failure) => failure.fault(),
            Self::Store(_) | Self::SecureElement(_) => Fault::Local,
        }
    }
}

/// A device's client: one secure element, one Authentication Server, any number of applications. Share it behind an
/// `Arc`; calls run side by side, bootstraps one after the other.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    se: Arc<dyn SecureElement>,
    store: Arc<AssociationStore>,
    connector: PskConnector,
    throttle: Mutex<Throttle>,
    bootstrapping: tokio::sync::Mutex<()>,
    /// Asked of the secure element once.
    identity: tokio::sync::OnceCell<String>,
}

impl Client {
    /// A client; nothing is sent yet.
    ///
    /// # Errors
    /// [`PskSetupError`] if the system's OpenSSL lacks what RPA needs.
    pub fn new(
        settings: Settings,
        se: Arc<dyn SecureElement>,
        store: Arc<AssociationStore>,
    ) -> Result<Self, PskSetupError> {
        let protocols: Vec<&str> = settings.protocols.iter().map(String::as_str).collect();
        let connector = PskConnector::new(settings.versions, &protocols)?;
        let (throttle, bootstrapping, identity) = Default::default();
        Ok(Self { settings, se, store, connector, throttle, bootstrapping, identity })
    }

    /// A secured connection to `app` at `address`, bootstrapping first if there is no live association, and once more
    /// if the application does not accept the key (at most once a minute for each application, then less and less).
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(
        &self,
        app: &AppId,
        address: impl ToSocketAddrs + Clone,
    ) -> Result<AppStream, ConnectError> {
        let mut association = self.association().await?;
        let mut attempt = self.attempt(app, address.clone(), &association).await;
        if is_ks_gone(&attempt) {
            // Another process bootstrapped with the same secure element just now.
            association = self.association().await?;
            attempt = self.attempt(app, address.clone(), &association).await;
        }
        match attempt {
            Err(ConnectError::Handshake { reason: PskConnectError::KeyNotAccepted, .. }) => {}
            other => return other,
        }
        let association = self.replace(app, &association).await?;
        match self.attempt(app, address, &association).await {
            Err(ConnectError::Handshake { reason: PskConnectError::KeyNotAccepted, .. }) => {
                Err(self.not_accepted(app))
            }
            other => other,
        }
    }

    /// The live association, from a bootstrap if need be. One whose Ks was in the secure element and is there no longer is
    /// over.
    ///
    /// # Errors
    /// [`ConnectError::Bootstrap`], [`ConnectError::Store`], [`ConnectError::SecureElement`].
    pub async fn association(&self) -> Result<Arc<SecurityAssociation>, ConnectError> {
        let key = self.key().await?;
        if let Some(association) = self.live(&key).await? {
            return Ok(association);
        }
        let _one = self.bootstrapping.lock().await;
        // Somebody else may have finished one while this one waited, here or in another process that shares the file.
        let store = Arc::clone(&self.store);
        blocking(move || store.reload()).await??;
        match self.live(&key).await? {
            Some(association) => Ok(association),
            None => self.run(key).await,
        }
    }

    /// A new association in any case, in place of the former one.
    ///
    /// # Errors
    /// [`ConnectError::Bootstrap`], [`ConnectError::Store`]; the former association stays, unless its Ks was in a secure element
    /// that has answered the challenge meanwhile.
    pub async fn bootstrap(&self) -> Result<Arc<SecurityAssociation>, ConnectError> {
        let key = self.key().await?;
        let _one = self.bootstrapping.lock().await;
        self.run(key).await
    }

    /// The key for `app` and one security protocol, for those that run it themselves, and the association that it is of:
    /// the application asks for the key by its token id. Bootstraps if need be. The one way to a key, wherever Ks is.
    ///
    /// # Errors
    /// [`ConnectError::Bootstrap`], [`ConnectError::Store`], [`ConnectError::SecureElement`].
    pub async fn app_key(
        &self,
        app: AppId,
        ua: UaId,
    ) -> Result<(Arc<SecurityAssociation>, AppKey), ConnectError> {
        let naf = NafId { app, ua };
        let derived = self.derive(&naf).await;
        // Another process bootstrapped with the same secure element just now.
        if is_ks_gone(&derived) { self.derive(&naf).await } else { derived }
    }

    async fn derive(&self, naf: &NafId) -> Result<(Arc<SecurityAssociation>, AppKey), ConnectError> {
        let association = self.association().await?;
        if let Some(app_key) = association.app_key(naf) {
            return Ok((association, app_key));
        }
        let (of, naf, se, key) =
            (Arc::clone(&association), naf.clone(), Arc::clone(&self.se), self.settings.key);
        let app_key = blocking(move || keys::app_key(&of, &naf, &*se, key)).await??;
        Ok((association, app_key))
    }

    /// The live association whose Ks is where it was.
    async fn live(&self, key: &Key) -> Result<Option<Arc<SecurityAssociation>>, ConnectError> {
        let Some(association) = self.store.live(key, self.settings.clock.now()) else { return Ok(None) };
        if !association.ks.is_in_element() {
            return Ok(Some(association));
        }
        let (of, se, key) = (Arc::clone(&association), Arc::clone(&self.se), self.settings.key);
        let there = blocking(move || keys::is_there(&of, &*se, key)).await??;
        Ok(there.then_some(association))
    }

    /// After a refused key: the association that another call has got meanwhile, or a new bootstrap if one is due.
    async fn replace(
        &self,
        app: &AppId,
        refused: &SecurityAssociation,
    ) -> Result<Arc<SecurityAssociation>, ConnectError> {
        let key = self.key().await?;
        let _one = self.bootstrapping.lock().await;
        let newer = self.live(&key).await?;
        if let Some(newer) = newer.filter(|newer| newer.id != refused.id) {
            return Ok(newer);
        }
        let due = self.throttle().refused(app, Instant::now());
        due.map_err(|retry_after| ConnectError::KeyNotAccepted { app: app.clone(), retry_after })?;
        tracing::info!(%app, token = %refused.id, "the application does not accept the key; bootstrapping again");
        self.run(key).await
    }

    async fn run(&self, key: Key) -> Result<Arc<SecurityAssociation>, ConnectError> {
        let minimum =
            if self.settings.allow_downgrade { Algorithm::AkaV1Md5 } else { self.store.minimum(&key) };
        let what = Bootstrapping {
            server: self.settings.server.clone(),
            username: key.username.clone(),
            minimum,
            schemas: self.settings.schemas.clone(),
            time: self.settings.time,
        };
        let association = Arc::new(bootstrap(what, Arc::clone(&self.se), self.settings.key).await?);
        tracing::info!(token = %association.id, expires = %association.expires, "bootstrapped");
        let (store, new, now) =
            (Arc::clone(&self.store), Arc::clone(&association), self.settings.clock.now());
        blocking(move || store.put(key, new, now)).await??;
        Ok(association)
    }

    async fn attempt(
        &self,
        app: &AppId,
        address: impl ToSocketAddrs,
        association: &Arc<SecurityAssociation>,
    ) -> Result<AppStream, ConnectError> {
        let unreachable = |reason| ConnectError::Unreachable { app: app.clone(), reason };
        let slow = |_| unreachable(io::ErrorKind::TimedOut.into());
        let time = self.settings.time;
        let stream = obf_net::connect(address, time).await.map_err(unreachable)?;
        let element_failed = Arc::new(Mutex::new(None));
        let derive = self.derive_in_handshake(app, association, &element_failed);
        let connected = if association.ks.is_in_element() {
            let (connector, app, id) = (self.connector.clone(), app.clone(), association.id.clone());
            let handshake = async move { connector.connect(stream, &app, &id, derive).await };
            on_a_blocking_thread(tokio::time::timeout(time, handshake)).await?
        } else {
            let handshake = self.connector.connect(stream, app, &association.id, derive);
            tokio::time::timeout(time, handshake).await
        };
        if let Some(error) = element_failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(ConnectError::SecureElement(error));
        }
        match connected.map_err(slow)? {
            Ok(connected) => {
                self.throttle().accepted(app, Instant::now());
                Ok(AppStream::new(connected, association.id.clone(), association.expires))
            }
            Err(reason) => Err(ConnectError::Handshake { app: app.clone(), reason }),
        }
    }

    /// What the handshake asks for a key. It can only be told that there is none; why stands in `failed`.
    fn derive_in_handshake(
        &self,
        app: &AppId,
        association: &Arc<SecurityAssociation>,
        failed: &Arc<Mutex<Option<SeError>>>,
    ) -> impl Fn(UaId) -> Option<AppKey> + Send + Sync + use<> {
        let (own, name, se, key) =
            (Arc::clone(association), app.clone(), Arc::clone(&self.se), self.settings.key);
        let failed = Arc::clone(failed);
        move |ua| {
            let derived = keys::app_key(&own, &NafId { app: name.clone(), ua }, &*se, key);
            let keep = |error| *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            derived.map_err(keep).ok()
        }
    }

    /// Whose association, with whom.
    async fn key(&self) -> Result<Key, BootstrapFailure> {
        let own = || async {
            let se = Arc::clone(&self.se);
            let identities = blocking(move || se.identities()).await??;
            let registered = identities.registered().ok_or(SeError::NoIdentity)?;
            Ok::<_, BootstrapFailure>(registered.value().to_owned())
        };
        let username = match &self.settings.username {
            Some(username) => username.clone(),
            None => self.identity.get_or_try_init(own).await?.clone(),
        };
        let server = &self.settings.server;
        let server = server.domain().map_or_else(|| server.authority(), |domain| domain.as_str().to_owned());
        Ok(Key { username, server })
    }

    fn not_accepted(&self, app: &AppId) -> ConnectError {
        let retry_after = self.throttle().left(app, Instant::now());
        ConnectError::KeyNotAccepted { app: app.clone(), retry_after }
    }

    fn throttle(&self) -> std::sync::MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The Ks of this association gave way to another in the secure element.
const fn is_ks_gone<T>(result: &Result<T, ConnectError>) -> bool {
    matches!(result, Err(ConnectError::SecureElement(SeError::KsGone)))
}

/// A handshake whose key comes out of a secure element: OpenSSL asks for it in the middle, where nothing can be awaited, and a
/// card takes its time. If the caller gives up, the handshake still runs to its end or its time-out on that thread, and its
/// connection is dropped there.
async fn on_a_blocking_thread<F>(handshake: F) -> Result<F::Output, BootstrapFailure>
where
    F: Future<Output: Send> + Send + 'static,
{
    let runtime = tokio::runtime::Handle::current();
    blocking(move || runtime.block_on(handshake)).await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BootstrapFailure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| BootstrapFailure::System(error.to_string()))
}
