//! Reference point RPR (3GPP Zh): vectors and rights between Authentication and Resource Server
