//! RPR, the Resource Server's end (SPEC P4, R18): who may ask, what is answered, what is told unasked.

mod answers;
mod auth_servers;
mod delivery;
mod notices;
mod route;

pub use auth_servers::{AuthServer, AuthServers};
pub use notices::Notices;

use crate::{authorisation::Policy, vectors::Vectors};
use answers::Answerer;
use obf_admin_http::Administrators;
use obf_net::{
    Clock,
    radius::{Connection, Handler, Origin},
};
use obf_radius::{Request, Vendor};
use obf_rpr::request::RprRequest;
use obf_store::resource::ResourceDb;
use obf_types::Refusal;
use std::sync::Arc;

/// Answers the requests of the registered Authentication Servers.
#[derive(Debug)]
pub struct RprServer {
    auth_servers: AuthServers,
    answerer: Answerer,
    notices: Notices,
    vendor: Vendor,
}

/// Which part of the IND space a node of the Resource Server has: with the asking node's number it makes IND, so that
/// nodes working side by side cause no false resynchronisations (TS 33.102 C.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndPartition {
    /// This node.
    pub node: u8,
    /// All nodes.
    pub nodes: u8,
}

impl IndPartition {
    /// IND for vectors that an Authentication Server's node asks for, 0 to 31.
    pub const fn ind(self, asking: obf_types::NodeNumber) -> u8 {
        ((asking.value() as u16 * self.nodes as u16 + self.node as u16) % 32) as u8
    }
}

impl RprServer {
    /// On that store and those sources of vectors.
    #[expect(clippy::too_many_arguments, reason = "each is another part of the node")]
    pub fn new(
        store: ResourceDb,
        vectors: Vectors,
        ind_partition: IndPartition,
        clock: Arc<dyn Clock>,
        auth_servers: AuthServers,
        notices: Notices,
        vendor: Vendor,
        policy: Policy,
        administrators: Administrators,
    ) -> Self {
        let answerer = Answerer { store, vectors, ind_partition, clock, vendor, policy, administrators };
        Self { auth_servers, answerer, notices, vendor }
    }

    async fn answer(&self, request: &Request, origin: &Origin, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let RprRequest::Operation(client, operation) = RprRequest::decode(request, self.vendor)? else {
            obf_rpr::answer::alive(request, out);
            return Ok(());
        };
        let server = self.auth_servers.registered(origin, &client).ok_or(Refusal::NodeNotRegistered)?;
        if let Some(connection) = &origin.connection {
            self.notices.connected(server, connection);
        }
        self.answerer.answer(request, &client, &server.name, operation, out).await
    }
}

impl Handler for RprServer {
    async fn handle(&self, request: Request, origin: Origin) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        if let Err(refusal) = self.answer(&request, &origin, &mut out).await {
            tracing::debug!(address = %origin.address, %refusal, "RPR request refused");
            obf_radius::refuse(&request, self.vendor, refusal, &mut out);
        }
        Some(out)
    }

    fn accepts(&self, connection: &Connection) -> bool {
        let servers = self.auth_servers.of_certificate(connection.names());
        for server in &servers {
            self.notices.connected(server, connection);
        }
        !servers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use obf_types::NodeNumber;

    #[test]
    fn nodes_side_by_side_use_different_ind() {
        let ind = |asking, node| IndPartition { node, nodes: 2 }.ind(NodeNumber::new(asking).unwrap());
        let mut all: Vec<u8> = (0..16).flat_map(|asking| [ind(asking, 0), ind(asking, 1)]).collect();
        all.sort_unstable();
        assert_eq!(all, (0..32).collect::<Vec<_>>());
        assert_eq!(IndPartition { node: 31, nodes: 32 }.ind(NodeNumber::new(31).unwrap()), 31);
    }
}
