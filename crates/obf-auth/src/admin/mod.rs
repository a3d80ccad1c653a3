//! Administration of an Authentication Server: the operations that `obf-admin` describes, behind the dispatcher that all nodes
//! have (`obf-admin-http`). Its administrators are those of its Resource Servers.
//!
//! Reading order: [`administration`] (what handlers work with), [`standing`] (whose administrators may do what),
//! [`handlers`] (a file each resource), [`service`] (from the dispatcher to them).

mod administration;
mod handlers;
mod service;
mod standing;

pub(crate) use administration::Administration;
