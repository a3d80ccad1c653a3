//! A node from its configuration to its end.

use crate::{
    admin::AdminApi,
    bootstrap,
    config::{Config, ConfigError, Transport},
    discovery,
    error::StartError,
    housekeeping,
    keys::KeyServer,
    node::Node,
    notices_in::NoticesIn,
    notices_out::NoticesOut,
    resource_server::{ResourceServer, read_secret},
};
use bytes::Bytes;
use obf_net::{
    ConnectionLimits, Drained, Environment, Running, Stopper,
    certificates::{self, CertificateFiles},
    http::{self, HttpLimits},
    radius::{TlsServerSettings, UdpPeer, UdpServerSettings, reverse_requests, serve_tls, serve_udp},
};
use obf_rpr::{Asker, Vendor};
use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::net::{TcpListener, UdpSocket};

/// How long requests under way may take to finish at a shutdown.
const DRAIN: Duration = Duration::from_secs(10);

/// A running node. Dropping it ends the node at once; [`Handle::shutdown`] lets it finish.
#[derive(Debug)]
pub struct Handle {
    endpoints: Vec<(&'static str, SocketAddr, bool)>,
    stopper: Stopper,
}

impl Handle {
    /// Each listener: its point (`rpb`, `rpo`, `dae`, `admin`), the address it took, whether it speaks TLS.
    pub fn endpoints(&self) -> Vec<(&'static str, SocketAddr, bool)> {
        self.endpoints.clone()
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
    let dae = match &config.dae {
        Some(dae) => Some(listen_udp("dae", dae.listen).await?),
        None => None,
    };

    let asker = Asker { domain: checked.domain.clone(), node: checked.node };
    // The link comes first, since who takes its notices asks over it: until then they wait in the channel.
    let (forwarder, reverse) = reverse_requests();
    let events = Arc::new(forwarder.of(()));
    let resource_server =
        ResourceServer::open(&config, asker, Vendor(config.vendor), &running, events).await?;
    let node = Arc::new(Node::open(&config, &checked, environment.clock, resource_server).await?);
    follow(&node, &running);
    let notices = Arc::new(NoticesIn::new(Arc::clone(&node)));
    running.spawn(Arc::clone(&notices).run(reverse, running.clone()));

    let offer = Arc::new(OnceLock::new());
    let mut endpoints =
        vec![serve_rpb(&config, &node, &running, rpb, &offer)?, serve_rpo(&config, &node, &running, rpo)?];
    if let Some(socket) = dae {
        endpoints.push(serve_dae(&config, &running, socket, notices)?);
    }
    if let Some((listener, admin)) = admin {
        let files = CertificateFiles { chain: admin.cert_file.clone(), key: admin.key_file.clone() };
        let tls = certificates::server(&files).map_err(|error| ConfigError::new("admin.cert_file", error))?;
        let api = AdminApi::new(Arc::clone(&node), admin)?;
        endpoints.push(("admin", address(&listener, "admin", admin.listen)?, true));
        running.spawn(http::serve(
            listener,
            Some(tls),
            HttpLimits::default(),
            running.clone(),
            move |request, _| api.clone().answer(request),
        ));
    }
    let _ = offer.set(discovery::offer(checked.domain.as_str(), checked.token_domain.as_str(), &endpoints));
    Ok(Handle { endpoints, stopper })
}

type Endpoint = (&'static str, SocketAddr, bool);

fn follow(node: &Arc<Node>, running: &Running) {
    let (fed, hearing) = (Arc::clone(node), Arc::clone(node));
    let (group, other_group) = (running.clone(), running.clone());
    running.spawn(async move {
        tokio::select! {
            () = fed.feed.run(&fed) => {}
            () = housekeeping::run(&fed) => {}
            () = group.stopping() => {}
        }
    });
    running.spawn(async move {
        tokio::select! {
            () = hearing.resource_server.keep_hearing() => {}
            () = other_group.stopping() => {}
        }
    });
}

fn serve_rpb(
    config: &Config,
    node: &Arc<Node>,
    running: &Running,
    listener: TcpListener,
    offer: &Arc<OnceLock<Bytes>>,
) -> Result<Endpoint, StartError> {
    let tls = match (&config.rpb.cert_file, &config.rpb.key_file) {
        (Some(chain), Some(key)) => {
            let files = CertificateFiles { chain: chain.clone(), key: key.clone() };
            let tls =
                certificates::server(&files).map_err(|error| ConfigError::new("rpb.cert_file", error))?;
            Some(tls)
        }
        _ => None,
    };
    let limits = HttpLimits { connections: connections(config), ..HttpLimits::default() };
    let endpoint = ("rpb", address(&listener, "rpb", config.rpb.listen)?, tls.is_some());
    let (node, offer) = (Arc::clone(node), Arc::clone(offer));
    running.spawn(http::serve(listener, tls, limits, running.clone(), move |request, peer| {
        let (node, offer) = (Arc::clone(&node), Arc::clone(&offer));
        async move {
            if discovery::asked(&request) && node.admission.admits_source(peer.address.ip(), node.now()) {
                discovery::answer(offer.get())
            } else {
                bootstrap::answer(node, request, peer).await
            }
        }
    }));
    Ok(endpoint)
}

fn serve_rpo(
    config: &Config,
    node: &Arc<Node>,
    running: &Running,
    listener: TcpListener,
) -> Result<Endpoint, StartError> {
    let files = CertificateFiles { chain: config.rpo.cert_file.clone(), key: config.rpo.key_file.clone() };
    let tls = certificates::mutual_server(&files, &config.rpo.client_ca_file)
        .map_err(|error| ConfigError::new("rpo.cert_file", error))?;
    let settings = TlsServerSettings { connections: connections(config), ..TlsServerSettings::default() };
    let endpoint = ("rpo", address(&listener, "rpo", config.rpo.listen)?, true);
    let notices = NoticesOut::new(Arc::clone(node), running.clone());
    let keys = Arc::new(KeyServer { node: Arc::clone(node), notices });
    running.spawn(serve_tls(listener, tls, settings, running.clone(), keys));
    Ok(endpoint)
}

/// The Resource Server's notices over UDP come from where it is asked, under the same secret.
fn serve_dae(
    config: &Config,
    running: &Running,
    socket: UdpSocket,
    notices: Arc<NoticesIn>,
) -> Result<Endpoint, StartError> {
    if config.resource_server.transport != Transport::Udp {
        let reason = "with transport \"tls\" the Resource Server's notices come on that connection";
        return Err(ConfigError::new("dae", reason).into());
    }
    let secret = read_secret(config)?;
    let peers = config.resource_server.servers.iter().map(|server| UdpPeer {
        source: server.ip(),
        secret: secret.clone(),
        names: Vec::new(),
    });
    let listen = config.dae.as_ref().map_or(SocketAddr::from(([0; 4], 0)), |dae| dae.listen);
    let address =
        socket.local_addr().map_err(|error| StartError::Listen { point: "dae", address: listen, error })?;
    running.spawn(serve_udp(socket, peers.collect(), UdpServerSettings::default(), running.clone(), notices));
    Ok(("dae", address, false))
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
