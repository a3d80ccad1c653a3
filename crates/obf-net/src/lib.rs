//! Sockets and TLS: RADIUS transports, TLS-PSK, HTTPS
