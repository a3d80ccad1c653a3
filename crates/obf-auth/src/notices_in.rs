//! What the Resource Server tells unasked on RPR: a device's tokens are over, its rights or an application changed
//! (RFC 5176). Acknowledged when it is done durably, and in this node's memory too.

use crate::{
    locator::{Locator, Served, Table},
    resource_server::RprError,
    table::RightsSet,
    tokens::Tokens,
};
use obf_net::{
    Clock, Running,
    radius::{Handler, Origin, ReverseRequests},
};
use obf_radius::{Request, Vendor, dictionary::ErrorCause, notice};
use obf_rpr::{Notice, RightsSelector};
use obf_store::StoreError;
use obf_types::{AppId, GlobalIdentity};
use std::{collections::BTreeSet, fmt, sync::Arc};
use tokio::task::JoinSet;

/// Applications whose rights are looked at one by one after a device's rights changed; beyond it all are told.
const MOST_LOOKED_AT: usize = 256;

/// Takes notices in: over UDP as a [`Handler`], or in reverse on our own connections with [`NoticesIn::run`].
#[derive(Debug)]
pub(crate) struct NoticesIn {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) vendor: Vendor,
    pub(crate) locator: Arc<Locator>,
    pub(crate) tokens: Arc<Tokens>,
}

impl NoticesIn {
    /// Acts on what comes in reverse, side by side, until the node stops. What came before this was called has waited in
    /// the channel.
    pub(crate) async fn run(self: Arc<Self>, mut requests: ReverseRequests<Arc<str>>, running: Running) {
        loop {
            // Cancellation-safe: a request that was not taken stays unanswered, and is sent again.
            let request = tokio::select! {
                request = requests.recv() => request,
                () = running.stopping() => None,
            };
            let Some(request) = request else { return };
            let this = Arc::clone(&self);
            running.spawn(async move {
                if let Some(reply) = this.answer(&request.request, &request.origin, &request.from).await {
                    request.answer(reply);
                }
            });
        }
    }

    /// The answer to a request of the server of that name; `None` if it is none of ours any more.
    async fn answer(&self, request: &Request, origin: &Origin, server: &str) -> Option<Vec<u8>> {
        let table = self.locator.table();
        let served = table.named(server)?;
        let mut out = Vec::new();
        match Notice::decode(request, self.vendor, self.clock.now()) {
            Ok(notices) => {
                // No sign of life: over UDP anybody can play a notice again for 300 seconds. Answers to what this node asked are.
                let count = notices.len();
                match self.act(&table, served, notices).await {
                    Ok(()) => notice::acknowledge(request, &mut out),
                    Err(error) => {
                        tracing::error!(server, %error, notices = count, "what the Resource Server says cannot be acted on");
                        notice::refuse(request, ErrorCause::ResourcesUnavailable, &mut out);
                    }
                }
            }
            Err(error) => {
                tracing::warn!(server, %error, peer = %origin.address, "a notice cannot be read");
                notice::refuse(request, error.cause(), &mut out);
            }
        }
        Some(out)
    }
}

