//! Devices come in: TLS-PSK handshakes, each waiting for its own key only.

use crate::{
    app_keys::AppKeys,
    application::{Application, Grant},
    link::AsLink,
    sessions::Place,
};
use obf_net::{
    AcceptLoop, ConnectionLimits, Cuttable, Gate, Incoming, Permit, Running,
    psk::{Accepted, KeyQuery, KeySource, PskAcceptor, PskServer, PskSetupError, PskStream},
};
use obf_token::{AppKey, TokenId};
use obf_types::{AppId, UaId};
use std::{collections::HashMap, fmt, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// How a listener listens.
#[derive(Clone, Debug)]
pub struct ListenerSettings {
    /// Where; port 0 takes a free one.
    pub address: SocketAddr,
    /// ALPN names in order of preference; empty: not negotiated.
    pub protocols: Vec<String>,
    /// Connections at once.
    pub connections: ConnectionLimits,
    /// Key look-ups at once, divided evenly among the Authentication Servers. Keys that are known are not among them.
    pub lookups: ConnectionLimits,
    /// For a handshake, key look-up included.
    pub handshake_time: Duration,
    /// Accepted sessions that wait for [`Listener::accept`].
    pub backlog: usize,
}

impl ListenerSettings {
    /// 10,000 connections (1,000 from one source), 4,096 look-ups (256 from one source), 10 s a handshake.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            protocols: Vec::new(),
            connections: ConnectionLimits::default(),
            lookups: ConnectionLimits { total: 4096, per_source: 256 },
            handshake_time: Duration::from_secs(10),
            backlog: 64,
        }
    }
}

/// Why there is no listener.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The address cannot be had.
    #[error("cannot listen on {address}: {error}")]
    Address {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// OpenSSL lacks what RPA needs.
    #[error(transparent)]
    Tls(#[from] PskSetupError),
    /// There is nothing to serve.
    #[error("a listener needs an application")]
    NoApplication,
    /// Which of the two would a device mean?
    #[error("{0} is there twice on one listener")]
    Twice(AppId),
}

/// A listener of one or more applications. Dropping it ends accepting, not its sessions.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    sessions: mpsc::Receiver<Session>,
}

impl Listener {
    /// Accepts devices of these applications on a TCP port. With several, devices have to say which one they mean (SNI).
    ///
    /// # Errors
    /// [`ListenError`].
    pub async fn bind(
        applications: Vec<Application>,
        settings: ListenerSettings,
        running: &Running,
    ) -> Result<Self, ListenError> {
        let failed = |error| ListenError::Address { address: settings.address, error };
        let apps = applications.iter().map(|application| application.id().clone()).collect();
        let served = Served::new(applications, settings.lookups)?;
        let acceptor = PskAcceptor::new(PskServer {
            protocols: settings.protocols,
            time: settings.handshake_time,
            ..PskServer::new(apps)
        })?;
        let listener = obf_net::listen(settings.address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (sender, sessions) = mpsc::channel(settings.backlog.max(1));
        let accepting = AcceptLoop::new(listener, settings.connections, running.clone());
        let served = Arc::new(served);
        running.spawn(async move {
            let gone = sender.clone();
            let accept_one = |incoming| {
                let (served, acceptor, sender) = (Arc::clone(&served), acceptor.clone(), sender.clone());
                async move {
                    if let Some(session) = accept_one(incoming, &acceptor, &served).await {
                        // The listener may have been dropped; the session then ends here.
                        let _ = sender.send(session).await;
                    }
                }
            };
            tokio::select! {
                () = accepting.run(accept_one) => {}
                () = gone.closed() => {}
            }
        });
        Ok(Self { address, sessions })
    }

    /// The address it listens on.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next device whose handshake is done; `None` after shutdown. Cancellation-safe.
    pub async fn accept(&mut self) -> Option<Session> {
        self.sessions.recv().await
    }
}

/// A device that has proved its token.
#[derive(Debug)]
pub struct Session {
    /// Its octets. Ends, at the latest, when the key expires or the token is revoked.
    pub stream: SessionStream,
    /// The token.
    pub token: TokenId,
    /// What came with its key: the device, its settings, when it ends.
    pub grant: Grant,
    /// The security protocol of the key.
    pub ua: UaId,
    /// The application.
    pub app: AppId,
    /// The device's address.
    pub peer: SocketAddr,
}

/// A session's octets.
pub struct SessionStream {
    stream: PskStream<Cuttable>,
    _place: Place,
    _permit: Permit,
}

impl SessionStream {
    /// The ALPN protocol, if one was agreed on.
    pub fn protocol(&self) -> Option<&[u8]> {
        self.stream.protocol()
    }

