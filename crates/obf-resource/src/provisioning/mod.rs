//! Devices by the million, above the registry: made and handed out in key files ([`creation`], SPEC C1), taken in from
//! key files ([`ingest`], SPEC C2) or from JSON lines ([`import`]).

pub mod creation;
pub mod import;
pub mod ingest;
