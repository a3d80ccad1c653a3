//! TLS-PSK, both ends of RPA (WIRES "RPA"), on OpenSSL.
//!
//! A server handshake is suspended while its key is looked up: for TLS 1.3 before OpenSSL has seen anything of it,
//! for TLS 1.2 by holding back the octets that complete the ClientKeyExchange. No handshake waits for another's key.
//!
//! One key, one role (RFC 9257): [`PskAcceptor`] only serves and takes its keys from RPO, [`PskConnector`] only
//! connects and takes them from the device's own Ks; neither offers a way to use a key on the other side.

mod acceptor;
mod connector;
mod hint;
mod setup;
mod stream;

pub use acceptor::{Accepted, KeyQuery, KeySource, PskAcceptError, PskAcceptor, PskServer};
pub use connector::{Connected, PskConnectError, PskConnector, Versions};
pub use setup::PskSetupError;
pub use stream::PskStream;
