//! What protects packets on a hop: RADIUS/1.0 with a shared secret (UDP, and `radsec` inside TLS) or radius/1.1.

use hmac::{Hmac, KeyInit};
use md5::Md5;
use obf_types::SecretBytes;
use std::sync::Arc;

/// Octets that Message-Authenticator takes.
pub(crate) const MESSAGE_AUTHENTICATOR_LEN: usize = 18;

/// A hop's shared secret, its HMAC key schedule computed once.
pub struct SharedSecret {
    octets: SecretBytes,
    mac: Hmac<Md5>,
}

impl SharedSecret {
    /// Takes over the octets.
    pub fn new(octets: SecretBytes) -> Self {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mac =
            <Hmac<Md5> as KeyInit>::new_from_slice(octets.expose()).expect("HMAC takes keys of any length");
        Self { octets, mac }
    }

    pub(crate) fn octets(&self) -> &[u8] {
        self.octets.expose()
    }

    pub(crate) fn keyed_mac(&self) -> Hmac<Md5> {
        self.mac.clone()
    }
}

impl core::fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SharedSecret")
    }
}

/// How packets are protected and told apart on one hop. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Framing {
    /// RADIUS/UDP and radius/1.0 over TLS: identifier, authenticators, Message-Authenticator, hidden secrets.
    V10 {
        /// The hop's secret; `radsec` inside TLS.
        secret: Arc<SharedSecret>,
    },
    /// radius/1.1 (RFC 9765), inside TLS 1.3 only: a token, no MD5, secrets plain.
    V11,
}

impl Framing {
    /// RADIUS/1.0 with this secret.
    pub fn with_secret(secret: SecretBytes) -> Self {
        Self::V10 { secret: Arc::new(SharedSecret::new(secret)) }
    }

    /// radius/1.0 inside TLS: the secret is `radsec` (RFC 6614 2.3).
    pub fn radsec() -> Self {
        Self::with_secret(SecretBytes::from(crate::RADSEC_SECRET))
    }

    /// The framing of an ALPN name: `radius/1.1`, otherwise 1.0, which a peer without ALPN speaks (RFC 9765 3).
    pub fn from_alpn(protocol: Option<&[u8]>) -> Self {
        if protocol == Some(ALPN_V11) { Self::V11 } else { Self::radsec() }
    }

    /// Requests in flight that one connection or source port can tell apart.
    pub const fn window(&self) -> usize {
        match self {
            Self::V10 { .. } => 256,
            Self::V11 => 65_536,
        }
    }
}

/// ALPN name of radius/1.0 (RFC 9765 3).
pub const ALPN_V10: &[u8] = b"radius/1.0";
/// ALPN name of radius/1.1 (RFC 9765 3).
pub const ALPN_V11: &[u8] = b"radius/1.1";
