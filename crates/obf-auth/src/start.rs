//! A node from its configuration to its end.

use crate::{
    admin::Administration,
    admission::Admission,
    audit::AuditTrail,
    bootstrap::{self, Bootstraps},
    config::{self, AdminConfig, Checked, Config, ConfigError, Transport, read_key},
    discovery::{self, Discovery},
    error::StartError,
    housekeeping,
    keys::KeyServer,
    locator::{Locator, ServerHealth},
    notices_in::NoticesIn,
    notices_out::NoticesOut,
    resource_server::RprSender,
    sealing::Sealing,
    store,
    tokens::Tokens,
    vault::Vault,
};
use obf_admin::Role;
use obf_admin_http::{Administrator, Administrators, Dispatcher, Rates, authentication::CONFIGURED};
use obf_net::{
    Clock, ConnectionLimits, Drained, Environment, Running, Stopper,
    certificates::{self, CertificateFiles},
    http::{self, HttpLimits},
    radius::{ReverseRequests, TlsServerSettings, UdpServerSettings, serve_tls, serve_udp_peers},
};
use obf_rpb::{Authenticator, server::Settings};
use obf_rpr::{RprClient, Vendor};
use obf_types::Domain;
use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};
use tokio::net::{TcpListener, UdpSocket};

/// How long requests under way may take to finish at a shutdown.
const DRAIN: Duration = Duration::from_secs(10);

/// A running node. Dropping it ends the node at once; [`Handle::shutdown`] lets it finish.
#[derive(Debug)]
pub struct Handle {
    endpoints: Vec<Endpoint>,
    parts: Parts,
    stopper: Stopper,
}

impl Handle {
    /// Each listener: its point (`rpb`, `rpo`, `das`, `admin`), the address it took, whether it speaks TLS.
    pub fn endpoints(&self) -> Vec<(&'static str, SocketAddr, bool)> {
        self.endpoints.clone()
    }

    /// How each Resource Server is doing, in the order of the configuration.
    pub fn resource_servers(&self) -> Vec<ServerHealth> {
        self.parts.locator.table().health()
    }

    /// Serves the Resource Servers of this configuration from now on, instead of those there were; nothing else of it is
    /// looked at. A server whose section and files are the same goes on as it is; requests under way end as they began.
    /// Tokens of a server that is gone are unknown until it is back.
    ///
    /// # Errors
    /// [`ConfigError`]; nothing has changed then.
    pub async fn replace_resource_servers(&self, config: &Config) -> Result<(), ConfigError> {
        let checked = config.check()?;
        if checked.domain != self.parts.domain {
            return Err(config::wrong("domain", "another one needs another start"));
        }
        // First: a token that comes over a new link has to find its place in memory.
        checked.servers.iter().for_each(|server| self.parts.tokens.serve(&server.token_domain));
        self.parts.locator.replace(&checked).await?;
        self.parts.publish(&self.endpoints);
        Ok(())
    }

    /// Stops accepting, finishes what is under way within ten seconds, and ends. What was acknowledged is on the disk in
    /// any case.
    pub async fn shutdown(self) -> Drained {
        self.stopper.stop(DRAIN).await
    }
}

/// Starts a node; it serves when this returns.
///
/// # Errors
/// [`StartError`]; every listener and task is gone then.
pub async fn start(config: Config, environment: Environment) -> Result<Handle, StartError> {
    let checked = config.check()?;
    let stopper = Stopper::new();
    let running = stopper.running();
    // Addresses first: what cannot be had is said before anything is asked or written.
    let rpb = listen("rpb", config.rpb.listen).await?;
    let rpo = listen("rpo", config.rpo.listen).await?;
    let admin = match &config.admin {
        Some(admin) => Some((listen("admin", admin.listen).await?, admin)),
        None => None,
    };
    let das = match &config.das {
        Some(das) => Some((listen_udp("das", das.listen).await?, das.listen)),
        None => None,
    };

    let clock = environment.clock;
    let (parts, sealing, reverse) = open(&config, &checked, &clock).await?;
    follow(&parts, &sealing, &clock, &running);
    let for_admin = Arc::clone(&sealing);
    let notices = Arc::new(NoticesIn {
        clock: Arc::clone(&clock),
        vendor: Vendor(config.vendor),
        locator: Arc::clone(&parts.locator),
        tokens: Arc::clone(&parts.tokens),
    });
    running.spawn(Arc::clone(&notices).run(reverse, running.clone()));

    let mut endpoints = vec![
        serve_rpb(&config, &parts, sealing, &clock, &running, rpb)?,
        serve_rpo(&config, &parts, &clock, &running, rpo)?,
    ];
    if let Some((socket, address)) = das {
        endpoints.push(serve_das(&checked, &parts, &running, socket, address, notices)?);
    }
    if let Some((listener, admin)) = admin {
        endpoints.push(serve_admin(admin, &parts, for_admin, clock, &running, listener)?);
    }
    parts.publish(&endpoints);
    Ok(Handle { endpoints, parts, stopper })
}

