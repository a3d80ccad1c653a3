//! Administration of an Authentication Server: the operations that `obf-admin` describes, behind the door that all nodes
//! have (`obf-admin-http`). Its administrators are those of a Resource Server ([`administrators`]).

mod administrators;
mod handlers;
mod service;

pub(crate) use administrators::Administrators;
pub(crate) use service::Administration;
