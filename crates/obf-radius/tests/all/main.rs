//! RADIUS: the dictionary and vectors.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod dictionary;
mod vectors;
