//! Reference point RPR (SPEC P4, R18; 3GPP Zh): Authentication Server ⇄ Resource Server, both ends, no sockets.
//!
//! Reading order: [`request`] (what an Authentication Server asks), [`answer`] (vectors, rights, registrations),
//! [`right`] (a device's rights in an answer), [`administrator`] (who administers), [`notice`] (what the Resource Server
//! tells unasked, RFC 5176).
//!
//! Each message writes itself with `encode` and reads itself with `decode`; decoding starts from an
//! [`obf_radius::Request`] or [`obf_radius::Reply`], so that nothing unauthentic is ever read. Secrets travel in
//! MS-MPPE-Recv-Key (CK ‖ IK) and MS-MPPE-Send-Key (XRES) only.
#![forbid(unsafe_code)]

pub mod administrator;
pub mod answer;
pub mod notice;
pub mod request;
pub mod right;

pub use administrator::{AdministratorAnswer, AdministratorCredential, AdministratorRequest};
pub use answer::{ApplicationAnswer, AuthenticationData, RightsAnswer, VectorAnswer};
pub use notice::Notice;
pub use request::{
    ApplicationRequest, Resynchronisation, RightsRequest, RightsSelector, RprClient, RprOperation,
    RprRequest, VectorRequest,
};
pub use right::Rights;

pub use obf_radius::{AnswerError, Malformed, NoticeError, Vendor, refuse};
