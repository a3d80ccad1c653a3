//! The application SDK.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod operators;
mod sdk;
mod server;
