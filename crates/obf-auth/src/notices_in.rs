//! What the Resource Server tells unasked on RPR: a device's tokens are over, its rights or an application changed
//! (RFC 5176). Acknowledged when it is done durably, and in this node's memory too.

use crate::{node::Node, resource_server::RprError, tokens::RightsSet};
use obf_net::{
    Running,
    radius::{Handler, Origin, ReverseRequests},
};
use obf_radius::{Request, dictionary::ErrorCause, notice};
use obf_rpr::{Notice, Wanted};
use obf_store::{StoreError, auth::TokenStore};
use obf_types::{AppId, GlobalIdentity};
use std::{collections::BTreeSet, fmt, sync::Arc};
use tokio::{sync::Semaphore, task::JoinSet};

/// Applications whose rights are looked at one by one after a device's rights changed; beyond it all are told.
const MOST_LOOKED_AT: usize = 256;

/// Devices of a fleet whose rights are asked for at once; bootstraps ask on the same link.
const LOOKUPS: usize = 64;

/// Takes notices in: over UDP as a [`Handler`], or in reverse on our own connection with [`NoticesIn::run`].
pub(crate) struct NoticesIn {
    node: Arc<Node>,
    /// Bounds what notices about fleets ask the Resource Server at once.
    lookups: Arc<Semaphore>,
}

impl NoticesIn {
    pub(crate) fn new(node: Arc<Node>) -> Self {
        Self { node, lookups: Arc::new(Semaphore::new(LOOKUPS)) }
    }

    /// Acts on what comes in reverse, side by side, until the node stops. What came before this was called has
    /// waited in the channel.
    pub(crate) async fn run(self: Arc<Self>, mut requests: ReverseRequests<()>, running: Running) {
        loop {
            // Cancellation-safe: a request that was not taken stays unanswered, and is sent again.
            let request = tokio::select! {
                request = requests.recv() => request,
                () = running.stopping() => None,
            };
            let Some(request) = request else { return };
            let this = Arc::clone(&self);
            running.spawn(async move {
                let reply = this.answer(&request.request, &request.origin).await;
                request.answer(reply);
            });
        }
    }

    async fn answer(&self, request: &Request, origin: &Origin) -> Vec<u8> {
        let node = &self.node;
        let mut out = Vec::new();
        match Notice::decode(request, node.vendor, node.now()) {
            Ok(notices) => {
                // No sign of life: over UDP anybody can play a notice again for 300 seconds. Answers to what this node asked are.
                let count = notices.len();
                match self.act(notices).await {
                    Ok(()) => notice::acknowledge(request, &mut out),
                    Err(error) => {
                        tracing::error!(%error, notices = count, "what the Resource Server says cannot be acted on");
                        notice::refuse(request, ErrorCause::ResourcesUnavailable, &mut out);
                    }
                }
            }
            Err(error) => {
                tracing::warn!(%error, peer = %origin.address, "a notice cannot be read");
                notice::refuse(request, error.cause(), &mut out);
            }
        }
        out
    }
}

impl fmt::Debug for NoticesIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NoticesIn")
    }
}

impl Handler for NoticesIn {
    async fn handle(&self, request: Request, origin: Origin) -> Option<Vec<u8>> {
        Some(self.answer(&request, &origin).await)
    }
}

/// Why a notice was not acted on; the Resource Server will repeat it.
#[derive(Debug, thiserror::Error)]
enum ActError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the Resource Server cannot be asked for the rights")]
    Unreachable,
}

impl NoticesIn {
    async fn act(&self, notices: Vec<Notice>) -> Result<(), ActError> {
        let node = &self.node;
        let (mut ended, mut changed) = (Vec::new(), Vec::new());
        for notice in notices {
            match notice {
                Notice::DeviceEnded { device, epoch } => ended.push((device, epoch)),
                Notice::RightsChanged { device, .. } => changed.push(device),
                Notice::ApplicationChanged { app } => node.applications.forget(&app),
            }
        }
        if !ended.is_empty() {
            let devices = Devices::of(ended.iter().map(|(device, _)| device));
            let tokens = node.store.end_devices(ended, node.now()).await?;
            tracing::info!(%devices, tokens, "tokens ended by the Resource Server");
        }
        if !changed.is_empty() && !self.rights_changed(changed).await? {
            return Ok(());
        }
        Ok(node.feed.settle().await?)
    }

    /// From now on every fetch for the devices asks the Resource Server; applications that lost their right are told at once.
    /// False if no token is concerned.
    async fn rights_changed(&self, devices: Vec<GlobalIdentity>) -> Result<bool, ActError> {
        let node = &self.node;
        let now = node.now();
        let holding = node.store.apps_of_devices(devices, now).await?;
        if holding.is_empty() {
            return Ok(false);
        }
        let devices = Devices::of(holding.iter().map(|(device, _)| device));
        // A device by itself is not kept waiting by a fleet.
        let place = if holding.len() > 1 { Some(Arc::clone(&self.lookups)) } else { None };
        let mut looking = JoinSet::new();
        for (device, holders) in holding {
            let (node, place) = (node.clone(), place.clone());
            looking.spawn(async move {
                let _place = match &place {
                    Some(places) => places.acquire().await.ok(),
                    None => None,
                };
                let lost = lost(&node, &device, holders).await?;
                Ok::<_, ActError>((device, lost))
            });
        }
        let mut changed = Vec::with_capacity(looking.len());
        while let Some(looked) = looking.join_next().await {
            changed.push(looked.unwrap_or(Err(ActError::Unreachable))?);
        }
        let lost: usize = changed.iter().map(|(_, lost)| lost.len()).sum();
        tracing::info!(%devices, lost, "rights changed by the Resource Server");
        let ask_again = Arc::new(RightsSet::new(Vec::new(), true));
        node.store.set_rights(changed, ask_again, now).await?;
        Ok(true)
    }
}

/// Those of `holders` that have no right for the device any more.
async fn lost(node: &Node, device: &GlobalIdentity, holders: Vec<AppId>) -> Result<Vec<AppId>, ActError> {
    let mut permitted = BTreeSet::<AppId>::new();
    let mut more = false;
    match node.resource_server.rights(device.value().as_bytes(), Wanted::First).await {
        Ok(answer) => {
            more = answer.rights.more;
            permitted.extend(answer.rights.list.into_iter().map(|right| right.app));
        }
        Err(RprError::Refused(_)) => {}
        Err(RprError::Unreachable) => return Err(ActError::Unreachable),
    }
    if more && holders.len() <= MOST_LOOKED_AT {
        for app in &holders {
            if permitted.contains(app) {
                continue;
            }
            match node.resource_server.right(device, app).await {
                Ok(answer) => permitted.extend(answer.rights.list.into_iter().map(|right| right.app)),
                Err(RprError::Refused(_)) => {}
                Err(RprError::Unreachable) => return Err(ActError::Unreachable),
            }
        }
    }
    Ok(holders.into_iter().filter(|app| !permitted.contains(app)).collect())
}

/// Devices in a line of the log: the first, and how many more.
struct Devices {
    first: Option<GlobalIdentity>,
    others: usize,
}

impl Devices {
    fn of<'a>(mut devices: impl ExactSizeIterator<Item = &'a GlobalIdentity>) -> Self {
        let first = devices.next().cloned();
        Self { first, others: devices.len() }
    }
}

impl fmt::Display for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(first) = &self.first {
            write!(f, "{first}")?;
        }
        if self.others > 0 { write!(f, " and {} more", self.others) } else { Ok(()) }
    }
}
