//! OBF Authentication Server.

pub mod limiter;
pub mod tokens;
