//! The only sockets and the only TLS of the framework.
//!
//! Reading order: [`clock`] (the one place that asks the system for the time), [`shutdown`] (drain with a
//! deadline), [`limits`] (connections, in all and per source), [`rate_limit`] (requests, per key), [`socket`] (listen, connect, the accept loop), [`cut`]
//! (a stream that can be ended from outside), [`certificates`] (PEM files to TLS
//! configurations), [`http`] (HTTP and HTTPS with limits: RPB, admin API), [`radius`] (RADIUS over UDP and over
//! TLS, both ends: RPR, RPO), [`psk`] (TLS-PSK, both ends: RPA), [`gsup`] (client of an existing HLR), [`scheduling`] (how a
//! server's threads share a core).
//!
//! Deliberately absent: any decision. What a request means, and who may ask, is for the nodes.

pub mod certificates;
pub mod clock;
pub mod cut;
mod forward;
pub mod gsup;
pub mod http;
pub mod limits;
pub mod psk;
pub mod radius;
pub mod rate_limit;
pub mod scheduling;
pub mod shutdown;
pub mod socket;

pub use clock::{Clock, Environment, OffsetClock, SystemClock};
pub use cut::{Cuttable, Cutter};
pub use limits::{ConnectionLimits, Gate, Permit, source_network};
pub use rate_limit::{Rate, RateLimiter};
pub use shutdown::{Drained, Running, Stopper};
pub use socket::{AcceptLoop, Incoming, connect, listen, listen_udp};
