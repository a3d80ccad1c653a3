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
    [(); 2].map(|()| AuthStore::open(&Options::new(directory.join("auth.db"))).unwrap())
}

/// A way into the same database past the store.
pub struct BackDoor(PathBuf);

/// An empty database, and a way into it past the store.
pub async fn open_with_back_door(directory: &Path) -> (ResourceDb, BackDoor) {
    (open(directory).await, BackDoor(directory.join("rs.db")))
}

impl BackDoor {
    /// Runs SQL.
    pub async fn execute(&self, sql: &'static str) {
        Connection::open(&self.0).unwrap().execute(sql, ()).unwrap();
    }
}
