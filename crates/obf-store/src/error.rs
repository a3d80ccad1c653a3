//! What can go wrong with the store, in the order of who has to act.

use rusqlite::{ErrorCode, ffi};

/// What a job of a database may fail with: the store's reasons, and its own.
pub trait Failure: From<StoreError> + Send + 'static {}

impl<E: From<StoreError> + Send + 'static> Failure for E {}

/// Why a read or a write did not happen. Of a failed write nothing was kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The statement broke a rule of the schema (unique, not null, foreign key): a mistake of the caller.
    #[error("storage rule broken: {0}")]
    Constraint(String),
    /// More writes are queued than the store takes on; try again later.
    #[error("storage is overloaded: too many writes are waiting; try again later")]
    Overloaded,
    /// Another process held the database longer than [`crate::LOCK_WAIT`].
    #[error("the database stayed locked by another process; look for one that hangs")]
    Locked,
    /// The disk is full.
    #[error("the disk is full; free some space, nothing was changed")]
    DiskFull,
    /// The file is damaged, or is no database.
    #[error("the database file is damaged ({0}); restore it from a backup")]
    Corrupt(String),
    /// The file or its directory cannot be written.
    #[error("the database cannot be written ({0}); check its owner and permissions")]
    ReadOnly(String),
    /// The operating system did not take a write.
    #[error(
        "the database cannot be written ({0}): look for a full disk, a quota or a limit on file sizes; nothing was changed"
    )]
    CannotWrite(String),
    /// The operating system failed to read or sync.
    #[error("input/output error on the database: {0}")]
    Io(String),
    /// The store was closed, or the job ended without a result.
    #[error("the store is closed")]
    Closed,
    /// Anything else SQLite says.
    #[error("database error: {0}")]
    Other(String),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let text = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => Self::Constraint(text),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked,
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt(text),
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                Self::ReadOnly(text)
            }
            Some(ErrorCode::SystemIoFailure) => match error.sqlite_error().map(|error| error.extended_code) {
                Some(ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_SHMSIZE) => Self::CannotWrite(text),
                _ => Self::Io(text),
            },
            _ => Self::Other(text),
        }
    }
}

/// Why a database could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file belongs to another kind of node.
    #[error("this database belongs to something else (application id {found:#x}, expected {expected:#x})")]
    OtherApplication {
        /// What the file says.
        found: i32,
        /// What this node keeps.
        expected: i32,
    },
    /// A newer version of the program wrote the file.
    #[error(
        "a newer version wrote this database (schema {found}, this program knows {known}); use that version"
    )]
    NewerSchema {
        /// What the file says.
        found: usize,
        /// What this program knows.
        known: usize,
    },
    /// Anything the store itself reports.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}
