//! The client against the server halves of the wires over real sockets: RPB by `obf_rpb`'s machine in HTTP(S), RPA
//! by `obf_net`'s TLS-PSK acceptor (SPEC N1, C9, C10, R4, R11, R13, R15, W1, W2).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod bootstrap;
mod card;
mod connect;
mod crash;
mod kept;
mod peer;
