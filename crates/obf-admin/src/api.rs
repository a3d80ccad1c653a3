//! Which server has which operations.

use crate::{NoRoute, Operation, Route, resource, routing};

/// The admin API of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// Of a Resource Server.
    Resource,
}

impl Api {
    /// Every one.
    pub const ALL: [Self; 1] = [Self::Resource];

    /// Its word on the command line and in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resource => "resource",
        }
    }

    /// The file of its document in `docs/`.
    pub const fn file(self) -> &'static str {
        match self {
            Self::Resource => "openapi.json",
        }
    }

    /// Its operations.
    pub fn operations(self) -> impl Iterator<Item = &'static Operation> {
        let resources = match self {
            Self::Resource => resource::RESOURCE_SERVER,
        };
        resources.iter().copied().flatten()
    }

    /// Finds the operation that a request is for. A `HEAD` is found as its `GET`.
    ///
    /// # Errors
    /// [`NoRoute`].
    pub fn route(self, method: &str, path: &str) -> Result<Route, NoRoute> {
        routing::find(self.operations(), method, path)
    }
}
