//! Whose turn it is to write, among the processes of one host that share a database file.
//!
//! SQLite lets waiting writers poll; a busy writer that takes its lock again at once would starve them. So a
//! writer holds the turn (an advisory lock on a file beside the database, released by the kernel if the process
//! dies) while it waits for SQLite's write lock, and gives the turn up when it has that lock: whoever finished a
//! transaction finds the turn taken by the one that waited, and stands in line.

use crate::{LOCK_WAIT, error::StoreError};
use std::{
    fs::{File, OpenOptions, TryLockError},
    path::Path,
    time::Duration,
};

const POLL: Duration = Duration::from_micros(200);

/// Waits a moment and says whether waiting any longer is worth it; SQLite's busy handler too.
pub fn wait_again(times: i32) -> bool {
    std::thread::sleep(POLL);
    u128::try_from(times).is_ok_and(|times| times * POLL.as_micros() < LOCK_WAIT.as_micros())
}

#[derive(Debug)]
pub struct Turn {
    file: File,
}

impl Turn {
    /// The turn of the database at that path: file `<path>-turn`.
    pub fn beside(database: &Path) -> Result<Self, StoreError> {
        let mut path = database.as_os_str().to_owned();
        path.push("-turn");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        Ok(Self { file: file.map_err(|error| StoreError::ReadOnly(error.to_string()))? })
    }

    /// Runs `begin` while it is our turn.
    pub fn take<T>(&self, begin: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut times = 0;
        loop {
            match self.file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(StoreError::Io(error.to_string())),
                Err(TryLockError::WouldBlock) if wait_again(times) => times += 1,
                Err(TryLockError::WouldBlock) => return Err(StoreError::Locked),
            }
        }
        let begun = begin();
        self.file.unlock().map_err(|error| StoreError::Io(error.to_string()))?;
        begun
    }
}
