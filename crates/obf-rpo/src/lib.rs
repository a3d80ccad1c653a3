//! Reference point RPO (SPEC P3, R16, R17, R20; 3GPP Zn): application ⇄ Authentication Server, both ends, no sockets.
//!
//! Reading order: [`request`] (what an application asks), [`grant`] (a key and how long it is valid), [`notice`] (a token
//! is over: told on the application's own connection).
//!
//! Deliberately absent: any encoder of Ks. A grant holds an [`obf_token::AppKey`], which is for one application and one
//! security protocol; it travels in MS-MPPE-Recv-Key only.
#![forbid(unsafe_code)]

pub mod grant;
pub mod notice;
pub mod request;

pub use grant::KeyGrant;
pub use notice::TokenNotice;
pub use request::{KeyRequest, Resume, RpoOperation, RpoRequest};

pub use obf_radius::{AnswerError, Malformed, NoticeError, Vendor, refuse};
