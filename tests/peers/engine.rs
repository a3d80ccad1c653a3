//! The engine that the store's battery runs on here: PostgreSQL.

use obf_store::{Options, PostgresOptions, auth::AuthStore, resource::ResourceDb};
use obf_testkit::PostgresCluster;
use std::path::Path;
use tokio::task::spawn_blocking;

/// An empty database.
pub async fn open(directory: &Path) -> ResourceDb {
    open_with_back_door(directory).await.0
}

/// The same on every engine that is at hand, SQLite's in that directory.
pub async fn open_all(directory: &Path) -> Vec<ResourceDb> {
    let sqlite = ResourceDb::open(&Options::new(directory.join("rs.db"))).unwrap();
    vec![sqlite, open(directory).await]
}

/// Two nodes on an empty database.
pub async fn open_nodes(_directory: &Path) -> [AuthStore; 2] {
    nodes().await.0
}

/// The same, and a way into it past the store.
pub async fn open_nodes_with_back_door(_directory: &Path) -> ([AuthStore; 2], BackDoor) {
    let (nodes, database) = nodes().await;
    (nodes, BackDoor(database.rsplit_once('/').unwrap().1.to_owned()))
}

/// Two nodes on an empty database, and its connection string.
pub async fn nodes() -> ([AuthStore; 2], String) {
    let connecting = spawn_blocking(|| {
        let database = PostgresCluster::shared().database();
        let options = PostgresOptions::new(&database, None).unwrap().connections(6);
        ([(); 2].map(|()| AuthStore::connect(&options).unwrap()), database)
    });
    connecting.await.unwrap()
}

/// A way into the same database past the store.
pub struct BackDoor(String);

/// An empty database, and a way into it past the store.
pub async fn open_with_back_door(_directory: &Path) -> (ResourceDb, BackDoor) {
    let connecting = spawn_blocking(|| {
        let database = PostgresCluster::shared().database();
        let options = PostgresOptions::new(&database, None).unwrap().connections(3);
        let name = database.rsplit_once('/').unwrap().1.to_owned();
        (ResourceDb::connect(&options).unwrap(), BackDoor(name))
    });
    connecting.await.unwrap()
}

/// Two nodes, started at once, on a database that version 1 of the schema wrote.
pub async fn open_version_1(_directory: &Path) -> [ResourceDb; 2] {
    let connecting = spawn_blocking(|| {
        let database = PostgresCluster::shared().database();
        let name = database.rsplit_once('/').unwrap().1;
        let former = include_str!("../../crates/obf-store/tests/all/battery/version_1/postgresql.sql");
        PostgresCluster::shared().sql(name, former);
        let options = PostgresOptions::new(&database, None).unwrap().connections(2);
        let node = move |options: PostgresOptions| std::thread::spawn(move || ResourceDb::connect(&options));
        let nodes = [node(options.clone()), node(options)];
        nodes.map(|node| node.join().unwrap().unwrap())
    });
    connecting.await.unwrap()
}

impl BackDoor {
    /// Runs SQL.
    pub async fn execute(&self, sql: &'static str) {
        let name = self.0.clone();
        spawn_blocking(move || PostgresCluster::shared().sql(&name, sql)).await.unwrap();
    }
}
