//! HTTP Digest, both sides.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod robustness;
mod vectors;
