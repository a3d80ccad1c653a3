//! Stores: the core, what the nodes keep in it, and loss of power.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod battery;
mod core;
mod engine;
mod former_tokens;
mod power_loss;
mod tokens;
