//! The `obf` command.
fn main() {}
