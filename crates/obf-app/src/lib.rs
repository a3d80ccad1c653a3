//! Application Server SDK: RPO client and RPA listeners
