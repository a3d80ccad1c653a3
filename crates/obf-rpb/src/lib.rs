//! Reference point RPB (3GPP Ub, TS 24.109 clause 4): bootstrapping between device and Authentication Server, both ends,
//! without sockets, clock or randomness.
//!
//! Reading order: [`http`] (what a shell hands in and sends out), [`server`] (the Authentication Server's machine),
//! [`sealed`] (what it remembers of a challenge, in `opaque`), [`status`] (the one table from outcomes to HTTP),
//! [`client`] (the device's machine), [`body`] (BootstrappingInfo), [`offer`] (key schemas), [`xml`] (the bounded reader).
//!
//! Invariants: the server keeps nothing between two requests; a challenge is accepted once, whoever decides that (the
//! shell's store) is asked before anything is given out; what cannot prove itself is answered alike, whether the
//! identity exists or not.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod body;
pub mod client;
pub mod http;
pub mod offer;
pub mod sealed;
pub mod server;
pub mod status;
pub mod xml;

pub use client::{Bootstrap, BootstrapError, ClientStep, SecurityAssociation};
pub use http::{HttpRequest, Reply};
pub use offer::SchemaOffer;
pub use sealed::KeyRing;
pub use server::{Authenticator, Draw, Step};
pub use status::Outcome;
