//! A small application server on the SDK: echoes, or hands the plain stream on (`obf app run`, and one of the story's).

use crate::failure::Failure;
use obf_app::{
    AppId, Application, ApplicationSettings, AsDirectory, AsSettings, Listener, ListenerSettings, Session,
};
use obf_net::{Clock, Running, Stopper};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::io::AsyncWriteExt;

/// How long sessions may go on after [`ApplicationServer::shutdown`] has begun.
const DRAIN: Duration = Duration::from_secs(5);
/// For connecting to the server behind.
const CONNECT: Duration = Duration::from_secs(10);

/// What is done with a device's octets.
#[derive(Clone, Debug)]
pub enum Service {
    /// They are sent back.
    Echo,
    /// They go, in plain, to this address (`host:port`), and its answers back.
    To(String),
}

/// What it is told.
pub struct Settings {
    /// The applications.
    pub apps: Vec<AppId>,
    /// Where devices come in; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The Authentication Servers.
    pub servers: Vec<AsSettings>,
    /// What is done with a device's octets.
    pub service: Service,
}

/// A running one. Dropping it ends it without draining.
pub struct ApplicationServer {
    applications: Vec<Application>,
    address: SocketAddr,
    stopper: Stopper,
}

impl ApplicationServer {
    /// Starts it: when this returns, it accepts devices; links to Authentication Servers are made in the background.
    ///
    /// # Errors
    /// The settings do not fit together, or there is no socket.
    pub async fn start(settings: Settings, clock: &Arc<dyn Clock>) -> Result<Self, Failure> {
        let stopper = Stopper::new();
        let running = stopper.running();
        let servers = AsDirectory::start(settings.servers, clock, &running).map_err(Failure::usage)?;
        let join = |app| Application::new(ApplicationSettings::new(app), &servers);
        let applications: Vec<Application> = settings.apps.into_iter().map(join).collect();
        let listening = ListenerSettings::new(settings.listen);
        let listener = Listener::bind(applications.clone(), listening, &running)
            .await
            .map_err(|error| Failure::other("not-started", error))?;
        let address = listener.address();
        running.spawn(serve(listener, settings.service, running.clone()));
        Ok(Self { applications, address, stopper })
    }

    /// Where devices come in.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The applications.
    pub fn applications(&self) -> &[Application] {
        &self.applications
    }

    /// Resolves when each application has an Authentication Server that it can have keys from.
    pub async fn ready(&self) {
        for application in &self.applications {
            application.ready().await;
        }
    }

    /// Stops accepting, closes sessions, and returns when all has ended.
    pub async fn shutdown(self) {
        self.stopper.stop(DRAIN).await;
    }
}

async fn serve(mut listener: Listener, service: Service, running: Running) {
    while let Some(session) = listener.accept().await {
        let service = service.clone();
        running.spawn(async move {
            let (token, peer) = (session.token.clone(), session.peer);
            let ended = match service {
                Service::Echo => echo(session).await,
                Service::To(address) => hand_on(session, &address).await,
            };
            tracing::debug!(%token, %peer, outcome = ?ended.err(), "session ended");
        });
    }
}

async fn echo(session: Session) -> io::Result<()> {
    let (mut reader, mut writer) = tokio::io::split(session.stream);
    tokio::io::copy(&mut reader, &mut writer).await?;
    writer.shutdown().await
}

async fn hand_on(mut session: Session, address: &str) -> io::Result<()> {
    let mut plain = obf_net::connect(address, CONNECT).await?;
    tokio::io::copy_bidirectional(&mut session.stream, &mut plain).await?;
    Ok(())
}
