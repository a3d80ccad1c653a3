//! AIS-140 vehicle tracking frames (SPEC Appendix I, U1–U14): what a vehicle's device sends, and the commands that
//! a tracking server sends back.
//!
//! Reading order: [`dialect`] (what a device type's registration says about its frames), [`message`] (what a frame
//! means), [`decode`](mod@decode) (bytes to [`Message`], or a [`Refused`] that names the field), [`checksum`],
//! [`framer`] (frames out of a stream), [`receiver`] (stream to messages, mismatches ignored and counted: U12),
//! [`command`] (`SET`, `GET`, `CLR`, and alert 12, the acknowledgement), [`compose`] (building and altering frames),
//! [`http`] (batches in a POST body).
//!
//! What it does not do: protect anything. A checksum finds accidents, not attackers; U1–U8 come from the TLS-PSK
//! connection that the frames travel in. No sockets, no clock.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod checksum;
mod comma;
pub mod command;
pub mod compose;
pub mod decode;
pub mod dialect;
mod field;
mod fixed;
pub mod framer;
pub mod http;
pub mod message;
pub mod receiver;
pub mod refused;

pub use checksum::{Algorithm, ChecksumRule};
pub use command::{Command, CommandError};
pub use decode::decode;
pub use dialect::{Dialect, Layout};
pub use framer::Framer;
pub use message::{
    Alert, Batch, Emergency, Health, Imei, Login, Message, ParameterChange, Point, Position, Report, Track,
};
pub use receiver::Receiver;
pub use refused::Refused;
