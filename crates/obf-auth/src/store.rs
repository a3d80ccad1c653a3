//! The store that the nodes of a deployment share, opened as the configuration says.

use crate::{
    config::{self, Config},
    error::StartError,
};
use obf_files::secret_line;
use obf_store::{Location, OpenError, Options, PostgresOptions, StoreError, auth::AuthStore};
use obf_types::SecretBytes;

/// Connections that read a SQLite file beside its writer.
const READERS: usize = 2;
/// Connections to a PostgreSQL server: so many bootstraps may share one of its fsyncs.
const CONNECTIONS: usize = 16;

/// Opens it, whichever engine it is.
pub(crate) async fn open(config: &Config) -> Result<AuthStore, StartError> {
    let failed = |error: &OpenError| {
        StartError::from(config::wrong("database", format_args!("{}: {error}", config.database)))
    };
    match &config.database {
        Location::File(path) => {
            AuthStore::open(&Options::new(path).readers(READERS)).map_err(|error| failed(&error))
        }
        Location::Server(connection) => {
            let password = config.database_password_file.as_deref().map(secret_line).transpose();
            let password = password.map_err(|error| config::wrong("database_password_file", error))?;
            let options = PostgresOptions::new(connection, password.as_ref().map(SecretBytes::expose))
                .map_err(|error| config::wrong("database", error))?
                .connections(CONNECTIONS);
            let connecting = tokio::task::spawn_blocking(move || AuthStore::connect(&options));
            let connected = connecting.await.unwrap_or(Err(StoreError::Closed.into()));
            connected.map_err(|error| failed(&error))
        }
    }
}
