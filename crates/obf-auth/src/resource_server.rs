//! A Resource Server as this node reaches it (reference point RPR): asked over UDP or TLS, and whether it was heard.

use crate::config::{CheckedServer, ConfigError, ResourceServerConfig, Transport};
use obf_files::secret_line;
use obf_net::{
    Running,
    certificates::{self, CertificateFiles},
    radius::{
        AskError, LinkEvents, RadiusTlsClient, RadiusUdpClient, RetransmitPolicy, TlsClientSettings,
        TlsServerAddress, UdpServerAddress,
    },
};
use obf_radius::{AttributeWriter, Code, Reply};
use obf_rpr::{
    AdministratorAnswer, AdministratorRequest, AnswerError, ApplicationAnswer, ApplicationRequest,
    RightsAnswer, RightsRequest, RightsSelector, RprClient, RprOperation, VectorAnswer, VectorRequest,
    Vendor,
};
use obf_types::{AppId, Domain, GlobalIdentity, Refusal, SecretBytes};
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// An answer over TLS is waited for so long in all, reconnecting included.
const TLS_TIME: Duration = Duration::from_secs(5);

/// Who asks, and in which attributes: the same at every Resource Server.
#[derive(Clone, Debug)]
pub(crate) struct RprSender {
    pub(crate) client: RprClient,
    pub(crate) vendor: Vendor,
}

/// A Resource Server.
pub(crate) struct ResourceServer {
    name: Box<str>,
    token_domain: Domain,
    link: Link,
    rpr_sender: RprSender,
    origin: Instant,
    /// Milliseconds after `origin` when it was last heard; 0: never.
    heard: AtomicU64,
    stale_after: Duration,
}

enum Link {
    Udp(RadiusUdpClient),
    Tls(RadiusTlsClient),
}

/// Why there is no answer to act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RprError {
    /// It said no.
    #[error(transparent)]
    Refused(Refusal),
    /// No process of it answered in time.
    #[error("Resource Server unreachable")]
    Unreachable,
    /// Its answer is authentic and says nothing that can be acted on.
    #[error("the answer of the Resource Server cannot be read")]
    Unreadable,
}

impl RprError {
    /// What an application is told.
    pub(crate) const fn refusal(self) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal,
            // No code says that an answer was unreadable: to whoever waits for it, there is none.
            Self::Unreachable | Self::Unreadable => Refusal::ResourceServerUnreachable,
        }
    }
}

impl ResourceServer {
    /// Opens the link, which runs in the group of `running`; what the server asks in reverse goes to `events`.
    pub(crate) async fn open(
        server: &CheckedServer,
        rpr_sender: RprSender,
        running: &Running,
        events: Arc<impl LinkEvents>,
    ) -> Result<Self, ConfigError> {
        let config = &server.config;
        let link = match config.transport {
            Transport::Udp => Link::Udp(open_udp(config, heartbeat(server.stale_after)).await?),
            Transport::Tls => Link::Tls(start_tls(config, running, events)?),
        };
        Ok(Self {
            name: config.name.as_str().into(),
            token_domain: server.token_domain.clone(),
            link,
            rpr_sender,
            origin: Instant::now(),
            heard: AtomicU64::new(0),
            stale_after: server.stale_after,
        })
    }

    /// Its name: the label in the token ids of its devices.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// `<name>.<as domain>`.
    pub(crate) const fn token_domain(&self) -> &Domain {
        &self.token_domain
    }

    /// A vector, after a resynchronisation if one is given.
    pub(crate) async fn vector(&self, request: VectorRequest) -> Result<VectorAnswer, RprError> {
        let reply = self.ask(&RprOperation::Vector(request)).await?;
        read(VectorAnswer::decode(&reply, self.rpr_sender.vendor))
    }

    /// Rights of a device, by an identity as the UE wrote it.
    pub(crate) async fn rights(
        &self,
        user_name: &[u8],
        selector: RightsSelector,
    ) -> Result<RightsAnswer, RprError> {
        let request = RightsRequest { user_name: user_name.to_vec(), selector };
        let reply = self.ask(&RprOperation::Rights(request)).await?;
        read(RightsAnswer::decode(&reply, self.rpr_sender.vendor))
    }

    /// The right of a device for one application.
    pub(crate) async fn right(&self, device: &GlobalIdentity, app: &AppId) -> Result<RightsAnswer, RprError> {
        self.rights(device.value().as_bytes(), RightsSelector::Only(app.clone())).await
    }

    /// An application's registration.
    pub(crate) async fn application(&self, app: &AppId) -> Result<ApplicationAnswer, RprError> {
        let reply = self.ask(&RprOperation::Application(ApplicationRequest { app: app.clone() })).await?;
        let answer = read(ApplicationAnswer::decode(&reply, self.rpr_sender.vendor))?;
        if answer.app == *app { Ok(answer) } else { Err(RprError::Unreadable) }
    }

    /// The administrator with that credential.
    pub(crate) async fn administrator(
        &self,
        request: AdministratorRequest,
    ) -> Result<AdministratorAnswer, RprError> {
        let reply = self.ask(&RprOperation::Administrator(request)).await?;
        read(AdministratorAnswer::decode(&reply, self.rpr_sender.vendor))
    }

