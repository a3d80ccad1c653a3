//! The link to one Authentication Server: one connection, on which everything of this process is asked and told.

use crate::{
    app_keys::AppKeys,
    directory::{AsDomains, AsSettings},
    members::Members,
};
use obf_net::{
    Clock, Running,
    radius::{AskError, Connection, RadiusTlsClient},
};
use obf_radius::{AttributeWriter, Code, ObfAttribute, Reply, Vendor};
use obf_rpo::{AnswerError, KeyGrant, KeyRequest, Malformed, Resume, RpoOperation};
use obf_types::{AppId, Domain, Refusal};
use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::sync::{Semaphore, mpsc};

/// How often expiry and the grace are looked at.
const TICK: Duration = Duration::from_millis(200);

/// One Authentication Server, as all applications of a process share it.
pub(crate) struct AsLink {
    number: usize,
    pub(crate) domain: Option<Domain>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) stale_grace: u32,
    /// For an answer.
    pub(crate) time: Duration,
    /// Between two attempts of an application that was not welcome.
    pub(crate) pause: Duration,
    pub(crate) members: Arc<Members>,
    /// Applications that come to be, for the task that looks after them. The link itself is not of the group: whoever
    /// still has an application does not hold up its end.
    joining: mpsc::UnboundedSender<Weak<AppKeys>>,
    instance: String,
    vendor: Vendor,
    client: RadiusTlsClient,
    fetches: Semaphore,
}

/// Why the Authentication Server gave no key.
pub(crate) enum FetchError {
    /// It says why.
    Refused(Refusal),
    /// It cannot be reached, does not answer in time, or gives no answer.
    Away,
    /// Too much is asked at once.
    Busy,
}

impl AsLink {
    /// Connects in the background until the group of `running` is told to finish.
    pub(crate) fn start(
        number: usize,
        domains: &Arc<AsDomains>,
        settings: AsSettings,
        clock: Arc<dyn Clock>,
        running: &Running,
    ) -> Arc<Self> {
        let AsSettings { domain, rpo, instance, vendor, fetch_time, max_fetches, stale_grace } = settings;
        let pause = rpo.backoff;
        let members = Arc::new(Members::new(number, Arc::clone(domains), vendor, Arc::clone(&clock)));
        let client = RadiusTlsClient::start(rpo, running, Arc::clone(&members));
        let (joining, joined) = mpsc::unbounded_channel();
        running.spawn(look_after(Arc::clone(&members), Arc::clone(&clock), joined, running.clone()));
        let fetches = Semaphore::new(max_fetches.min(Semaphore::MAX_PERMITS));
        let time = fetch_time;
        Arc::new(Self {
            number,
            domain,
            clock,
            stale_grace,
            time,
            pause,
            members,
            joining,
            instance,
            vendor,
            client,
            fetches,
        })
    }

    /// From now on an application says on each connection that it is there, and is told. After the end of the group it
    /// never is.
    pub(crate) fn join(&self, keys: &Arc<AppKeys>) {
        self.members.add(&keys.app, keys);
        let _ = self.joining.send(Arc::downgrade(keys));
    }

    /// Asks for a key. An answer for one token is never taken for another's: whoever names one that was not asked for
    /// gives no answer.
    pub(crate) async fn fetch(&self, request: KeyRequest) -> Result<KeyGrant, FetchError> {
        let Ok(_place) = self.fetches.try_acquire() else {
            tracing::warn!(server = %self, "too many keys asked for at once");
            return Err(FetchError::Busy);
        };
        let token = request.token.clone();
        let attributes = self.encode(&RpoOperation::Key(request)).ok_or(FetchError::Away)?;
        let reply = match self.client.ask(Code::AccessRequest, &attributes, self.time).await {
            Ok(reply) => reply,
            Err(error @ (AskError::Unreachable | AskError::NoAnswer)) => {
                tracing::warn!(server = %self, %error, "no key");
                return Err(FetchError::Away);
            }
            Err(error) => {
                tracing::debug!(server = %self, %error, "no key");
                return Err(FetchError::Away);
            }
        };
        let named = self.names(&reply).is_none_or(|named| named == token.to_string().as_bytes());
        let grant = match KeyGrant::decode(&reply, self.vendor) {
            Ok(grant) if named => Ok(grant),
            Ok(_) => Err(AnswerError::Malformed(Malformed("OBF-Token-Id"))),
            Err(error) => Err(error),
        };
        grant.map_err(|error| match error {
            AnswerError::Refused(refusal) => {
                tracing::debug!(server = %self, %token, %refusal, "no key");
                FetchError::Refused(refusal)
            }
            AnswerError::Malformed(error) => {
                tracing::error!(server = %self, %error, "no answer of an Authentication Server");
                FetchError::Away
            }
        })
    }

    /// Says that an application is there, and hears what it has missed: when this returns, every notice has been acted
    /// on.
    pub(crate) async fn resume(&self, app: &AppId, on: &Connection) -> Result<(), AskError> {
        let operation = RpoOperation::Resume(Resume { app: app.clone() });
        let attributes = self.encode(&operation).ok_or(AskError::Unreachable)?;
        let reply = on.ask(Code::AccessRequest, &attributes, self.time).await?;
        reply.accepted(self.vendor).map_err(|error| {
            match error {
                AnswerError::Refused(refusal) => {
                    tracing::error!(server = %self, %app, %refusal, "refused by the Authentication Server");
                }
                AnswerError::Malformed(error) => {
                    tracing::error!(server = %self, %error, "no answer of an Authentication Server");
                }
            }
            AskError::Unreachable
        })
    }

    /// The token that an answer names, where it names one.
    fn names(&self, reply: &Reply) -> Option<Vec<u8>> {
        let packet = reply.packet();
        let named = packet.only(self.vendor.attribute(ObfAttribute::TokenId));
        // Named twice is named wrongly.
        named.map_or_else(|_| Some(Vec::new()), |named| named.map(<[u8]>::to_vec))
    }

    fn encode(&self, operation: &RpoOperation) -> Option<Vec<u8>> {
        let mut attributes = Vec::with_capacity(256);
        operation
            .encode(self.vendor, &self.instance, &mut AttributeWriter::for_request(&mut attributes))
            .ok()?;
        Some(attributes)
    }
}

impl fmt::Display for AsLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.domain {
            Some(domain) => domain.fmt(f),
            None => write!(f, "{}", self.number),
        }
    }
}

impl fmt::Debug for AsLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AsLink({self})")
    }
}

/// Takes in applications; ends sessions and forgets keys when their time has come; all sessions when the group ends.
async fn look_after(
    members: Arc<Members>,
    clock: Arc<dyn Clock>,
    mut joined: mpsc::UnboundedReceiver<Weak<AppKeys>>,
    running: Running,
) {
    let mut ticks = tokio::time::interval(TICK);
    loop {
        // Each branch is safe to drop: a tick or an application that comes in between is there the next time.
        tokio::select! {
            _ = ticks.tick() => {
                let now = clock.now();
                members.all().iter().for_each(|keys| keys.expire(now));
            }
            Some(keys) = joined.recv() => {
                if let Some(keys) = keys.upgrade() {
                    keys.stay_resumed(&running);
                }
            }
            () = running.stopping() => return members.all().iter().for_each(|keys| keys.end_all()),
        }
    }
}