impl Handler for NoticesIn {
    async fn handle(&self, request: Request, origin: Origin) -> Option<Vec<u8>> {
        self.answer(&request, &origin, origin.names.first()?).await
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
    async fn act(&self, table: &Table, served: &Arc<Served>, notices: Vec<Notice>) -> Result<(), ActError> {
        let (mut ended, mut changed, mut not_own) = (Vec::new(), Vec::new(), Vec::new());
        for notice in notices {
            match notice {
                Notice::ApplicationChanged { app } => served.applications.forget(&app),
                Notice::DeviceEnded { device, .. } | Notice::RightsChanged { device, .. }
                    if !table.is_of(&device, served) =>
                {
                    not_own.push(device);
                }
                Notice::DeviceEnded { device, epoch } => ended.push((device, epoch)),
                Notice::RightsChanged { device, .. } => changed.push(device),
            }
        }
        let now = self.clock.now();
        let mut settle = false;
        if !ended.is_empty() {
            let devices = Devices::of(ended.iter().map(|(device, _)| device));
            let tokens = self.tokens.end_devices(ended, now).await?;
            tracing::info!(server = served.server.name(), %devices, tokens, "tokens ended by the Resource Server");
            settle = true;
        }
        settle |= !changed.is_empty() && self.rights_changed(served, changed).await?;
        settle |= !not_own.is_empty() && self.end_left_behind(served, not_own).await?;
        if settle { Ok(self.tokens.settle().await?) } else { Ok(()) }
    }

    /// Devices that this server no longer has, or never had: it can end only the tokens that were bootstrapped while they
    /// were its own. Returns whether there were any.
    async fn end_left_behind(&self, served: &Served, devices: Vec<GlobalIdentity>) -> Result<bool, ActError> {
        let (of, mut tokens) = (Devices::of(devices.iter()), 0);
        for device in devices {
            let domain = served.server.token_domain();
            tokens += self.tokens.end_of_domain(&device, domain, self.clock.now()).await?;
        }
        tracing::warn!(
            server = served.server.name(), devices = %of, tokens,
            "a Resource Server speaks of devices that are not its own: only its tokens of them ended"
        );
        Ok(tokens > 0)
    }

    /// From now on every fetch for the devices asks the Resource Server; applications that lost their right are told at once.
    /// False if no token is concerned.
    async fn rights_changed(
        &self,
        served: &Arc<Served>,
        devices: Vec<GlobalIdentity>,
    ) -> Result<bool, ActError> {
        let now = self.clock.now();
        let holding = self.tokens.holders(devices, now).await?;
        if holding.is_empty() {
            return Ok(false);
        }
        let devices = Devices::of(holding.iter().map(|(device, _)| device));
        // A device by itself is not kept waiting by a fleet.
        let places = (holding.len() > 1).then(|| Arc::clone(&served.lookups));
        // Dropped before its end, all that was asked is given up: the notice is not acknowledged, and comes again.
        let mut looking = JoinSet::new();
        for (device, holders) in holding {
            let (served, places) = (Arc::clone(served), places.clone());
            looking.spawn(async move {
                let _place = match &places {
                    Some(places) => places.acquire().await.ok(),
                    None => None,
                };
                let lost = lost(&served, &device, holders).await?;
                Ok::<_, ActError>((device, lost))
            });
        }
        let mut changed = Vec::with_capacity(looking.len());
        while let Some(looked) = looking.join_next().await {
            changed.push(looked.unwrap_or(Err(ActError::Unreachable))?);
        }
        let lost: usize = changed.iter().map(|(_, lost)| lost.len()).sum();
        tracing::info!(server = served.server.name(), %devices, lost, "rights changed by the Resource Server");
        self.tokens.set_rights(changed, RightsSet::new(Vec::new(), true), now).await?;
        Ok(true)
    }
}

/// Those of `holders` that have no right for the device any more.
async fn lost(served: &Served, device: &GlobalIdentity, holders: Vec<AppId>) -> Result<Vec<AppId>, ActError> {
    let mut permitted = BTreeSet::<AppId>::new();
    let mut more = false;
    match served.server.rights(device.value().as_bytes(), RightsSelector::First).await {
        Ok(answer) => {
            more = answer.rights.more;
            permitted.extend(answer.rights.list.into_iter().map(|right| right.app));
        }
        Err(RprError::Refused(_)) => {}
        Err(RprError::Unreachable | RprError::Unreadable) => return Err(ActError::Unreachable),
    }
    if more && holders.len() <= MOST_LOOKED_AT {
        for app in &holders {
            if permitted.contains(app) {
                continue;
            }
            match served.server.right(device, app).await {
                Ok(answer) => permitted.extend(answer.rights.list.into_iter().map(|right| right.app)),
                Err(RprError::Refused(_)) => {}
                Err(RprError::Unreachable | RprError::Unreadable) => return Err(ActError::Unreachable),
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
