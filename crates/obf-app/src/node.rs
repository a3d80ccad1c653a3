//! A small application server of its own: echoes, or hands the plain stream on.

use crate::{
    application::{Application, ApplicationSettings},
    config::{Config, ConfigError, Service},
    listener::{ListenError, Listener, ListenerSettings, Session},
};
use obf_net::{
    Environment, Stopper,
    certificates::{self, CertificateError, CertificateFiles},
    radius::{TlsClientSettings, TlsServerAddress},
};
use obf_radius::Vendor;
use obf_rpa::LocalPolicy;
use std::{io, net::SocketAddr, time::Duration};
use tokio::{io::AsyncWriteExt, net::TcpStream};

/// How long sessions may go on after [`Handle::shutdown`] has begun.
const DRAIN: Duration = Duration::from_secs(5);

/// Why it does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The certificates.
    #[error(transparent)]
    Certificates(#[from] CertificateError),
    /// The listener.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// An address of the Authentication Server.
    #[error("rpo: {address}: {reason}")]
    Address {
        /// As configured.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// A running application server. Dropping it ends it without draining.
#[derive(Debug)]
pub struct Handle {
    application: Application,
    address: SocketAddr,
    stopper: Stopper,
}

impl Handle {
    /// Its one listener: `("rpa", address, true)`.
    pub fn endpoints(&self) -> Vec<(&'static str, SocketAddr, bool)> {
        vec![("rpa", self.address, true)]
    }

    /// The application: its link and its sessions.
    pub const fn application(&self) -> &Application {
        &self.application
    }

    /// Stops accepting, closes sessions, and returns when all has ended.
    pub async fn shutdown(self) {
        self.stopper.stop(DRAIN).await;
    }
}

/// Starts it: when this returns, it accepts devices; the link to the Authentication Server is made in the background.
///
/// # Errors
/// [`StartError`].
pub async fn start(config: Config, environment: Environment) -> Result<Handle, StartError> {
    let app = config.validate()?;
    let files = CertificateFiles { chain: config.cert_file.clone(), key: config.key_file.clone() };
    let tls = certificates::mutual_client(&files, &config.ca_file)?;
    let rpo = TlsClientSettings::new(addresses(&config).await?, tls);
    let mut settings = ApplicationSettings::new(app, rpo);
    settings.vendor = Vendor(config.vendor);
    settings.policy = LocalPolicy { max_age: config.max_key_age, stale_grace: config.stale_grace };
    if let Some(instance) = config.instance {
        settings.instance = instance;
    }
    let stopper = Stopper::new();
    let running = stopper.running();
    let application = Application::start(settings, environment.clock, &running);
    let mut listening = ListenerSettings::new(config.listen);
    listening.protocols = config.protocols;
    let listener = application.listen(listening, &running).await?;
    let address = listener.address();
    let group = running.clone();
    running.spawn(async move { serve(listener, config.service, group).await });
    Ok(Handle { application, address, stopper })
}

async fn serve(mut listener: Listener, service: Service, running: obf_net::Running) {
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
    let mut plain = TcpStream::connect(address).await?;
    plain.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut session.stream, &mut plain).await?;
    Ok(())
}

async fn addresses(config: &Config) -> Result<Vec<TlsServerAddress>, StartError> {
    let mut found = Vec::new();
    for text in &config.rpo {
        let failed = |reason: String| StartError::Address { address: text.clone(), reason };
        let (host, _) = text.rsplit_once(':').ok_or_else(|| failed("expected host:port".into()))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = config.rpo_name.clone().unwrap_or_else(|| host.to_owned());
        let resolved = tokio::net::lookup_host(text).await.map_err(|error| failed(error.to_string()))?;
        found.extend(resolved.map(|address| TlsServerAddress { address, name: name.clone() }));
    }
    Ok(found)
}
