//! Why a node does not start.

use crate::{config::ConfigError, sealing::SealingError};
use obf_store::StoreError;
use std::{io, net::SocketAddr};

/// Why a node did not start. Nothing of it runs then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration, or a file that it names.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An address cannot be listened on.
    #[error("auth.{point}.listen: {address}: {error}")]
    Listen {
        /// Which listener.
        point: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// The store.
    #[error("auth.database: {0}")]
    Store(#[from] StoreError),
    /// The sealing keys in it.
    #[error("auth.database: {0}")]
    Sealing(#[from] SealingError),
}
