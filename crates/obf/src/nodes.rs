//! The nodes of a configuration, running in this process: what `obf serve` and `obf demo` both do.

use crate::{
    admin::Node,
    configuration::Configuration,
    endpoints::{Endpoints, Published},
    failure::{Exit, Failure},
};
use obf_net::Clock;
use std::sync::Arc;

/// Running nodes. Dropping them ends them without draining.
pub struct Nodes {
    // The Authentication Server asks the Resource Server, so it starts after it and ends before it.
    auth: Option<obf_auth::Handle>,
    resource: Option<obf_resource::Handle>,
    endpoints: Vec<Endpoints>,
    published: Vec<Published>,
}

impl Nodes {
    /// Starts the named nodes; when this returns, they accept, and their endpoints can be found beside the
    /// configuration.
    ///
    /// # Errors
    /// A section is missing, or a node does not start.
    pub async fn start(
        configuration: &Configuration,
        nodes: &[Node],
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Failure> {
        let mut started = Self { auth: None, resource: None, endpoints: Vec::new(), published: Vec::new() };
        // All of it is checked before anything starts.
        if nodes.contains(&Node::Resource) {
            configuration.resource()?.validate().map_err(|error| misconfigured(&error))?;
        }
        if nodes.contains(&Node::Auth) {
            configuration.auth()?.validate().map_err(|error| misconfigured(&error))?;
        }
        if nodes.contains(&Node::Resource) {
            let environment = obf_resource::Environment { clock: Arc::clone(&clock) };
            let handle = obf_resource::start(configuration.resource()?, environment).await.map_err(
                |error| match error {
                    obf_resource::StartError::Config(error) => misconfigured(&error),
                    error => not_started(Node::Resource, &error),
                },
            )?;
            started.publish(configuration, Node::Resource, handle.endpoints())?;
            started.resource = Some(handle);
        }
        if nodes.contains(&Node::Auth) {
            let environment = obf_auth::Environment { clock };
            let handle =
                obf_auth::start(configuration.auth()?, environment).await.map_err(|error| match error {
                    obf_auth::StartError::Config(error) => misconfigured(&error),
                    error => not_started(Node::Auth, &error),
                })?;
            started.publish(configuration, Node::Auth, handle.endpoints())?;
            started.auth = Some(handle);
        }
        Ok(started)
    }

    /// Every listener of every node.
    pub fn endpoints(&self) -> &[Endpoints] {
        &self.endpoints
    }

    /// Drains and ends them.
    pub async fn shutdown(self) {
        drop(self.published);
        if let Some(auth) = self.auth {
            auth.shutdown().await;
        }
        if let Some(resource) = self.resource {
            resource.shutdown().await;
        }
    }

    fn publish(
        &mut self,
        configuration: &Configuration,
        node: Node,
        listeners: impl IntoIterator<Item = (&'static str, std::net::SocketAddr, bool)>,
    ) -> Result<(), Failure> {
        let listeners = listeners.into_iter().map(|(point, address, tls)| (point.to_owned(), address, tls));
        let endpoints = Endpoints::new(node.name(), listeners);
        self.published.push(endpoints.publish(configuration.directory(), node.name())?);
        self.endpoints.push(endpoints);
        Ok(())
    }
}

fn misconfigured(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Usage, "configuration", error)
}

fn not_started(node: Node, error: &dyn std::fmt::Display) -> Failure {
    Failure::other("not-started", format_args!("{} does not start: {error}", node.name()))
}
