//! The Resource Server on real sockets, in this process and in processes of its own.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod admin;
mod administration;
mod callers;
mod clock;
mod common;
mod durability;
mod fleet;
mod full_disk;
mod key_files;
mod key_uses;
mod kms;
mod kyc;
mod notices;
mod other_kek;
mod providers;
mod rpr;
