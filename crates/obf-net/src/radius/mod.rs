//! RADIUS transports.
