//! Transports on real sockets.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod gsup;
mod http;
mod psk;
mod psk_ends;
mod radius;
mod records;
