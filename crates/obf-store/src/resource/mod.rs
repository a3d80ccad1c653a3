//! What the Resource Server keeps (SPEC R5–R7): devices with their identities, wrapped keys, SQN and epoch;
//! applications; grants; notices that an Authentication Server has not acknowledged.
//!
//! Each subject is one small trait, implemented by [`ResourceDb`] on SQLite. Several processes may share the file:
//! every SQN is taken by one atomic statement, acknowledged after its fsync.

mod applications;
mod devices;
mod grants;
mod outbox;
mod sqn;
mod tables;

pub use applications::{Application, ApplicationState, Applications};
pub use devices::{Added, AkaAlgorithm, Device, DeviceId, DeviceState, Devices, NewDevice};
pub use grants::{Grant, GrantedApplication, Grants, RightsPage};
pub use outbox::{Change, Notice, NoticeKind, Outbox};
pub use sqn::{SequenceNumbers, Taken, WithRights};

use crate::{Database, OpenError, Options, Statistics};

/// The Resource Server's database. Clones share it.
#[derive(Clone, Debug)]
pub struct ResourceDb {
    database: Database,
}

impl ResourceDb {
    /// Opens the database, creating or migrating it.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(options: &Options) -> Result<Self, OpenError> {
        Ok(Self { database: Database::open(options, &tables::SCHEMA)? })
    }

    /// Commits (fsyncs) and jobs so far.
    pub fn statistics(&self) -> Statistics {
        self.database.statistics()
    }
}
