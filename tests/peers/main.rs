//! OBF against other people's programs: each must be installed (`.ci/packages`, `.ci/setup test`), and a test whose peer is
//! missing fails. A place of its own, so that `cargo test` needs none of them; `./test` runs it always.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

// What is used here and in the tests of a crate.
#[path = "../../crates/obf-store/tests/all/battery/mod.rs"]
mod battery;
#[path = "../../crates/obf-resource/tests/all/common/mod.rs"]
mod common;
#[path = "../../crates/obf-testkit/tests/all/device/mod.rs"]
mod device;
#[path = "../../crates/obf-keyfile/tests/all/common/mod.rs"]
mod key_files;
#[path = "../../crates/obf-net/tests/all/psk_ends.rs"]
mod psk_ends;
#[path = "../../crates/obf-store/tests/all/tokens/mod.rs"]
mod store_tokens;

mod callers;
mod curl;
mod device_hlr;
mod device_python_ue;
mod engine;
mod freeradius_rpr;
mod full_disk;
mod gsup;
mod hlr;
mod hosts;
mod hsm;
mod hsm_gone;
mod hsm_hangs;
mod lighttpd;
mod live;
mod live_rpo;
mod live_rpr;
mod live_tshark;
mod osmo_auc_gen;
mod postgres;
mod psk;
mod pskc;
mod pyrad_rpr;
mod radclient_rpr;
mod responder;
mod rpa;
mod rpb_curl;
mod rpr_hlr;
mod schemathesis;
mod tokens;
mod tshark_rpr;
mod wires;
