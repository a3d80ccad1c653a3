//! Which server has which operations.

use crate::{NoRoute, Operation, Route, resource, routing};

/// The admin API of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// Of a Resource Server.
    Resource,
    /// Of an Authentication Server.
    Auth,
}

impl Api {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Resource, Self::Auth];

    /// Its word on the command line and in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resource => "resource",
            Self::Auth => "auth",
        }
    }

    /// The file of its document in `docs/`.
    pub const fn file(self) -> &'static str {
        match self {
            Self::Resource => "openapi.json",
            Self::Auth => "openapi-auth.json",
        }
    }

    /// Its operations.
    pub fn operations(self) -> impl Iterator<Item = &'static Operation> {
        let resources = match self {
            Self::Resource => resource::RESOURCE_SERVER,
            Self::Auth => resource::AUTHENTICATION_SERVER,
        };
        resources.iter().copied().flatten()
    }

    /// Whether it has that operation.
    pub fn has(self, operation: &Operation) -> bool {
        self.operations().any(|known| known.id == operation.id)
    }

    /// Finds the operation that a request is for. A `HEAD` is found as its `GET`.
    ///
    /// # Errors
    /// [`NoRoute`].
    pub fn route(self, method: &str, path: &str) -> Result<Route, NoRoute> {
        routing::find(self.operations(), method, path)
    }
}
