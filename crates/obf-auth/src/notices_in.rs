//! What the Resource Server tells unasked on RPR: a device's tokens are over, its rights or an application changed
//! (RFC 5176). Acknowledged when it is done durably, and in this node's memory too.

use crate::{node::Node, resource_server::RprError, tokens::RightsSet};
use obf_net::radius::{Handler, LinkEvents, Origin};
use obf_radius::{Request, dictionary::ErrorCause, notice};
use obf_rpr::{Notice, Wanted};
use obf_store::StoreError;
use obf_types::{AppId, GlobalIdentity};
use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, OnceLock, Weak},
};
use tokio::task::JoinSet;

/// Applications whose rights are looked at one by one after a device's rights changed; beyond it all are told.
const MOST_LOOKED_AT: usize = 256;

/// Devices of a fleet whose rights are asked for at once; bootstraps ask on the same link.
pub(crate) const LOOKUPS: usize = 64;

/// Takes notices in, over UDP or in reverse on our own connection. The node comes to be after its link.
#[derive(Default)]
pub(crate) struct NoticeReceiver {
    node: OnceLock<Weak<Node>>,
}

impl NoticeReceiver {
    /// From now on notices are acted on.
    pub(crate) fn begin(&self, node: &Arc<Node>) {
        // It begins once.
        let _ = self.node.set(Arc::downgrade(node));
    }
}

impl fmt::Debug for NoticeReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NoticeReceiver")
    }
}

impl LinkEvents for NoticeReceiver {}

impl Handler for NoticeReceiver {
    async fn handle(&self, request: Request, origin: Origin) -> Option<Vec<u8>> {
        // Before the node is there, silence: the notice will be repeated.
        let node = self.node.get().and_then(Weak::upgrade)?;
        let mut out = Vec::new();
        match Notice::decode(&request, node.vendor, node.now()) {
            Ok(told) => {
                // No sign of life: over UDP anybody can play a notice again for 300 seconds. Answers to what this node asked are.
                let count = told.len();
                match act(&node, told).await {
                    Ok(()) => notice::acknowledge(&request, &mut out),
                    Err(error) => {
                        tracing::error!(%error, notices = count, "what the Resource Server says cannot be acted on");
                        notice::refuse(&request, ErrorCause::ResourcesUnavailable, &mut out);
                    }
                }
            }
            Err(error) => {
                tracing::warn!(%error, peer = %origin.address, "a notice cannot be read");
                notice::refuse(&request, error.cause(), &mut out);
            }
        }
        Some(out)
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

async fn act(node: &Arc<Node>, told: Vec<Notice>) -> Result<(), ActError> {
    let (mut ended, mut changed) = (Vec::new(), Vec::new());
    for notice in told {
        match notice {
            Notice::DeviceEnded { device, epoch } => ended.push((device, epoch)),
            Notice::RightsChanged { device, .. } => changed.push(device),
            Notice::ApplicationChanged { app } => node.registrations.forget(&app),
        }
    }
    if !ended.is_empty() {
        let devices = Devices::of(ended.iter().map(|(device, _)| device));
        let tokens = node.store.end_devices(ended, node.now()).await?;
        tracing::info!(%devices, tokens, "tokens ended by the Resource Server");
    }
    if !changed.is_empty() && !rights_changed(node, changed).await? {
        return Ok(());
    }
    Ok(node.following.settle(&node.store).await?)
}

/// From now on every fetch for the devices asks the Resource Server; applications that lost their right are told at once.
/// False if no token is concerned.
async fn rights_changed(node: &Arc<Node>, devices: Vec<GlobalIdentity>) -> Result<bool, ActError> {
    let now = node.now();
    let holding = node.store.apps_of_devices(devices, now).await?;
    if holding.is_empty() {
        return Ok(false);
    }
    let devices = Devices::of(holding.iter().map(|(device, _)| device));
    // A device by itself is not kept waiting by a fleet.
    let place = if holding.len() > 1 { Some(node.notice_lookups.clone()) } else { None };
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
