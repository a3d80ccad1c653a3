//! Hidden values: salt encryption of MS-MPPE keys (RFC 2548 2.4.2).

use crate::SharedSecret;
use md5::{Digest, Md5};
use obf_types::SecretBytes;
use zeroize::Zeroize;

/// The longest plain value: one length octet before it, 15 blocks of 16 fit behind the salt.
pub const MAX_SALTED: usize = 239;

/// salt ‖ ciphertext, appended to `out`. The salt's top bit is set here; the salts of one packet must differ.
/// A value over [`MAX_SALTED`] octets is cut there; callers keep to it.
pub fn salt_encrypt(
    out: &mut Vec<u8>,
    plain: &[u8],
    salt: [u8; 2],
    secret: &SharedSecret,
    request_authenticator: &[u8; 16],
) {
    let plain = plain.get(..MAX_SALTED).unwrap_or(plain);
    let [high, low] = salt;
    let salt = [high | 0x80, low];
    out.extend(salt);
    let mut chain: [u8; 16] = Md5::new()
        .chain_update(secret.octets())
        .chain_update(request_authenticator)
        .chain_update(salt)
        .finalize()
        .into();
    let mut octets = core::iter::once(plain.len() as u8).chain(plain.iter().copied());
    for _ in 0..(plain.len() + 1).div_ceil(16) {
        for octet in &mut chain {
            *octet ^= octets.next().unwrap_or(0);
        }
        out.extend(chain);
        chain = Md5::new().chain_update(secret.octets()).chain_update(chain).finalize().into();
    }
    chain.zeroize();
}

/// The plain value behind salt ‖ ciphertext; `None` if its shape is wrong or the length inside does not fit (which
/// is what a wrong secret looks like; the scheme itself authenticates nothing).
pub fn salt_decrypt(
    value: &[u8],
    secret: &SharedSecret,
    request_authenticator: &[u8; 16],
) -> Option<SecretBytes> {
    let (salt, cipher) = value.split_first_chunk::<2>()?;
    if cipher.is_empty() || !cipher.len().is_multiple_of(16) {
        return None;
    }
    let first = Md5::new()
        .chain_update(secret.octets())
        .chain_update(request_authenticator)
        .chain_update(salt)
        .finalize()
        .into();
    let mut plain = unchain(cipher, first, secret);
    let length = usize::from(*plain.first()?);
    let fits = length < plain.len();
    let secret = SecretBytes::new(plain.get(1..=length).unwrap_or_default().to_vec());
    plain.zeroize();
    fits.then_some(secret)
}

/// Undoes c(i) = p(i) ⊕ MD5(secret ‖ c(i−1)), the first block with `chain`.
fn unchain(cipher: &[u8], mut chain: [u8; 16], secret: &SharedSecret) -> Vec<u8> {
    let mut plain = Vec::with_capacity(cipher.len());
    for block in cipher.chunks(16) {
        plain.extend(block.iter().zip(chain).map(|(octet, key)| octet ^ key));
        chain = Md5::new().chain_update(secret.octets()).chain_update(block).finalize().into();
    }
    chain.zeroize();
    plain
}
