//! OBF_Token: the session key that device and Authentication Server derive each for itself (SPEC T, R19–R21).
//!
//! Reading order: [`id`] (the token id, a B-TID), [`method`] (how the device authenticated), [`facts`] (what is known of a
//! token), [`mod@derive`] (application keys, schemas `gba-me` and `obf-1`), [`envelope`] (authenticated encryption of what
//! leaves memory: challenges in `opaque`, Ks at rest).
//!
//! Deliberately absent: any encoder of Ks for a wire. No clock, no randomness, no I/O.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod derive;
pub mod envelope;
pub mod facts;
pub mod id;
pub mod method;

pub use derive::{Derivation, Obf1Context};
pub use envelope::{OpenError, SealingKey};
pub use facts::TokenFacts;
pub use id::{TokenId, TokenIdError};
pub use method::{Algorithm, Method, Mode, Technology};

use obf_types::Secret;

/// Ks: CK ‖ IK (TS 33.220 B.3), 32 octets. It never leaves the Authentication Server or the device.
pub type Ks = Secret<32>;

/// The key of one application for one security protocol (Ks_NAF), 32 octets.
pub type AppKey = Secret<32>;