type Endpoint = (&'static str, SocketAddr, bool);

/// What more than one listener takes, and a replacement of the Resource Servers.
#[derive(Debug)]
struct Parts {
    domain: Domain,
    authenticator: Arc<Authenticator>,
    admission: Arc<Admission>,
    locator: Arc<Locator>,
    tokens: Arc<Tokens>,
    discovery: Arc<Discovery>,
    audit: AuditTrail,
}

impl Parts {
    fn publish(&self, endpoints: &[Endpoint]) {
        let table = self.locator.table();
        let servers = table.servers().iter().map(|served| served.server.token_domain());
        self.discovery.publish(self.authenticator.settings(), servers, endpoints);
    }
}

/// Opens the store and the links to the Resource Servers, whose notices wait in the channel until somebody takes them.
async fn open(
    config: &Config,
    checked: &Checked,
    clock: &Arc<dyn Clock>,
) -> Result<(Parts, Arc<Sealing>, ReverseRequests<Arc<str>>), StartError> {
    let vault = Arc::new(Vault::new(&read_key("kek_file", &config.kek_file)?));
    let store = store::open(config).await?;
    let audit = AuditTrail::new(store.clone());
    let sealing = Arc::new(Sealing::open(store.clone(), Arc::clone(&vault), clock.now()).await?);
    let stale_after = Duration::from_secs(config.limits.stale_after.max(1).into());
    let former_token = config.limits.former_token.into();
    let tokens = Tokens::open(store, vault, checked.domain.clone(), stale_after, former_token).await?;
    checked.servers.iter().for_each(|server| tokens.serve(&server.token_domain));
    let client = RprClient { domain: checked.domain.clone(), node: checked.node };
    let (locator, reverse) =
        Locator::open(checked, RprSender { client, vendor: Vendor(config.vendor) }).await?;
    let settings = Settings {
        challenge_life: config.limits.challenge_life,
        max_lifetime: checked.max_lifetime,
        offer_akav1: config.rpb.offer_akav1,
        ..Settings::new(checked.domain.clone())
    };
    let parts = Parts {
        domain: checked.domain.clone(),
        authenticator: Arc::new(Authenticator::new(settings)),
        admission: Arc::new(Admission::new(&config.limits)),
        locator: Arc::new(locator),
        tokens: Arc::new(tokens),
        discovery: Arc::default(),
        audit,
    };
    Ok((parts, sealing, reverse))
}

/// What goes on by itself until the node stops.
fn follow(parts: &Parts, sealing: &Arc<Sealing>, clock: &Arc<dyn Clock>, running: &Running) {
    let (audit, time, group) = (parts.audit.clone(), Arc::clone(clock), running.clone());
    running.spawn(async move { audit.run(&*time, &group).await });
    let (tokens, time) = (Arc::clone(&parts.tokens), Arc::clone(clock));
    until_stopped(running, async move { tokens.run(|| time.now()).await });
    let (tokens, sealing, clock) = (Arc::clone(&parts.tokens), Arc::clone(sealing), Arc::clone(clock));
    until_stopped(running, async move { housekeeping::run(&tokens, &sealing, &*clock).await });
}

fn until_stopped(running: &Running, task: impl Future<Output = ()> + Send + 'static) {
    let group = running.clone();
    running.spawn(async move {
        tokio::select! {
            () = task => {}
            () = group.stopping() => {}
        }
    });
}

fn serve_rpb(
    config: &Config,
    parts: &Parts,
    sealing: Arc<Sealing>,
    clock: &Arc<dyn Clock>,
    running: &Running,
    listener: TcpListener,
) -> Result<Endpoint, StartError> {
    let tls = match (&config.rpb.cert_file, &config.rpb.key_file) {
        (Some(chain), Some(key)) => {
            let files = CertificateFiles { chain: chain.clone(), key: key.clone() };
            let tls = certificates::server(&files).map_err(|error| config::wrong("rpb.cert_file", error))?;
            Some(tls)
        }
        _ => None,
    };
    let limits = HttpLimits { connections: connections(config), ..HttpLimits::default() };
    let endpoint = ("rpb", address(&listener, "rpb", config.rpb.listen)?, tls.is_some());
    let bootstraps = Arc::new(Bootstraps {
        clock: Arc::clone(clock),
        authenticator: Arc::clone(&parts.authenticator),
        admission: Arc::clone(&parts.admission),
        sealing,
        locator: Arc::clone(&parts.locator),
        tokens: Arc::clone(&parts.tokens),
    });
    let discovery = Arc::clone(&parts.discovery);
    running.spawn(http::serve(listener, tls, limits, running.clone(), move |request, peer| {
        let (bootstraps, discovery) = (Arc::clone(&bootstraps), Arc::clone(&discovery));
        async move {
            let admits = || bootstraps.admission.admits_source(peer.address.ip(), bootstraps.clock.now());
            if discovery::asked(&request) && admits() {
                discovery.answer()
            } else {
                bootstrap::answer(bootstraps, request, peer).await
            }
        }
    }));
    Ok(endpoint)
}

fn serve_rpo(
    config: &Config,
    parts: &Parts,
    clock: &Arc<dyn Clock>,
    running: &Running,
    listener: TcpListener,
) -> Result<Endpoint, StartError> {
    let files = CertificateFiles { chain: config.rpo.cert_file.clone(), key: config.rpo.key_file.clone() };
    let tls = certificates::mutual_server(&files, &config.rpo.client_ca_file)
        .map_err(|error| config::wrong("rpo.cert_file", error))?;
    let settings = TlsServerSettings { connections: connections(config), ..TlsServerSettings::default() };
    let endpoint = ("rpo", address(&listener, "rpo", config.rpo.listen)?, true);
    let (vendor, locator, tokens) =
        (Vendor(config.vendor), Arc::clone(&parts.locator), Arc::clone(&parts.tokens));
    let notices = NoticesOut::new(
        Arc::clone(clock),
        vendor,
        Arc::clone(&locator),
        Arc::clone(&tokens),
        running.clone(),
    );
    let (clock, domain) = (Arc::clone(clock), parts.domain.clone());
    let keys = Arc::new(KeyServer { clock, vendor, domain, locator, tokens, notices });
    running.spawn(serve_tls(listener, tls, settings, running.clone(), keys));
    Ok(endpoint)
}

/// The Resource Servers' notices over UDP come from where they are asked, under the same secrets.
fn serve_das(
    checked: &Checked,
    parts: &Parts,
    running: &Running,
    socket: UdpSocket,
    wanted: SocketAddr,
    notices: Arc<NoticesIn>,
) -> Result<Endpoint, StartError> {
    if checked.servers.iter().all(|server| server.config.transport != Transport::Udp) {
        let reason = "with transport \"tls\" a Resource Server's notices come on that connection";
        return Err(config::wrong("das", reason).into());
    }
    let address =
        socket.local_addr().map_err(|error| StartError::Listen { point: "das", address: wanted, error })?;
    running.spawn(serve_udp_peers(
        socket,
        parts.locator.udp_peers(),
        UdpServerSettings::default(),
        running.clone(),
        notices,
    ));
    Ok(("das", address, false))
}

fn serve_admin(
    admin: &AdminConfig,
    parts: &Parts,
    sealing: Arc<Sealing>,
    clock: Arc<dyn Clock>,
    running: &Running,
    listener: TcpListener,
) -> Result<Endpoint, StartError> {
    let files = CertificateFiles { chain: admin.cert_file.clone(), key: admin.key_file.clone() };
    let tls = match &admin.client_ca_file {
        Some(ca) => certificates::server_that_knows_clients(&files, ca),
        None => certificates::server(&files),
    };
    let tls = tls.map_err(|error| config::wrong("admin.cert_file", error))?;
    let configured = admin.token_sha256.iter().map(|token_sha256| Administrator {
        name: CONFIGURED.into(),
        role: Role::Operator,
        token_sha256: token_sha256.clone(),
    });
    let configured = Administrators::new(&configured.collect::<Vec<_>>())
        .map_err(|error| config::wrong("admin.token_sha256", error))?;
    let administration = Administration {
        clock,
        tokens: Arc::clone(&parts.tokens),
        sealing,
        locator: Arc::clone(&parts.locator),
        audit: parts.audit.clone(),
        running: running.clone(),
    };
    let rates = Rates { administrator: admin.requests_per_second, stranger: admin.strangers_per_second };
    let dispatcher = Dispatcher::new(administration, configured, rates);
    let endpoint = ("admin", address(&listener, "admin", admin.listen)?, true);
    running.spawn(http::serve(
        listener,
        Some(tls),
        HttpLimits::default(),
        running.clone(),
        move |request, peer| dispatcher.clone().handle(request, peer),
    ));
    Ok(endpoint)
}

fn connections(config: &Config) -> ConnectionLimits {
    ConnectionLimits { total: config.limits.connections, per_source: config.limits.connections_per_source }
}

async fn listen(point: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    obf_net::listen(address).await.map_err(|error| StartError::Listen { point, address, error })
}

async fn listen_udp(point: &'static str, address: SocketAddr) -> Result<UdpSocket, StartError> {
    obf_net::listen_udp(address).await.map_err(|error| StartError::Listen { point, address, error })
}

fn address(
    listener: &TcpListener,
    point: &'static str,
    wanted: SocketAddr,
) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(|error| StartError::Listen { point, address: wanted, error })
}
