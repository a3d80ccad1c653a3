//! Which Resource Server answers for what: for a device by its identity, for a token by its domain (SPEC R21).
//!
//! The table of servers can be replaced while serving. Whoever acts on something takes the table, or a server of it, once
//! and goes on with that: a server that is no longer in the table lives until the last of them is done with it.

use crate::{
    administrators::Administrators,
    applications::Applications,
    config::{Checked, CheckedServer, ConfigError, ResourceServerConfig, Transport},
    resource_server::{ResourceServer, RprSender, read_secret},
    rules::Rules,
};
use obf_net::{
    Stopper,
    radius::{Forwarder, ReverseRequests, UdpPeer, UdpPeers, reverse_requests},
};
use obf_types::{Domain, GlobalIdentity, SecretBytes};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::sync::{Mutex, Semaphore};

/// Devices of a fleet whose rights are asked for at once at one server; bootstraps ask on the same link.
const LOOKUPS: usize = 64;

/// The Resource Servers of this node.
#[derive(Debug)]
pub(crate) struct Locator {
    current: RwLock<Arc<Table>>,
    /// One replacement at a time: two that build on the same table would lose the links of one.
    replacing: Mutex<()>,
    rpr_sender: RprSender,
    forwarder: Forwarder<Arc<str>>,
    /// Where notices over UDP may come from.
    udp_peers: Arc<UdpPeers>,
}

/// The servers at one moment, and the rules that tell their devices apart. Never empty.
#[derive(Debug)]
pub(crate) struct Table {
    servers: Vec<Arc<Served>>,
    by_domain: HashMap<Domain, usize>,
    rules: Rules,
}

/// A server in the table, with what is kept of it while it is there.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) server: Arc<ResourceServer>,
    pub(crate) applications: Applications,
    pub(crate) administrators: Administrators,
    /// Bounds what notices about fleets ask the server at once.
    pub(crate) lookups: Arc<Semaphore>,
    source: Source,
    udp_secret: Option<SecretBytes>,
    /// Ends the link when the last who uses this server is done with it.
    _link: Stopper,
}

/// What a link was made from: one made from the same need not be made again.
#[derive(Debug, PartialEq, Eq)]
struct Source {
    server: CheckedServer,
    /// SHA-256 of the files that it names: they may change under the same names.
    files: [u8; 32],
}

/// How a Resource Server is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerHealth {
    /// Its name.
    pub name: String,
    /// The domain of the token ids of its devices, `<name>.<as domain>`.
    pub token_domain: Domain,
    /// How long ago it was heard; `None`: never yet.
    pub silent_for: Option<Duration>,
    /// Whether that is less than its `stale_after`: if not, nothing is issued for its devices.
    pub fresh: bool,
}

impl Locator {
    /// Opens the link to each server. What they ask in reverse comes with the server's name.
    ///
    /// # Errors
    /// [`ConfigError`] where a file of theirs cannot be read.
    pub(crate) async fn open(
        checked: &Checked,
        rpr_sender: RprSender,
    ) -> Result<(Self, ReverseRequests<Arc<str>>), ConfigError> {
        let (forwarder, requests) = reverse_requests();
        let locator = Self {
            current: RwLock::new(Arc::new(Table::empty())),
            replacing: Mutex::new(()),
            rpr_sender,
            forwarder,
            udp_peers: Arc::default(),
        };
        locator.replace(checked).await?;
        Ok((locator, requests))
    }

    /// The servers from now on. Links made from the same configuration and files go on, with all that is known of them;
    /// what is under way at others finishes there.
    ///
    /// # Errors
    /// [`ConfigError`]; nothing has changed then.
    pub(crate) async fn replace(&self, checked: &Checked) -> Result<(), ConfigError> {
        let _one_at_a_time = self.replacing.lock().await;
        let before = self.table();
        let mut servers = Vec::with_capacity(checked.servers.len());
        for server in &checked.servers {
            let source = Source::of(server);
            let same = before.servers.iter().find(|served| served.source == source);
            servers.push(match same {
                Some(served) => Arc::clone(served),
                None => Arc::new(self.serve(server, source).await?),
            });
        }
        let peers = udp_peers(&checked.servers, &servers)?;
        let by_domain = servers.iter().enumerate();
        let by_domain = by_domain.map(|(at, served)| (served.server.token_domain().clone(), at)).collect();
        let table = Table { servers, by_domain, rules: checked.rules.clone() };
        self.udp_peers.replace(peers);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
        Ok(())
    }

    /// The servers there are now.
    pub(crate) fn table(&self) -> Arc<Table> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Where notices over UDP may come from; named as the servers are.
    pub(crate) fn udp_peers(&self) -> Arc<UdpPeers> {
        Arc::clone(&self.udp_peers)
    }

