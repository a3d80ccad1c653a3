//! TLS-PSK.
