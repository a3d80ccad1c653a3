//! Reference point RPA (3GPP Ua): PSK identities, handshake tap, local validity
