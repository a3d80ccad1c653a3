//! HTTP Digest authentication, both sides: RFC 7616, and its AKA forms RFC 3310 (AKAv1) and RFC 4169 (AKAv2).
//!
//! Reading order: [`algorithm`] (what `algorithm=` names), [`challenge`] (`WWW-Authenticate`), [`credentials`]
//! (`Authorization`), [`info`] (`Authentication-Info`), [`exchange`] (the hashes), [`aka`] (AKA nonce, passwords,
//! `auts`), [`syntax`] (the bounded parser below them).
//!
//! Values are octets, because HTTP header fields are: user names may be UTF-8, AKAv1 passwords are raw RES. Values are
//! held unescaped and hashed so; escaping exists only on the wire (RFC 9110 5.6.4). No clock, no randomness, no I/O:
//! nonces and cnonces are parameters. Passwords go in as octets and never stay.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod aka;
pub mod algorithm;
pub mod challenge;
pub mod credentials;
pub mod exchange;
pub mod info;
pub mod syntax;

pub use aka::{AkaNonce, AkaPassword};
pub use algorithm::{Algorithm, Hash, Qop, Scheme};
pub use challenge::Challenge;
pub use credentials::{Credentials, NonceCount, Username};
pub use exchange::{Exchange, Ha1, HexDigest};
pub use info::AuthenticationInfo;
pub use syntax::{ParseError, WriteError};
