//! Where vectors come from (SPEC R3, R9): a device's own key, which the [`crate::kms`] holds, or the existing HLR in
//! which the subscriber lives ([`hlr`]). Each device has exactly one of the two, and with it one authority over its
//! sequence numbers; identities and rights are ours in either case.

pub mod hlr;

pub use hlr::{Hlr, HlrError};
