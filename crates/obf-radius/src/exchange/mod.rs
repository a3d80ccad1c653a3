//! Exchange machines: who is asked, when again, and what was answered already. No sockets, no clock: datagrams, stream
//! octets and time go in; datagrams, packets and deadlines come out.
//!
//! Reading order: [`datagram`] (a client over UDP: retransmission, failover, heartbeat), [`duplicates`] (a server over UDP
//! answers a repetition with the same octets), [`stream`] (one TLS connection, both directions).

pub mod datagram;
pub mod duplicates;
pub mod stream;

pub use datagram::{Action, DatagramClient, RetransmitPolicy};
pub use duplicates::{DuplicateCache, Seen};
pub use stream::{Inbound, StreamConnection, StreamError};

/// Fills a buffer with unpredictable octets.
pub type Draw<'a> = &'a mut dyn FnMut(&mut [u8]);
