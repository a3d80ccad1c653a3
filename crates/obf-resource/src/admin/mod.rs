//! Admin API: serves the operations that [`obf_admin`] describes, over HTTPS, errors as problem documents (RFC 9457).
//!
//! Reading order: [`api`] (a request's way through), [`authentication`] (who asks), [`limits`] (how often),
//! [`request`] (what is asked, checked against its description), [`handlers`] (a file each resource),
//! [`body`] and [`problem`] (what is answered). What an operation is called, takes and answers stands in `obf-admin`.

mod api;
mod authentication;
mod body;
mod handlers;
mod limits;
mod problem;
mod request;

pub use api::{AdminApi, Rates};
pub use authentication::{Administrator, AdministratorError, Administrators, Caller};
pub use handlers::Offer;
pub use problem::Problem;
