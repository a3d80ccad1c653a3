//! AKA: vectors and properties.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod properties;
mod vectors;
