//! The codec of AIS-140 frames.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod arbitrary_input;
mod field_frames;
