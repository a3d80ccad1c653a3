//! The admin API as every node serves it: HTTPS, errors as problem documents (RFC 9457).
//!
//! Reading order: [`dispatcher`] (a request's way through), [`authentication`] (who asks), [`limits`] (how often), [`request`]
//! (what is asked, checked against its description), [`Service`] (what a node puts behind it), [`reply`], [`body`]
//! and [`problem`] (what is answered), [`audit`] (its operations, which every node has). What an operation is called, takes
//! and answers stands in `obf-admin`.
//!
//! Deliberately absent: what any operation does, and any store: those are the nodes'.
#![forbid(unsafe_code)]

pub mod audit;
pub mod authentication;
pub mod body;
pub mod dispatcher;
pub mod limits;
pub mod problem;
pub mod reply;
pub mod request;

pub use authentication::{Administrator, AdministratorError, Administrators, Caller, Credential};
pub use body::Answer;
pub use dispatcher::{Dispatcher, Rates, Service};
pub use problem::Problem;
pub use reply::Reply;
pub use request::{AdminRequest, Target};
