//! The node: configuration in, listeners out.

use crate::{
    admin::{Administration, Administrative, DiscoverySettings},
    config::{self, Config, ConfigError},
    registry::Registry,
    rpr::{AuthServers, IndPartition, Notices, RprServer},
    vectors::{Hlr, Vectors},
};
use obf_admin::Role;
use obf_admin_http::{Administrator, Administrators, Dispatcher, Rates};
use obf_files::secret_line;
use obf_kms::{KekError, Kms, KmsError, Settings, kek};
use obf_net::{
    Clock, Environment, Running, Stopper,
    certificates::{self, CertificateError, CertificateFiles},
    http::{self, HttpLimits},
    radius::{TlsServerSettings, UdpServerSettings, serve_tls, serve_udp},
};
use obf_radius::Vendor;
use obf_store::{
    Location, OpenError, Options, PostgresOptions, Statistics, StoreError,
    resource::{BecameDue, Change, ResourceDb},
};
use obf_types::{SecretBytes, UnixTime};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::net::{TcpListener, UdpSocket};

/// How long requests under way may take after the node was told to stop.
const DRAIN: Duration = Duration::from_secs(10);
/// How often new rows of the audit are sealed.
const SEALING: Duration = Duration::from_millis(500);
/// How often verifications that have become due, and registrations that have waited too long, are looked for.
const REMINDING: Duration = Duration::from_secs(2);
/// The shortest secret for RADIUS/UDP beyond this host, octets (WIRES).
const LONG_SECRET: usize = 32;

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The key-encryption key cannot be had.
    #[error(transparent)]
    Kek(#[from] KekError),
    /// The data keys cannot be had.
    #[error(transparent)]
    Kms(#[from] KmsError),
    /// A certificate or key file cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The database cannot be opened.
    #[error("{database}: {error}")]
    Store {
        /// The file, or the server and the database there.
        database: String,
        /// What the store said.
        error: OpenError,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address} for {point}: {error}")]
    Listen {
        /// Which listener.
        point: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
}

/// A running node.
#[derive(Debug)]
pub struct Handle {
    endpoints: Vec<(&'static str, SocketAddr, bool)>,
    stopper: Stopper,
    store: ResourceDb,
}

/// Starts a node: every listener accepts when this returns.
///
/// # Errors
/// [`StartError`]; nothing runs then.
pub async fn start(config: Config, env: Environment) -> Result<Handle, StartError> {
    config.validate()?;
    let Environment { clock } = env;
    let [clock_of_seals, clock_of_kyc] = [clock.clone(), clock.clone()];
    let beyond_host = config.rpr.as_ref().is_some_and(|udp| !udp.listen.ip().is_loopback());
    let servers = AuthServers::read(&config.auth_servers, if beyond_host { LONG_SECRET } else { 1 })?;
    let store = open(&config).await?;
    let kms = open_kms(&config, store.clone(), clock.clone()).await?;
    let vendor = Vendor(config.vendor);
    let notices = Notices::open(store.clone(), clock.clone(), vendor, &servers)
        .await
        .map_err(|error| StartError::Listen { point: "das", address: ([0, 0, 0, 0], 0).into(), error })?;
    let addressees = servers.iter().map(|server| server.name.to_string()).collect();
    let policy = config.kyc.policy();
    let registry = Registry::new(store.clone(), kms.clone(), addressees).under(policy);

    let mut node = Handle { endpoints: Vec::new(), stopper: Stopper::new(), store };
    // Everything that can fail comes before the first task.
    let udp = match &config.rpr {
        Some(udp) => Some(bind_udp(&mut node, udp.listen).await?),
        None => None,
    };
    let tls = match &config.rpr_tls {
        Some(tls) => {
            let own = CertificateFiles { chain: tls.cert_file.clone(), key: tls.key_file.clone() };
            let server = certificates::mutual_server(&own, &tls.client_ca_file)?;
            Some((bind_tcp(&mut node, "rpr-tls", tls.listen).await?, server))
        }
        None => None,
    };
    let admin = match &config.admin {
        Some(admin) => {
            let own = CertificateFiles { chain: admin.cert_file.clone(), key: admin.key_file.clone() };
            let administrator = Administrator {
                name: "admin".into(),
                role: Role::Operator,
                token_sha256: admin.token_sha256.clone(),
            };
            let administrators = Administrators::new(&[administrator])
                .map_err(|error| config::wrong("admin.token_sha256", error))?;
            let server = match &admin.client_ca_file {
                Some(ca) => certificates::server_that_knows_clients(&own, ca)?,
                None => certificates::server(&own)?,
            };
            let rates =
                Rates { administrator: admin.requests_per_second, stranger: admin.strangers_per_second };
            Some((bind_tcp(&mut node, "admin", admin.listen).await?, server, administrators, rates))
        }
        None => None,
    };

    let running = node.stopper.running();
    let hlrs = config.hlrs()?.into_iter();
    let hlrs = hlrs.map(|(name, (hlr, ipa_name))| (name, Hlr::start(hlr, ipa_name, &running))).collect();
    let rpr = Arc::new(RprServer::new(
        node.store.clone(),
        Vectors::new(kms.clone(), hlrs),
        IndPartition { node: config.node, nodes: config.nodes },
        clock.clone(),
        servers.clone(),
        notices.clone(),
        vendor,
        policy,
        admin.as_ref().map(|(_, _, administrators, _)| administrators.clone()).unwrap_or_default(),
    ));
    if let Some(socket) = udp {
        let peers = servers.udp_peers();
        let settings = UdpServerSettings::default();
        running.spawn(serve_udp(socket, peers, settings, running.clone(), rpr.clone()));
    }
    if let Some((listener, server)) = tls {
        running.spawn(serve_tls(listener, server, TlsServerSettings::default(), running.clone(), rpr));
    }
    if let Some((listener, server, administrators, rates)) = admin {
        let addresses =
            node.endpoints.iter().map(|(point, address, _)| ((*point).into(), address.to_string()));
        let mut authentication_servers: Vec<String> =
            config.auth_servers.iter().map(|server| server.domain.clone()).collect();
        authentication_servers.dedup();
        let discovery = DiscoverySettings { addresses: addresses.collect(), authentication_servers };
        let mnc_length = config.mnc_length()?;
        if let Some(admin) = &config.admin {
            let age = u64::from(admin.registrations_expire_days) * 86_400;
            running.spawn(expire_registrations(node.store.clone(), age, clock.clone(), running.clone()));
        }
        let most_registrations = config.admin.as_ref().map_or(0, |admin| admin.most_registrations.into());
        let administration = Administration {
            registry,
            mnc_length,
            discovery: Arc::new(discovery),
            running: running.clone(),
            clock,
            most_registrations,
        };
        let dispatcher = Dispatcher::new(Administrative::new(administration), administrators, rates);
        let handler = move |request, peer| dispatcher.clone().handle(request, peer);
        running.spawn(http::serve(listener, Some(server), HttpLimits::default(), running.clone(), handler));
    }
    notices.start(&running);
    running.spawn(kms.run(running.clone()));
    running.spawn(remind(node.store.clone(), clock_of_kyc, running.clone()));
    running.spawn(seal(node.store.clone(), clock_of_seals, running.clone()));
    Ok(node)
}

impl Handle {
    /// The listeners: reference point, address, whether it speaks TLS.
    pub fn endpoints(&self) -> Vec<(&'static str, SocketAddr, bool)> {
        self.endpoints.clone()
    }

    /// Commits (fsyncs) and jobs of the store so far.
    pub fn statistics(&self) -> Statistics {
        self.store.statistics()
    }

    /// Stops listening, lets what is under way finish, closes the database.
    pub async fn shutdown(self) {
        self.stopper.stop(DRAIN).await;
    }
}

/// The database that the configuration names, whichever engine it is.
async fn open(config: &Config) -> Result<ResourceDb, StartError> {
    let failed = |error| StartError::Store { database: config.database.to_string(), error };
    match &config.database {
        Location::File(path) => ResourceDb::open(&Options::new(path)).map_err(failed),
        Location::Server(connection) => {
            let password = config.database_password_file.as_deref().map(secret_line).transpose();
            let password = password.map_err(|error| config::wrong("database_password_file", error))?;
            let options = PostgresOptions::new(connection, password.as_ref().map(SecretBytes::expose))
                .map_err(|error| config::wrong("database", error))?;
            let connecting = tokio::task::spawn_blocking(move || ResourceDb::connect(&options));
            connecting.await.unwrap_or(Err(StoreError::Closed.into())).map_err(failed)
        }
    }
}

/// The key-encryption keys that the configuration names, and the data keys of the store under them.
async fn open_kms(config: &Config, store: ResourceDb, clock: Arc<dyn Clock>) -> Result<Kms, StartError> {
    let config = config.kms()?;
    let settings =
        Settings { lease: Duration::from_secs(config.lease), records_per_key: config.records_per_data_key };
    let mut keks = Vec::new();
    for named in std::iter::once(config.kek).chain(config.former) {
        keks.push(kek::open_in_time(named).await?);
    }
    Ok(Kms::open(store, clock, keks, settings).await?)
}

/// Chains new rows of the audit, so that nobody alters or removes them unnoticed.
async fn seal(store: ResourceDb, clock: Arc<dyn Clock>, running: Running) {
    loop {
        if let Err(error) = store.seal_audit(clock.now()).await {
            tracing::error!(%error, "the audit cannot be sealed");
        }
        tokio::select! {
            () = tokio::time::sleep(SEALING) => {}
            () = running.stopping() => break,
        }
    }
    // What the last requests wrote; another node will see to it if this fails.
    let _ = store.seal_audit(clock.now()).await;
}

/// Says once of each verification that it is due to be repeated: in the log and in the audit.
async fn remind(store: ResourceDb, clock: Arc<dyn Clock>, running: Running) {
    loop {
        let change = Change {
            actor: "obf".into(),
            reason: "its date for re-verification has passed".into(),
            addressees: Arc::new([]),
            at: clock.now(),
        };
        match store.note_due_kyc(change).await {
            Ok(due) => {
                for BecameDue { record, custodian, reverify_by } in due {
                    let since = reverify_by.0;
                    tracing::warn!(
                        custodian,
                        record,
                        since,
                        "KYC is due for re-verification: obf kyc list --due"
                    );
                }
            }
            Err(error) => tracing::error!(%error, "KYC that is due cannot be looked for"),
        }
        tokio::select! {
            () = tokio::time::sleep(REMINDING) => {}
            () = running.stopping() => return,
        }
    }
}

/// Forgets application providers that registered themselves `age` seconds ago and that nobody approved.
async fn expire_registrations(store: ResourceDb, age: u64, clock: Arc<dyn Clock>, running: Running) {
    loop {
        let now = clock.now();
        let change = Change {
            actor: "obf".into(),
            reason: "nobody approved it in time".into(),
            addressees: Arc::new([]),
            at: now,
        };
        match store.expire_registrations(UnixTime(now.0.saturating_sub(age)), change).await {
            Ok(expired) => {
                for provider in expired {
                    tracing::info!(provider, "an application provider that nobody approved is forgotten");
                }
            }
            Err(error) => tracing::error!(%error, "registrations that nobody approved cannot be forgotten"),
        }
        tokio::select! {
            () = tokio::time::sleep(REMINDING) => {}
            () = running.stopping() => return,
        }
    }
}

async fn bind_udp(node: &mut Handle, address: SocketAddr) -> Result<UdpSocket, StartError> {
    let point = "rpr";
    let failed = |error| StartError::Listen { point, address, error };
    let socket = obf_net::listen_udp(address).await.map_err(failed)?;
    node.endpoints.push((point, socket.local_addr().map_err(failed)?, false));
    Ok(socket)
}

async fn bind_tcp(
    node: &mut Handle,
    point: &'static str,
    address: SocketAddr,
) -> Result<TcpListener, StartError> {
    let failed = |error| StartError::Listen { point, address, error };
    let listener = obf_net::listen(address).await.map_err(failed)?;
    node.endpoints.push((point, listener.local_addr().map_err(failed)?, true));
    Ok(listener)
}
