//! GSUP, the Generic Subscriber Update Protocol of the Osmocom projects, as far as a Resource Server needs it:
//! authentication vectors and resynchronisation from an existing HLR (SPEC R3, R9). Both ends, no sockets.
//!
//! Reading order: [`ipa`] (frames cut out of the stream), [`ccm`] (who is connected, signs of life), [`message`] (Send
//! Auth Info: request, result, error), [`mod@tuple`] (a vector as the HLR writes it), [`cause`] (why it refused),
//! [`exchange`] (the client's state: many requests in flight, one for each IMSI).
//!
//! GSUP is MAP over TCP: Send Auth Info is MAP_SEND_AUTHENTICATION_INFO (3GPP TS 29.002 8.5.2), causes are those of
//! TS 24.008 10.5.5.14. Message and element numbers are those of the OsmoHLR user manual, chapter "Generic Subscriber
//! Update Protocol", and of libosmocore's `gsup.h`; frames those of `ipa.h` and `ipaccess.h`.
//!
//! Deliberately absent: location management, short messages, handover. What an HLR sends of those is not acted on.
#![forbid(unsafe_code)]

pub mod cause;
pub mod ccm;
mod element;
pub mod error;
pub mod exchange;
mod iei;
pub mod imsi;
pub mod ipa;
pub mod message;
pub mod tuple;

pub use cause::Cause;
pub use ccm::{Ccm, PeerName, PeerNameError};
pub use error::{DecodeError, Undecodable};
pub use exchange::{Dead, Event, Exchange, Failure, Limits, Waiter};
pub use imsi::{Imsi, ImsiError};
pub use ipa::{Frame, FrameError, FrameReader, MAX_PAYLOAD};
pub use message::{
    CnDomain, Message, MessageClass, Resynchronisation, SendAuthInfoError, SendAuthInfoRequest,
    SendAuthInfoResult,
};
pub use tuple::{AuthTuple, Quintet, Triplet};