    /// Whether it was heard lately: if not, its notices may have been lost, and nothing is issued for it
    /// (WIRES "A lost notice must not leave access open").
    pub(crate) fn is_fresh(&self) -> bool {
        self.silent_for().is_some_and(|silent| silent < self.stale_after)
    }

    /// How long ago it was heard; `None`: never yet.
    pub(crate) fn silent_for(&self) -> Option<Duration> {
        let heard = self.heard.load(Ordering::Relaxed);
        let heard = (heard != 0).then(|| self.origin.elapsed().saturating_sub(Duration::from_millis(heard)));
        let link = match &self.link {
            Link::Udp(client) => client.silence(),
            Link::Tls(_) => None,
        };
        heard.into_iter().chain(link).min()
    }

    /// Asks for a sign of life when none comes by itself. Runs until it is dropped.
    pub(crate) async fn keep_hearing(&self) {
        let Link::Tls(client) = &self.link else {
            // The machine behind UDP does that by itself.
            return std::future::pending().await;
        };
        let heartbeat = heartbeat(self.stale_after);
        loop {
            if self.silent_for().is_none_or(|silent| silent >= heartbeat) {
                match client.ask(Code::StatusServer, &[], TLS_TIME).await {
                    Ok(_) => self.note_heard(),
                    Err(error) => {
                        tracing::warn!(server = %self.name, %error, "the Resource Server gives no sign of life");
                    }
                }
            }
            tokio::time::sleep(heartbeat).await;
        }
    }

    /// It answered what this node had just asked.
    fn note_heard(&self) {
        // Nothing else is read by it, so no order with other memory is needed; the maximum, since answers overtake each other.
        let now = u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard.fetch_max(now.max(1), Ordering::Relaxed);
    }

    async fn ask(&self, operation: &RprOperation) -> Result<Reply, RprError> {
        let mut attributes = Vec::with_capacity(256);
        let RprSender { client, vendor } = &self.rpr_sender;
        operation
            .encode(*vendor, client, &mut AttributeWriter::for_request(&mut attributes))
            .map_err(|_| RprError::Refused(Refusal::UnknownIdentity))?;
        let reply: Result<Reply, AskError> = match &self.link {
            Link::Udp(client) => client.ask(Code::AccessRequest, &attributes).await,
            Link::Tls(client) => client.ask(Code::AccessRequest, &attributes, TLS_TIME).await,
        };
        if reply.is_ok() {
            self.note_heard();
        }
        reply.map_err(|error| {
            tracing::warn!(server = %self.name, %error, "no answer on RPR");
            RprError::Unreachable
        })
    }
}

impl fmt::Debug for ResourceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceServer")
            .field("name", &self.name)
            .field("silent_for", &self.silent_for())
            .finish_non_exhaustive()
    }
}

async fn open_udp(
    config: &ResourceServerConfig,
    heartbeat: Duration,
) -> Result<RadiusUdpClient, ConfigError> {
    let secret = read_secret(config)?;
    let servers =
        config.servers.iter().map(|address| UdpServerAddress { address: *address, secret: secret.clone() });
    let policy = RetransmitPolicy { heartbeat, ..RetransmitPolicy::default() };
    RadiusUdpClient::open(servers.collect(), policy).await.map_err(|error| config.wrong("servers", error))
}

fn start_tls(
    config: &ResourceServerConfig,
    running: &Running,
    events: Arc<impl LinkEvents>,
) -> Result<RadiusTlsClient, ConfigError> {
    let path = |path: &Option<PathBuf>| path.clone().unwrap_or_default();
    let own = CertificateFiles { chain: path(&config.cert_file), key: path(&config.key_file) };
    let tls = certificates::mutual_client(&own, &path(&config.ca_file))
        .map_err(|error| config.wrong("cert_file", error))?;
    let name = config.server_name.clone().unwrap_or_default();
    let servers = config.servers.iter().map(|address| TlsServerAddress::new(address, &name)).collect();
    Ok(RadiusTlsClient::start(TlsClientSettings::new(servers, tls), running, events))
}

/// Several signs of life fit into the time after which nothing is issued.
fn heartbeat(stale_after: Duration) -> Duration {
    (stale_after / 4).min(Duration::from_secs(10))
}

/// The shared secret of RADIUS/UDP.
pub(crate) fn read_secret(config: &ResourceServerConfig) -> Result<SecretBytes, ConfigError> {
    let path = config.secret_file.as_deref().unwrap_or(Path::new(""));
    let secret = secret_line(path);
    let secret = secret.map_err(|error| config.wrong("secret_file", error))?;
    if config.allow_udp && secret.expose().len() < 32 {
        return Err(config.wrong("secret_file", "too short: 32 random octets or more"));
    }
    Ok(secret)
}

fn read<T>(answer: Result<T, AnswerError>) -> Result<T, RprError> {
    answer.map_err(|error| match error {
        AnswerError::Refused(refusal) => {
            // 3xx: not what was asked for is at fault but the deployment, and the device is told nothing of it.
            if refusal.code() >= 300 {
                tracing::warn!(%refusal, "the Resource Server refuses");
            }
            RprError::Refused(refusal)
        }
        AnswerError::Malformed(malformed) => {
            tracing::warn!(%malformed, "an answer on RPR cannot be read");
            RprError::Unreadable
        }
    })
}
