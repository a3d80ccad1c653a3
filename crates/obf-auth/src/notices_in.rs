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

/// Applications whose rights are looked at one by one after a device's rights changed; beyond it all are told.
const MOST_LOOKED_AT: usize = 256;

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
                match act(&node, &told).await {
                    Ok(()) => notice::acknowledge(&request, &mut out),
                    Err(error) => {
                        tracing::error!(%error, ?told, "a notice of the Resource Server cannot be acted on");
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

async fn act(node: &Node, told: &Notice) -> Result<(), ActError> {
    match told {
        Notice::DeviceEnded { device, epoch } => {
            let ended = node.store.end_device(device.clone(), *epoch, node.now()).await?;
            tracing::info!(?device, epoch = epoch.0, ended, "tokens ended by the Resource Server");
        }
        Notice::RightsChanged { device, .. } => rights_changed(node, device).await?,
        Notice::ApplicationChanged { app } => {
            node.registrations.forget(app);
            return Ok(());
        }
    }
    Ok(node.following.settle(&node.store).await?)
}

/// From now on every fetch for the device asks the Resource Server; applications that lost their right are told at once.
async fn rights_changed(node: &Node, device: &GlobalIdentity) -> Result<(), ActError> {
    let now = node.now();
    let holders = node.store.apps_of_device(device.clone(), now).await?;
    if holders.is_empty() {
        return Ok(());
    }
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
    let lost: Vec<AppId> = holders.into_iter().filter(|app| !permitted.contains(app)).collect();
    tracing::info!(?device, ?lost, "rights changed by the Resource Server");
    let ask_again = Arc::new(RightsSet::new(Vec::new(), true));
    Ok(node.store.set_rights(device.clone(), ask_again, lost, now).await?)
}
