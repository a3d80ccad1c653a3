//! The engines that every test of the battery runs on.

use obf_store::{Options, PostgresOptions, auth::AuthStore};
use obf_testkit::PostgresCluster;
use std::path::Path;
use tokio::task::spawn_blocking;

/// Runs a test once on each engine, each time with two nodes on an empty database.
macro_rules! on_each_engine {
    ($($(#[$meta:meta])* async fn $name:ident($stores:pat = nodes) $body:block)*) => {
        $($(#[$meta])* mod $name {
            use super::*;

            async fn test($stores: [AuthStore; 2]) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                let directory = tempfile::tempdir().unwrap();
                test(crate::engines::sqlite(directory.path())).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgresql() {
                test(crate::engines::postgresql().await.0).await;
            }
        })*
    };
}
pub(crate) use on_each_engine;

pub fn sqlite(directory: &Path) -> [AuthStore; 2] {
    [(); 2].map(|()| AuthStore::open(&Options::new(directory.join("auth.db"))).unwrap())
}

/// And the connection string of their database.
pub async fn postgresql() -> ([AuthStore; 2], String) {
    let connecting = spawn_blocking(|| {
        let database = PostgresCluster::shared().database();
        let options = PostgresOptions::new(&database, None).unwrap().connections(6);
        ([(); 2].map(|()| AuthStore::connect(&options).unwrap()), database)
    });
    connecting.await.unwrap()
}
