//! The words, read from everywhere.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod arbitrary_input;
