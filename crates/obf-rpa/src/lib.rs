//! Reference point RPA (3GPP Ua; SPEC P1): what a TLS-PSK handshake says in clear, and how long a key may be used.
//!
//! Reading order: [`suite`] (the cipher suites of WIRES "RPA"), [`hello`] (ClientHello and ServerHello),
//! [`tap`] (finds the PSK identity in a handshake's plaintext octets and says [`NeedKey`]), [`validity`]
//! (local policy: A2, A3), [`cache`] (keys known here, unknown ids remembered for a moment).
//!
//! No sockets, no TLS library, no clock, no randomness: octets and `now` are parameters.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod cache;
pub mod hello;
pub mod suite;
pub mod tap;
pub mod validity;

mod reader;
mod record;

pub use cache::{Cached, KeyCache};
pub use hello::{ClientHello, Malformed, ServerHello};
pub use suite::Suite;
pub use tap::{ClientTap, PskIdentity, ServerTap, TapError, TapEvent};
pub use validity::{LinkState, LocalPolicy};

use obf_token::TokenId;
use obf_types::UaId;

/// The handshake cannot go on without this key. It is for `ua` only: a key fetched for one security protocol is
/// never used for another (WIRES "Ua ids").
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NeedKey {
    /// The token that the device named in its PSK identity.
    pub token: TokenId,
    /// TLS 1.3 PSK, or TLS 1.2 PSK with the negotiated suite.
    pub ua: UaId,
}
