//! Administration of a Resource Server: the operations that [`obf_admin`] describes, behind the dispatcher that all nodes have
//! ([`obf_admin_http`]).
//!
//! Reading order: [`administration`] (what handlers work with), [`handlers`] (a file each resource), [`service`] (from
//! the dispatcher to the handlers; who is an administrator; a request done once), [`problem`] (what went wrong, in words).

mod administration;
mod handlers;
mod problem;
mod service;

pub use administration::{Administration, DiscoverySettings};
pub use service::Administrative;
