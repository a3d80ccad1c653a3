//! The MD5 constructions of RADIUS/1.0, over a packet given in pieces. Kept apart so that nothing else knows MD5.

use crate::{HEADER, SharedSecret};
use hmac::Mac;
use md5::{Digest, Md5};

/// Response Authenticator (RFC 2865 3) and, with 16 zero octets, the Request Authenticator of Accounting, CoA and
/// Disconnect (RFC 5176 2.3): MD5(code ‖ id ‖ length ‖ `authenticator` ‖ attributes ‖ secret).
/// `packet` is the whole packet; what stands in its Authenticator field makes no difference.
pub fn packet_hash(packet: &[u8], authenticator: &[u8; 16], secret: &SharedSecret) -> [u8; 16] {
    let mut hash = Md5::new();
    hash.update(packet.get(..4).unwrap_or_default());
    hash.update(authenticator);
    hash.update(packet.get(HEADER..).unwrap_or_default());
    hash.update(secret.octets());
    hash.finalize().into()
}

/// Message-Authenticator (RFC 3579 3.2, RFC 5176 3.4): HMAC-MD5 over the packet with `authenticator` in the header and
/// zeros where its own 16 octets stand, which begin at `value_at`.
pub fn message_authenticator(
    packet: &[u8],
    value_at: usize,
    authenticator: &[u8; 16],
    secret: &SharedSecret,
) -> [u8; 16] {
    let mut mac = secret.keyed_mac();
    mac.update(packet.get(..4).unwrap_or_default());
    mac.update(authenticator);
    mac.update(packet.get(HEADER..value_at).unwrap_or_default());
    mac.update(&[0; 16]);
    mac.update(packet.get(value_at + 16..).unwrap_or_default());
    mac.finalize().into_bytes().into()
}
