//! What the Resource Server keeps (SPEC C3, C4, R5–R7): devices with their identities and epoch; their credentials with wrapped keys and SQN;
//! custodians and their KYC; applications, groups and grants; administrative records; data keys; audit; notices that an
//! Authentication Server has not acknowledged.
//!
//! Each subject is a file with its methods of [`ResourceDb`], written once on [`Engine`]: SQLite or PostgreSQL. To add one:
//! its table in `tables.rs` (a new step), a file here, and a test in `tests/battery` that runs on both.
//! Several processes may share the database: every SQN is taken by one atomic statement, acknowledged when durable.

mod add_devices;
mod administrators;
mod applications;
mod audit;
mod backup;
mod credentials;
mod custodians;
mod data_keys;
mod denials;
mod device_rows;
mod devices;
mod grants;
mod groups;
mod idempotency;
mod kyc;
mod outbox;
mod registrations;
mod rights;
mod signal;
mod sqn;
mod stakeholders;
mod tables;

pub use crate::audit::{Act, AuditFilter, AuditRow, Fault, Verified};
pub use administrators::AdministratorAccount;
pub use applications::{Application, ApplicationFilter};
pub use backup::RestoreError;
pub use credentials::{
    AkaAlgorithm, AkaParameters, Credential, CredentialState, FIRST_KEY_INDEX, HlrName, HlrNameError,
    KECCAK_ITERATIONS, KeyEnvelope, Parameters, Source,
};
pub use custodians::{Custodian, CustodianKind};
pub use data_keys::{DataKey, Rewrapped, WrappedKey};
pub use denials::{Denial, DenialFilter, Denied, NewDenial};
pub use devices::{Added, Device, DeviceCustodian, DeviceFilter, DeviceId, DeviceUpdate, NewDevice};
pub use grants::{Grant, Grantee, Terms};
pub use groups::{Group, MembersChanged};
pub use idempotency::{Claim, KeptAnswer};
pub use kyc::{BecameDue, Due, KycFilter, KycRecord, KycStanding};
pub use outbox::{Change, Lane, Notice, NoticeKind};
pub use registrations::Registered;
pub use rights::{Entitlement, GrantedApplication, RightsPage};
pub use sqn::{KeyUse, Subscriber, Taken, WithRights};
pub use stakeholders::{Stakeholder, StakeholderKind};

use crate::{
    Database, Engine, OpenError, Options, PostgresOptions, Statistics, StoreError,
    postgres::Pool,
    sql::{Session, Value},
};
use signal::Signalling;

/// The Resource Server's database. Clones share it.
#[derive(Clone, Debug)]
pub struct ResourceDb {
    engine: Signalling,
}

impl ResourceDb {
    /// Opens the SQLite file, creating or migrating it.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(options: &Options) -> Result<Self, OpenError> {
        Ok(Self { engine: Signalling::new(Engine::Sqlite(Database::open(options, &tables::SCHEMA)?)) })
    }

    /// Connects to a PostgreSQL database, creating or migrating the tables. Blocks: not for an async task.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn connect(options: &PostgresOptions) -> Result<Self, OpenError> {
        let pool = Pool::open(options, tables::OWNER, tables::POSTGRES)?;
        Ok(Self { engine: Signalling::new(Engine::Postgres(pool)) })
    }

    /// Resolves after the next commit of this process that holds notices; one that came while nobody waited is not lost.
    /// For one task: each commit wakes one.
    pub async fn notices_committed(&self) {
        self.engine.notices_committed().await;
    }

    /// Commits and jobs so far; on SQLite each commit is an fsync.
    pub fn statistics(&self) -> Statistics {
        self.engine.statistics()
    }
}

pub use obf_types::State;

/// The state of that number in a row.
fn state_of(number: i64) -> Result<State, StoreError> {
    let found = u8::try_from(number).ok().and_then(State::from_number);
    found.ok_or_else(|| StoreError::Corrupt(format!("no state has the number {number}")))
}

/// What became of a change to one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<T = ()> {
    /// Done.
    Done(T),
    /// There is no such record.
    Unknown,
    /// It is not at the version that was expected, but at this one; nothing was changed.
    Stale {
        /// Its version now.
        version: u64,
    },
    /// It may not go from the state it is in to the one wanted; nothing was changed.
    Forbidden {
        /// Its state now.
        state: State,
    },
    /// What it refers to is not there; nothing was changed.
    NoParent,
    /// Something else refers to it; nothing was changed.
    InUse,
}

impl<T> Outcome<T> {
    /// With something else of what was done.
    pub fn map<U>(self, of: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Self::Done(value) => Outcome::Done(of(value)),
            Self::Unknown => Outcome::Unknown,
            Self::Stale { version } => Outcome::Stale { version },
            Self::Forbidden { state } => Outcome::Forbidden { state },
            Self::NoParent => Outcome::NoParent,
            Self::InUse => Outcome::InUse,
        }
    }
}

/// What the audit calls a change from this state to that: a change of the state, or of the record alone.
const fn change_of_state(from: State, to: State) -> &'static str {
    match (from, to) {
        (State::Suspended, State::Active) => "resume",
        _ if from as u8 == to as u8 => "update",
        (_, State::Registered) => "register",
        (_, State::Active) => "activate",
        (_, State::Suspended) => "suspend",
        (_, State::Retired) => "retire",
    }
}

/// Whether a record at this version and state may be changed: what [`Outcome`] says otherwise.
fn check<T>(
    found: Option<(u64, State)>,
    expected: Option<u64>,
    to: Option<State>,
) -> Result<State, Outcome<T>> {
    let Some((version, state)) = found else { return Err(Outcome::Unknown) };
    if expected.is_some_and(|expected| expected != version) {
        return Err(Outcome::Stale { version });
    }
    if to.is_some_and(|to| !state.may_become(to)) {
        return Err(Outcome::Forbidden { state });
    }
    Ok(state)
}

/// Version and state of the record that `sql` finds, which stays so until the transaction ends.
fn standing(
    s: &mut dyn Session,
    sql: &str,
    values: &[Value<'_>],
) -> Result<Option<(u64, State)>, StoreError> {
    let sql = format!("{sql}{}", s.locking());
    s.one(&sql, values, |row| Ok((row.fitting(0)?, state_of(row.number(1)?)?)))
}

/// Lines of a text column.
fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}
