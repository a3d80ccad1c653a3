//! Whole deployments of the real binary.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "../../../obf-client/tests/all/card.rs"]
mod card;
mod client;
mod device;
mod elements;
mod examples;
mod rpb;
