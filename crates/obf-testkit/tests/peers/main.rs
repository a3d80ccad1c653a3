//! RPR and RPO against other people's programs.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod freeradius_rpr;
mod live;
mod live_rpo;
mod live_rpr;
mod live_tshark;
mod pyrad_rpr;
mod radclient_rpr;
mod responder;
mod tshark_rpr;
