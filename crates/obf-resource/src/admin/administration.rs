//! What the handlers work with.

use crate::registry::Registry;
use obf_net::{Clock, Running};
use obf_types::{MncLength, UnixTime};
use std::{collections::BTreeMap, sync::Arc};

/// The registry, in the name of whoever asks, and what of the node an answer needs. Clones share it.
#[derive(Clone)]
pub struct Administration {
    /// The one way to everything that is kept. Whoever asks stands in the audit.
    pub registry: Registry,
    /// How many digits an MNC has where a record does not say.
    pub mnc_length: MncLength,
    /// What it says of the node in the discovery document.
    pub discovery: Arc<DiscoverySettings>,
    /// Exports and imports run in its group.
    pub running: Running,
    /// The node's clock.
    pub clock: Arc<dyn Clock>,
    /// Application providers that may wait for approval at once.
    pub most_registrations: u64,
}

/// What the configuration decides of the discovery document.
#[derive(Clone, Debug, Default)]
pub struct DiscoverySettings {
    /// Where it listens, by reference point.
    pub addresses: BTreeMap<String, String>,
    /// The domains of its Authentication Servers.
    pub authentication_servers: Vec<String>,
}

impl Administration {
    /// Now.
    pub fn now(&self) -> UnixTime {
        self.clock.now()
    }

    /// The same in the name of that administrator, for that reason: both stand in the audit.
    #[must_use]
    pub fn acting(&self, actor: &str, reason: &str) -> Self {
        Self { registry: self.registry.acting(actor, reason), ..self.clone() }
    }
}
