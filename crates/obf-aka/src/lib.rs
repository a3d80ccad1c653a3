//! 3GPP authentication and key agreement (TS 33.102), for both ends of it.
//!
//! - [`Algorithm`]: [`Milenage`] (TS 35.206) or [`Tuak`] (TS 35.231), keyed for one subscriber.
//! - Home environment: [`generate_vector`], [`CounterScheme`] for the next [`Sqn`],
//!   [`verify_auts`] and [`SqnLayout::resynchronise`] after a synchronisation failure.
//! - Subscriber: [`SqnArray`], the SQN memory of a USIM, and [`authenticate`].
//!
//! Randomness and time are parameters. Nothing here allocates.
#![no_std]
#![forbid(unsafe_code)]

mod algorithm;
mod amf;
mod keccak;
mod milenage;
mod output;
mod sqn;
mod tuak;
mod usim;
mod vector;

pub use algorithm::{Algorithm, Keys, MacSizeUnsupported};
pub use amf::{Amf, SeparationBitSet};
pub use keccak::keccak_f1600;
pub use milenage::Milenage;
pub use output::SecretOutput;
pub use sqn::{CounterScheme, MAX_IND_BITS, Sqn, SqnExhausted, SqnLayout};
pub use tuak::{KeySize, MacSize, ResSize, Tuak, TuakKey, TuakSizes};
pub use usim::{Authentication, SqnArray, SqnLimits, Success, authenticate};
pub use vector::{AkaVector, generate_vector, ks, verify_auts};

/// RAND, octets (TS 33.105 5.1.7.6).
pub const RAND_LEN: usize = 16;
/// AUTN = (SQN ⊕ AK) ‖ AMF ‖ MAC-A, octets (TS 33.102 6.3.2).
pub const AUTN_LEN: usize = 16;
/// AUTS = (SQN_MS ⊕ AK*) ‖ MAC-S, octets (TS 33.102 6.3.3).
pub const AUTS_LEN: usize = 14;