    async fn serve(&self, server: &CheckedServer, source: Source) -> Result<Served, ConfigError> {
        let link = Stopper::new();
        let running = link.running();
        let events = Arc::new(self.forwarder.of(Arc::from(server.config.name.as_str())));
        let udp_secret = match server.config.transport {
            Transport::Udp => Some(read_secret(&server.config)?),
            Transport::Tls => None,
        };
        let server = Arc::new(ResourceServer::open(server, self.rpr_sender.clone(), &running, events).await?);
        let hearing = Arc::clone(&server);
        running.spawn(async move { hearing.keep_hearing().await });
        Ok(Served {
            applications: Applications::of_server(Arc::clone(&server)),
            administrators: Administrators::of_server(Arc::clone(&server)),
            server,
            lookups: Arc::new(Semaphore::new(LOOKUPS)),
            source,
            udp_secret,
            _link: link,
        })
    }
}

impl Table {
    fn empty() -> Self {
        Self { servers: Vec::new(), by_domain: HashMap::new(), rules: Rules::default() }
    }

    /// All of them, in the order of the configuration.
    pub(crate) fn servers(&self) -> &[Arc<Served>] {
        &self.servers
    }

    /// The server of the tokens of that domain.
    pub(crate) fn of_domain(&self, domain: &Domain) -> Option<&Arc<Served>> {
        self.servers.get(*self.by_domain.get(domain)?)
    }

    /// The server of a device, by a user name as a UE writes it; `None`: no rule takes it.
    pub(crate) fn of_user_name(&self, user_name: &str) -> Option<&Arc<Served>> {
        self.servers.get(self.rules.server(user_name)?)
    }

    /// The server of that name.
    pub(crate) fn named(&self, name: &str) -> Option<&Arc<Served>> {
        self.servers.iter().find(|served| served.server.name() == name)
    }

    /// Whether a device is that server's. What other servers say of it is not acted on.
    pub(crate) fn is_of(&self, device: &GlobalIdentity, served: &Served) -> bool {
        let server = self.rules.server_of(device).and_then(|at| self.servers.get(at));
        server.is_some_and(|own| own.server.name() == served.server.name())
    }

    /// The server that is asked for nobody in place of an identity that no rule takes, so that the answer comes in words
    /// and time as one to an unknown identity does. One that was heard lately, since those who are refused would
    /// otherwise share the outage of a server that they have nothing to do with.
    pub(crate) fn decoy(&self) -> Option<&Arc<Served>> {
        self.servers.iter().find(|served| served.server.is_fresh()).or_else(|| self.servers.first())
    }

    /// How each is doing.
    pub(crate) fn health(&self) -> Vec<ServerHealth> {
        let health = |served: &Arc<Served>| ServerHealth {
            name: served.server.name().to_owned(),
            token_domain: served.server.token_domain().clone(),
            silent_for: served.server.silent_for(),
            fresh: served.server.is_fresh(),
        };
        self.servers.iter().map(health).collect()
    }
}

impl Source {
    fn of(server: &CheckedServer) -> Self {
        let config = &server.config;
        let mut hash = Sha256::new();
        for path in [&config.secret_file, &config.ca_file, &config.cert_file, &config.key_file] {
            // One that cannot be read is an error when the link is made.
            let octets = path.as_ref().and_then(|path| std::fs::read(path).ok()).map(zeroize::Zeroizing::new);
            hash.update(Sha256::digest(octets.as_deref().map_or(&[][..], Vec::as_slice)));
        }
        // Its rules are the table's, and where it stands in the file says nothing about the link.
        let link_only = ResourceServerConfig {
            prefixes: Vec::new(),
            realms: Vec::new(),
            identities: Vec::new(),
            section: "".into(),
            ..config.clone()
        };
        Self { server: CheckedServer { config: link_only, ..server.clone() }, files: hash.finalize().into() }
    }
}

/// Two servers at one address are told apart by their secrets.
fn udp_peers(checked: &[CheckedServer], servers: &[Arc<Served>]) -> Result<Vec<UdpPeer>, ConfigError> {
    let mut peers: Vec<(UdpPeer, &ResourceServerConfig)> = Vec::new();
    for (CheckedServer { config, .. }, served) in checked.iter().zip(servers) {
        let Some(secret) = &served.udp_secret else { continue };
        for address in &config.servers {
            let source = address.ip().to_canonical();
            let alike = |peer: &UdpPeer| peer.source == source && peer.secret == *secret;
            match peers.iter().find(|(peer, _)| alike(peer)) {
                Some((_, other)) if other.name != config.name => {
                    // An authentic packet would not say which of the two sent it.
                    let reason = format_args!(
                        "the same secret as {}.secret_file ({}), and both answer from {source}: give each its own",
                        other.section, other.name
                    );
                    return Err(config.wrong("secret_file", reason));
                }
                Some(_) => {}
                None => {
                    let names = vec![config.name.clone()];
                    peers.push((UdpPeer { source, secret: secret.clone(), names }, config));
                }
            }
        }
    }
    Ok(peers.into_iter().map(|(peer, _)| peer).collect())
}
