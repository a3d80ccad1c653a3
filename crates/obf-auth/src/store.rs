//! The store that the nodes of a deployment share, opened as the configuration says.

use crate::{
    config::{Config, ConfigError},
    error::StartError,
};
use obf_store::{Location, OpenError, Options, PostgresOptions, StoreError, auth::AuthStore};
use std::path::Path;
use zeroize::Zeroizing;

/// Connections that read a SQLite file beside its writer.
const READERS: usize = 2;
/// Connections to a PostgreSQL server: so many bootstraps may share one of its fsyncs.
const CONNECTIONS: usize = 16;

/// Opens it, whichever engine it is.
pub(crate) async fn open(config: &Config) -> Result<AuthStore, StartError> {
    let failed = |error: &OpenError| {
        StartError::from(ConfigError::new("database", format_args!("{}: {error}", config.database)))
    };
    match &config.database {
        Location::File(path) => {
            AuthStore::open(&Options::new(path).readers(READERS)).map_err(|error| failed(&error))
        }
        Location::Server(connection) => {
            let password = config.database_password_file.as_deref().map(read_password).transpose()?;
            let options = PostgresOptions::new(connection, password.as_ref().map(|octets| octets.as_slice()))
                .map_err(|error| ConfigError::new("database", error))?
                .connections(CONNECTIONS);
            let connecting = tokio::task::spawn_blocking(move || AuthStore::connect(&options));
            let connected = connecting.await.unwrap_or(Err(StoreError::Closed.into()));
            connected.map_err(|error| failed(&error))
        }
    }
}

/// A password is what stands in the file, without line ends behind it.
fn read_password(path: &Path) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
    let mut octets = std::fs::read(path).map(Zeroizing::new).map_err(|error| {
        ConfigError::new("database_password_file", format_args!("{}: {error}", path.display()))
    })?;
    while octets.last().is_some_and(|octet| matches!(octet, b'\n' | b'\r')) {
        octets.pop();
    }
    Ok(octets)
}
