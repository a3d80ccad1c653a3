//! The engines that every test of the battery runs on.

use obf_store::{Options, PostgresOptions, resource::ResourceDb};
use obf_testkit::PostgresCluster;
use std::path::Path;

/// Runs a test once on each engine, each time on an empty database.
macro_rules! on_each_engine {
    ($($(#[$meta:meta])* async fn $name:ident($db:ident: ResourceDb) $body:block)*) => {
        $($(#[$meta])* mod $name {
            use super::*;

            async fn test($db: ResourceDb) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                let directory = tempfile::tempdir().unwrap();
                test(crate::engines::sqlite(directory.path())).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgresql() {
                test(crate::engines::postgresql().await).await;
            }
        })*
    };
}
pub(crate) use on_each_engine;

pub fn sqlite(directory: &Path) -> ResourceDb {
    ResourceDb::open(&Options::new(directory.join("rs.db"))).unwrap()
}

pub async fn postgresql() -> ResourceDb {
    let connecting = tokio::task::spawn_blocking(|| {
        let database = PostgresCluster::shared().database();
        ResourceDb::connect(&PostgresOptions::new(&database, None).unwrap().connections(3)).unwrap()
    });
    connecting.await.unwrap()
}
