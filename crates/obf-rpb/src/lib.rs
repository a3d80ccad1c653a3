//! Reference point RPB (3GPP Ub): bootstrapping, both ends, without sockets