    /// `TLSv1.3` or `TLSv1.2`.
    pub fn version(&self) -> &'static str {
        self.stream.version()
    }

    /// The cipher suite, as OpenSSL names it.
    pub fn suite(&self) -> &'static str {
        self.stream.suite()
    }
}

impl fmt::Debug for SessionStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stream.fmt(f)
    }
}

obf_net::forward_stream!(SessionStream, stream);

async fn accept_one(incoming: Incoming, acceptor: &PskAcceptor, served: &Arc<Served>) -> Option<Session> {
    let Incoming { stream, peer, permit } = incoming;
    let stream = Cuttable::new(stream);
    let cutter = stream.cutter();
    let Accepted { stream, token, ua, app, grant } = match acceptor.accept(stream, peer.ip(), served).await {
        Ok(accepted) => accepted,
        Err(error) => {
            tracing::debug!(%peer, %error, "no handshake");
            return None;
        }
    };
    let Some(place) = grant.keys.begin(&token, &grant.cached, cutter) else {
        tracing::debug!(%peer, %token, "ended during the handshake");
        return None;
    };
    Some(Session {
        stream: SessionStream { stream, _place: place, _permit: permit },
        token,
        grant,
        ua,
        app,
        peer,
    })
}

/// The applications of a listener, and how much may be looked up at once for each Authentication Server.
#[derive(Debug)]
struct Served(HashMap<AppId, One>);

#[derive(Debug)]
struct One {
    application: Application,
    /// By the number of the Authentication Server.
    gates: Box<[Gate]>,
}

impl Served {
    /// The look-ups of a listener are divided evenly among the Authentication Servers: one that does not answer holds up
    /// as many as its part, and none of another's.
    fn new(applications: Vec<Application>, lookups: ConnectionLimits) -> Result<Self, ListenError> {
        if applications.is_empty() {
            return Err(ListenError::NoApplication);
        }
        let mut links: Vec<&Arc<AsLink>> = Vec::new();
        for keys in applications.iter().flat_map(Application::keys) {
            if !links.iter().any(|known| Arc::ptr_eq(known, &keys.link)) {
                links.push(&keys.link);
            }
        }
        let part = |all: usize| (all / links.len().max(1)).max(1);
        let part = ConnectionLimits { total: part(lookups.total), per_source: part(lookups.per_source) };
        let gates: Vec<(&Arc<AsLink>, Gate)> =
            links.into_iter().map(|link| (link, Gate::new(part))).collect();
        let gate_of = |keys: &Arc<AppKeys>| {
            let known = gates.iter().find(|(link, _)| Arc::ptr_eq(link, &keys.link));
            known.map_or_else(|| Gate::new(part), |(_, gate)| gate.clone())
        };
        let mut by_id = HashMap::with_capacity(applications.len());
        for application in &applications {
            let gates = application.keys().iter().map(gate_of).collect();
            let one = One { application: application.clone(), gates };
            if by_id.insert(application.id().clone(), one).is_some() {
                return Err(ListenError::Twice(application.id().clone()));
            }
        }
        Ok(Self(by_id))
    }
}

impl KeySource for Served {
    type Grant = Grant;

    fn known(&self, query: &KeyQuery) -> Option<(AppKey, Grant)> {
        let grant = self.0.get(&query.app)?.application.known(&query.need)?;
        Some((grant.key().clone(), grant))
    }

    async fn key(&self, query: KeyQuery) -> Option<(AppKey, Grant)> {
        let KeyQuery { need, app, source } = query;
        let One { application, gates } = self.0.get(&app)?;
        // A token of a domain that is not configured is an unknown one.
        let gate = gates.get(application.server_of(&need.token)?)?;
        let Some(_permit) = gate.admit(source) else {
            tracing::debug!(%source, token = %need.token, "too many key look-ups at once");
            return None;
        };
        let grant = application.key(&need.token, need.ua).await.ok()?;
        Some((grant.key().clone(), grant))
    }
}
