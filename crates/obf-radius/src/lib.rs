//! RADIUS as RPR and RPO need it (SPEC P3, P4): packets, authenticators, secrets, exchange machines; no sockets.
//!
//! Reading order: [`packet`] (bounded, zero-copy reading), [`writer`] (attributes into a reusable buffer),
//! [`framing`] (what protects a packet: RADIUS/1.0 with its shared secret, or radius/1.1), [`message`] (requests and
//! replies whose authenticity has been checked), [`dictionary`] (names), [`exchange`] (who is asked, when again,
//! and what was answered already).
//!
//! Every packet of RADIUS/1.0 carries Message-Authenticator first when sent, and must carry it exactly once and
//! valid when received (WIRES "RADIUS on RPR and RPO"; CVE-2024-3596). Time is a parameter: a [`core::time::Duration`]
//! since any fixed origin. Randomness is a parameter too.
#![forbid(unsafe_code)]

pub mod authenticator;
pub mod code;
pub mod dictionary;
pub mod exchange;
pub mod framing;
pub mod hidden;
mod identity;
pub mod message;
pub mod notice;
pub mod packet;
pub mod refusal;
pub mod writer;

pub use code::Code;
pub use dictionary::{Name, ObfAttribute, Vendor};
pub use framing::{Framing, SharedSecret};
pub use message::{Pending, Rejected, Reply, ReplyBuilder, Request};
pub use notice::NoticeError;
pub use packet::{Field, Packet, ParseError, Repeated};
pub use refusal::{AnswerError, Malformed, refuse};
pub use writer::{AttributeWriter, PutError};

/// The longest packet, octets (RFC 2865 3).
pub const MAX_PACKET: usize = 4096;

/// Code, identifier, length, authenticator (RFC 2865 3).
pub const HEADER: usize = 20;

/// The secret of every RADIUS/TLS connection that speaks radius/1.0 (RFC 6614 2.3): TLS protects it, not this.
pub const RADSEC_SECRET: &[u8] = b"radsec";
