//! The real binary.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod bad_input;
mod broken_streams;
mod commands;
mod demo;
mod duplicates;
mod errors;
mod full_disk;
mod one_line;
mod relay;
mod secrets;
