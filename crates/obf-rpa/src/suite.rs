//! The cipher suites of RPA (WIRES "RPA"): AEAD only, forward secrecy first.

/// A suite that we accept and offer. The order of [`Suite::TLS12`] and [`Suite::TLS13`] is our preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suite {
    /// IANA number; that of TLS 1.2 stands in the Ua id `01 00 01 yy zz`.
    pub number: u16,
    /// OpenSSL's name.
    pub openssl: &'static str,
    /// GnuTLS' name.
    pub gnutls: &'static str,
}

impl Suite {
    /// TLS 1.2: ECDHE_PSK, then DHE_PSK, then plain PSK (RFC 7905, RFC 5487). No CBC, no CCM_8, no RSA_PSK.
    pub const TLS12: [Self; 7] = [
        Self::new(0xCCAC, "ECDHE-PSK-CHACHA20-POLY1305", "TLS_ECDHE_PSK_CHACHA20_POLY1305"),
        Self::new(0x00AA, "DHE-PSK-AES128-GCM-SHA256", "TLS_DHE_PSK_AES_128_GCM_SHA256"),
        Self::new(0xCCAD, "DHE-PSK-CHACHA20-POLY1305", "TLS_DHE_PSK_CHACHA20_POLY1305"),
        Self::new(0x00AB, "DHE-PSK-AES256-GCM-SHA384", "TLS_DHE_PSK_AES_256_GCM_SHA384"),
        Self::new(0x00A8, "PSK-AES128-GCM-SHA256", "TLS_PSK_AES_128_GCM_SHA256"),
        Self::new(0xCCAB, "PSK-CHACHA20-POLY1305", "TLS_PSK_CHACHA20_POLY1305"),
        Self::new(0x00A9, "PSK-AES256-GCM-SHA384", "TLS_PSK_AES_256_GCM_SHA384"),
    ];

    /// TLS 1.3: suites with SHA-256, the hash of an external PSK (RFC 8446 4.2.11).
    pub const TLS13: [Self; 2] = [
        Self::new(0x1301, "TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"),
        Self::new(0x1303, "TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256"),
    ];

    const fn new(number: u16, openssl: &'static str, gnutls: &'static str) -> Self {
        Self { number, openssl, gnutls }
    }

    /// The TLS 1.2 suite of that number, if it is one of ours.
    pub fn tls12(number: u16) -> Option<Self> {
        Self::TLS12.into_iter().find(|suite| suite.number == number)
    }
}
