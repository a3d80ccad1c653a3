//! The engine that the battery runs on here: SQLite. `tests/peers` runs the same battery on PostgreSQL.

use obf_store::{Options, auth::AuthStore, resource::ResourceDb, rusqlite::Connection};
use std::path::{Path, PathBuf};

/// An empty database in that directory, which has no other.
pub async fn open(directory: &Path) -> ResourceDb {
    ResourceDb::open(&Options::new(directory.join("rs.db"))).unwrap()
}

/// The same on every engine that is at hand.
pub async fn open_all(directory: &Path) -> Vec<ResourceDb> {
    vec![open(directory).await]
}

/// Two nodes on an empty database.
pub async fn open_nodes(directory: &Path) -> [AuthStore; 2] {
    open_nodes_with_back_door(directory).await.0
}

/// The same, and a way into it past the store.
pub async fn open_nodes_with_back_door(directory: &Path) -> ([AuthStore; 2], BackDoor) {
    let path = directory.join("auth.db");
    ([(); 2].map(|()| AuthStore::open(&Options::new(&path)).unwrap()), BackDoor(path))
}

/// A way into the same database past the store.
pub struct BackDoor(PathBuf);

/// An empty database, and a way into it past the store.
pub async fn open_with_back_door(directory: &Path) -> (ResourceDb, BackDoor) {
    (open(directory).await, BackDoor(directory.join("rs.db")))
}

/// Two nodes, one after the other, on a database that version 1 of the schema wrote.
pub async fn open_version_1(directory: &Path) -> [ResourceDb; 2] {
    let path = directory.join("rs.db");
    let former = Connection::open(&path).unwrap();
    former.execute_batch(include_str!("battery/version_1/sqlite.sql")).unwrap();
    let nodes = [(); 2].map(|()| ResourceDb::open(&Options::new(&path)).unwrap());
    assert!(!former.prepare("PRAGMA foreign_key_check").unwrap().exists(()).unwrap());
    assert_eq!(former.pragma_query_value(None, "integrity_check", |row| row.get(0)), Ok("ok".to_owned()));
    nodes
}

impl BackDoor {
    /// Runs SQL.
    pub async fn execute(&self, sql: &'static str) {
        Connection::open(&self.0).unwrap().execute(sql, ()).unwrap();
    }
}
