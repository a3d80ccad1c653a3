//! OBF Client (SPEC N1, C9, C10, R4): a device's secure element, its security association, and
//! [`Client::connect`], the one call that an application makes.
//!
//! Reading order: [`se`] (secure elements, asked by capability), [`server`] (which Authentication Server), [`bootstrap`] (one run
//! over HTTP), [`store`] (the association between runs), `keys` (application keys, through whichever has Ks), [`client`]
//! (bootstraps when needed, connects), [`http`] (one request over such a connection), `throttle` (how often a refused key leads to
//! another bootstrap).
//!
//! Invariants: the memory of sequence numbers is on the disk before an answer of the secure element is used; an
//! association exists only after the server has proved itself; an application key is for one application and one
//! security protocol, and is derived when it is used, never kept; where the secure element keeps Ks, nothing of Ks, CK or IK is in
//! this process, and no key is derived from another Ks than the association's.
#![forbid(unsafe_code)]

pub mod bootstrap;
pub mod client;
pub mod http;
pub mod se;
pub mod server;
pub mod store;

mod file;
mod keys;
mod stream;
mod throttle;

pub use bootstrap::BootstrapFailure;
pub use client::{Client, ConnectError, Settings};
pub use obf_rpb::SecurityAssociation;
pub use se::{Identities, KeyIndex, SeError, SecureElement, SoftwareSe};
pub use server::{AuthenticationServer, ServerUrlError};
pub use store::{AssociationStore, StoreError};
pub use stream::AppStream;

/// Whose fault a failure is: what a caller decides by (try later, report, give up).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nobody was reached, or not in time: try again later.
    Network,
    /// The other end does not keep to the protocol.
    Server,
    /// One end could not prove itself to the other.
    Authentication,
    /// Both proved themselves, and the answer is no.
    Refused,
    /// Here: the secure element, a file, the settings.
    Local,
}
