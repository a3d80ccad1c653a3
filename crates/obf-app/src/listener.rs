//! Devices come in: TLS-PSK handshakes, each waiting for its own key only.

use crate::{application::Application, sessions::Place};
use obf_net::{
    ConnectionLimits, Cuttable, Gate, Permit, Running,
    psk::{Accepted, PskAcceptor, PskServer, PskSetupError, PskStream},
};
use obf_token::TokenId;
use obf_types::{AppId, GlobalIdentity, UaId, UnixTime};
use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

/// How a listener listens.
#[derive(Clone, Debug)]
pub struct ListenerSettings {
    /// Where; port 0 takes a free one.
    pub address: SocketAddr,
    /// ALPN names in order of preference; empty: not negotiated.
    pub protocols: Vec<String>,
    /// Connections at once.
    pub connections: ConnectionLimits,
    /// Key look-ups at once.
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
}

/// A listener of an application. Dropping it ends accepting, not its sessions.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    sessions: mpsc::Receiver<Session>,
}

impl Listener {
    pub(crate) async fn bind(
        application: Application,
        settings: ListenerSettings,
        running: &Running,
    ) -> Result<Self, ListenError> {
        let failed = |error| ListenError::Address { address: settings.address, error };
        let acceptor = PskAcceptor::new(PskServer {
            apps: vec![application.id().clone()],
            protocols: settings.protocols,
            time: settings.handshake_time,
            lookups: settings.lookups,
        })?;
        let listener = TcpListener::bind(settings.address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (sender, sessions) = mpsc::channel(settings.backlog.max(1));
        let door = Door { application: Arc::new(application), acceptor, sessions: sender };
        running.spawn(accept_all(listener, Arc::new(door), Gate::new(settings.connections), running.clone()));
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
    /// The device, if the application is registered to be told.
    pub device: Option<GlobalIdentity>,
    /// Application-specific user security settings, as the Resource Server has them.
    pub settings: Box<[u8]>,
    /// When the device bootstrapped.
    pub bootstrapped_at: UnixTime,
    /// When this session ends by itself: the key's expiry or the local maximum age.
    pub expires: UnixTime,
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

struct Door {
    application: Arc<Application>,
    acceptor: PskAcceptor,
    sessions: mpsc::Sender<Session>,
}

async fn accept_all(listener: TcpListener, door: Arc<Door>, gate: Gate, running: Running) {
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, or the peer was gone already: neither ends the listener.
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            },
            () = running.stopping() => return,
            () = door.sessions.closed() => return,
        };
        let Some(permit) = gate.admit(peer.ip()) else {
            tracing::debug!(%peer, "connection limit");
            continue;
        };
        let door = Arc::clone(&door);
        running.spawn(async move {
            if let Some(session) = door.welcome(stream, peer, permit).await {
                // The listener may have been dropped; the session then ends here.
                let _ = door.sessions.send(session).await;
            }
        });
    }
}

impl Door {
    async fn welcome(&self, stream: TcpStream, peer: SocketAddr, permit: Permit) -> Option<Session> {
        let stream = Cuttable::new(stream);
        let cutter = stream.cutter();
        let Accepted { stream, token, ua, app, grant: held } =
            match self.acceptor.accept(stream, peer.ip(), &self.application).await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::debug!(%peer, %error, "no handshake");
                    return None;
                }
            };
        let link = &self.application.link;
        let place = link.sessions.add(token.clone(), held.expires, cutter);
        // Asked after the session can be found by its token: a notice either shows here or cuts it.
        if !link.keys.still_good(&token, &held, link.clock.now()) {
            tracing::debug!(%peer, %token, "ended during the handshake");
            return None;
        }
        Some(Session {
            stream: SessionStream { stream, _place: place, _permit: permit },
            token,
            device: held.grant.device.clone(),
            settings: held.grant.settings.clone(),
            bootstrapped_at: held.grant.bootstrapped_at,
            expires: held.expires,
            ua,
            app,
            peer,
        })
    }
}
