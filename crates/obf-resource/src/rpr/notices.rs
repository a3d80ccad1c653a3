//! What the Authentication Servers are told unasked (RFC 5176): stored with the change itself, sent again until
//! acknowledged, over the server's own RADIUS/TLS connection in reverse or over UDP. [`super::delivery`] sends.

use super::{
    AuthServer, AuthServers, delivery,
    route::{Route, Shared},
};
use obf_net::{
    Clock, Running,
    radius::{Connection, RadiusUdpClient, UdpServerAddress},
};
use obf_radius::{Vendor, exchange::RetransmitPolicy};
use obf_store::resource::{Lane, ResourceDb};
use obf_types::UnixTime;
use std::{collections::HashMap, io, sync::Arc, time::Duration};

/// How often notices for servers that are no longer configured are looked for.
const PURGE: Duration = Duration::from_secs(3600);
/// Older than the longest life of a token, seconds: a notice that old can end nothing any more.
const KEPT_FOR_STRANGERS: u64 = 24 * 3600;

/// Delivers the outbox.
#[derive(Clone, Debug)]
pub struct Notices(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    routes: HashMap<String, Arc<Route>>,
}

impl Notices {
    /// Opens the UDP clients; nothing is sent before [`Notices::start`].
    ///
    /// # Errors
    /// The system's, where no socket can be had.
    pub async fn open(
        store: ResourceDb,
        clock: Arc<dyn Clock>,
        vendor: Vendor,
        servers: &AuthServers,
    ) -> io::Result<Self> {
        let mut routes = HashMap::new();
        for server in servers.iter() {
            let udp = match &server.das {
                Some((address, secret)) => {
                    let address = UdpServerAddress { address: *address, secret: secret.clone() };
                    let policy = RetransmitPolicy { ports: 1, ..RetransmitPolicy::default() };
                    Some(RadiusUdpClient::open(vec![address], policy).await?)
                }
                None => None,
            };
            routes.insert(server.name.to_string(), Arc::new(Route::new(udp)));
        }
        let shared = Arc::new(Shared { store, clock, vendor });
        Ok(Self(Arc::new(Inner { shared, routes })))
    }

    /// Delivers until the group of `running` is told to finish.
    pub fn start(&self, running: &Running) {
        for (name, route) in &self.0.routes {
            for lane in [Lane::Single, Lane::Bulk] {
                let (shared, name, route) = (self.0.shared.clone(), name.clone(), route.clone());
                let group = running.clone();
                running.spawn(async move {
                    // Dropped anywhere, a delivery loses nothing: a notice leaves the store only after its acknowledgement was
                    // read, and what was not stored as acknowledged is sent again by the next start.
                    tokio::select! {
                        () = delivery::deliver(&shared, &name, &route, lane) => {}
                        () = group.stopping() => {}
                    }
                });
            }
        }
        let (inner, group) = (self.0.clone(), running.clone());
        running.spawn(async move {
            tokio::select! {
                () = inner.hear_commits() => {}
                () = group.stopping() => {}
            }
        });
        let (inner, group) = (self.0.clone(), running.clone());
        running.spawn(async move {
            tokio::select! {
                () = inner.purge() => {}
                () = group.stopping() => {}
            }
        });
    }

    /// A connection of that server, which takes notices in reverse.
    pub fn connected(&self, server: &AuthServer, connection: &Connection) {
        let Some(route) = self.0.routes.get(&*server.name) else { return };
        route.add(connection);
    }
}

impl Inner {
    /// What this process committed is sent now rather than at the next look.
    async fn hear_commits(&self) {
        loop {
            self.shared.store.notices_committed().await;
            self.routes.values().for_each(|route| route.wake());
        }
    }

    /// Forgets what waits for servers that nobody knows any more, once nothing it says can matter to them.
    async fn purge(&self) {
        let mut hourly = tokio::time::interval(PURGE);
        loop {
            hourly.tick().await;
            let known = self.routes.keys().cloned().collect();
            let before = UnixTime(self.shared.clock.now().0.saturating_sub(KEPT_FOR_STRANGERS));
            match self.shared.store.purge_notices(known, before).await {
                Ok(purged) => {
                    for (server, notices) in purged {
                        tracing::warn!(
                            server,
                            notices,
                            "no longer in the configuration: notices for it that are older than a day are dropped"
                        );
                    }
                }
                Err(error) => tracing::error!(%error, "old notices cannot be dropped"),
            }
        }
    }
}
