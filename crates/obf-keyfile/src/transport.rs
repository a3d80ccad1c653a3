//! The transport key that both ends of a key file share, and what is done with it.

use crate::Draw;
use aes::{Aes128, Aes256};
use aes_kw::AesKw;
use cbc::cipher::{
    BlockModeDecrypt as _, BlockModeEncrypt as _, KeyInit as _, KeyIvInit as _,
    block_padding::{NoPadding, Pkcs7},
};
use hmac::{Hmac, Mac as _};
use obf_types::{SecretBytes, hex};
use sha1::Sha1;
use sha2::Sha256;
use std::{fmt, io};
use zeroize::{Zeroize as _, Zeroizing};

const BLOCK: usize = 16;

/// A key of 16 or 32 octets that a file's secrets are encrypted under, and what it is called. `Debug` shows the name.
#[derive(Clone, PartialEq, Eq)]
pub struct TransportKey {
    name: String,
    key: SecretBytes,
}

impl TransportKey {
    /// A key of 16 or 32 octets; `None` if it has another length. `name` is what both ends call it.
    pub fn new(name: &str, key: SecretBytes) -> Option<Self> {
        matches!(key.expose().len(), 16 | 32).then(|| Self { name: name.to_owned(), key })
    }

    /// From 16 or 32 octets, or twice as many hex digits and perhaps a line end, as a file holds it.
    pub fn from_octets(name: &str, octets: &[u8]) -> Option<Self> {
        let digits = octets.trim_ascii_end();
        let from_hex = std::str::from_utf8(digits).ok().and_then(hex::decode);
        from_hex.and_then(|key| Self::new(name, key)).or_else(|| Self::new(name, octets.into()))
    }

    /// What both ends call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// AES-CBC with a key of this length.
    pub fn cbc(&self) -> Cipher {
        if self.key.expose().len() == 16 { Cipher::Aes128Cbc } else { Cipher::Aes256Cbc }
    }

    /// AES Key Wrap with a key of this length.
    pub fn key_wrap(&self) -> Cipher {
        if self.key.expose().len() == 16 { Cipher::KwAes128 } else { Cipher::KwAes256 }
    }

    pub(crate) fn as_mac_key(&self, algorithm: MacAlgorithm) -> MacKey {
        MacKey { algorithm, key: self.key.clone() }
    }

    /// Encrypts a secret. AES Key Wrap takes multiples of 8 octets.
    pub(crate) fn encrypt(&self, cipher: Cipher, secret: &[u8], draw: &mut Draw<'_>) -> io::Result<Vec<u8>> {
        let key = self.key.expose();
        let done = match cipher {
            Cipher::Aes128Cbc | Cipher::Aes256Cbc => {
                let mut iv = [0; BLOCK];
                draw(&mut iv)?;
                let sealed = match cipher {
                    Cipher::Aes128Cbc => cbc::Encryptor::<Aes128>::new_from_slices(key, &iv)
                        .map(|mode| mode.encrypt_padded_vec::<Pkcs7>(secret)),
                    _ => cbc::Encryptor::<Aes256>::new_from_slices(key, &iv)
                        .map(|mode| mode.encrypt_padded_vec::<Pkcs7>(secret)),
                };
                sealed.ok().map(|sealed| [&iv[..], &sealed].concat())
            }
            Cipher::KwAes128 | Cipher::KwAes256 => {
                let mut wrapped = vec![0; secret.len() + aes_kw::IV_LEN];
                let fits = match cipher {
                    Cipher::KwAes128 => AesKw::<Aes128>::new_from_slice(key)
                        .is_ok_and(|kw| kw.wrap_key(secret, &mut wrapped).is_ok()),
                    _ => AesKw::<Aes256>::new_from_slice(key)
                        .is_ok_and(|kw| kw.wrap_key(secret, &mut wrapped).is_ok()),
                };
                fits.then_some(wrapped)
            }
        };
        done.ok_or_else(|| io::Error::other("the transport key has not the length of the cipher"))
    }

    /// Decrypts; `None` if that fails, which AES-CBC alone notices only sometimes.
    pub(crate) fn decrypt(&self, cipher: Cipher, sealed: &[u8]) -> Option<SecretBytes> {
        let key = self.key.expose();
        match cipher {
            Cipher::Aes128Cbc | Cipher::Aes256Cbc => {
                let (iv, body) = sealed.split_at_checked(BLOCK)?;
                let mut opened = Zeroizing::new(match cipher {
                    Cipher::Aes128Cbc => {
                        let mode = cbc::Decryptor::<Aes128>::new_from_slices(key, iv).ok()?;
                        mode.decrypt_padded_vec::<NoPadding>(body).ok()?
                    }
                    _ => {
                        let mode = cbc::Decryptor::<Aes256>::new_from_slices(key, iv).ok()?;
                        mode.decrypt_padded_vec::<NoPadding>(body).ok()?
                    }
                });
                // XML Encryption 5.2: the last octet says how many are padding; the others may be anything.
                let padding = usize::from(*opened.last()?);
                if !(1..=BLOCK).contains(&padding) {
                    return None;
                }
                let length = opened.len().checked_sub(padding)?;
                let secret = SecretBytes::from(opened.get(..length)?);
                opened.zeroize();
                Some(secret)
            }
            Cipher::KwAes128 | Cipher::KwAes256 => {
                let mut opened = Zeroizing::new(vec![0; sealed.len()]);
                let secret = match cipher {
                    Cipher::KwAes128 => {
                        AesKw::<Aes128>::new_from_slice(key).ok()?.unwrap_key(sealed, &mut opened).ok()?
                    }
                    _ => AesKw::<Aes256>::new_from_slice(key).ok()?.unwrap_key(sealed, &mut opened).ok()?,
                };
                Some(SecretBytes::from(secret))
            }
        }
    }
}

impl fmt::Debug for TransportKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TransportKey({:?}, {} octets)", self.name, self.key.expose().len())
    }
}

/// How secrets are encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// AES-CBC, the initialisation vector in front (XML Encryption 5.2.2).
    Aes128Cbc,
    /// The same with 256 bits.
    Aes256Cbc,
    /// AES Key Wrap (RFC 3394).
    KwAes128,
    /// The same with 256 bits.
    KwAes256,
}

impl Cipher {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Aes128Cbc, "http://www.w3.org/2001/04/xmlenc#aes128-cbc"),
        (Self::Aes256Cbc, "http://www.w3.org/2001/04/xmlenc#aes256-cbc"),
        (Self::KwAes128, "http://www.w3.org/2001/04/xmlenc#kw-aes128"),
        (Self::KwAes256, "http://www.w3.org/2001/04/xmlenc#kw-aes256"),
    ];

    /// Its name in XML.
    pub fn uri(self) -> &'static str {
        Self::ALL.into_iter().find(|(cipher, _)| *cipher == self).map_or("", |(_, uri)| uri)
    }

    /// The one of that name in XML.
    pub fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, known)| *known == uri).map(|(cipher, _)| cipher)
    }

    /// Octets of the key it takes.
    pub const fn key_len(self) -> usize {
        match self {
            Self::Aes128Cbc | Self::KwAes128 => 16,
            Self::Aes256Cbc | Self::KwAes256 => 32,
        }
    }

    /// Whether a transport key can be used with it.
    pub fn takes(self, key: &TransportKey) -> bool {
        key.key.expose().len() == self.key_len()
    }
}

/// How values are authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacAlgorithm {
    /// HMAC-SHA-1: what RFC 6030 makes mandatory.
    HmacSha1,
    /// HMAC-SHA-256: what is written here.
    HmacSha256,
}

impl MacAlgorithm {
    const ALL: [(Self, &'static str); 3] = [
        (Self::HmacSha1, "http://www.w3.org/2000/09/xmldsig#hmac-sha1"),
        (Self::HmacSha256, "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"),
        // What python-pskc writes.
        (Self::HmacSha256, "http://www.w3.org/2001/04/xmlenc#hmac-sha256"),
    ];

    /// Its name in XML.
    pub fn uri(self) -> &'static str {
        Self::ALL.into_iter().find(|(algorithm, _)| *algorithm == self).map_or("", |(_, uri)| uri)
    }

    /// The one of that name in XML.
    pub fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, known)| *known == uri).map(|(algorithm, _)| algorithm)
    }
}

/// The key of a file's MACs.
#[derive(Clone)]
pub(crate) struct MacKey {
    algorithm: MacAlgorithm,
    key: SecretBytes,
}

impl MacKey {
    pub fn new(algorithm: MacAlgorithm, key: SecretBytes) -> Self {
        Self { algorithm, key }
    }

    pub fn key(&self) -> &[u8] {
        self.key.expose()
    }

    pub fn mac(&self, parts: &[&[u8]]) -> Vec<u8> {
        match self.algorithm {
            MacAlgorithm::HmacSha1 => self.hmac_sha1(parts).finalize().into_bytes().to_vec(),
            MacAlgorithm::HmacSha256 => self.hmac_sha256(parts).finalize().into_bytes().to_vec(),
        }
    }

    /// In constant time, and only the whole MAC.
    pub fn verifies(&self, parts: &[&[u8]], mac: &[u8]) -> bool {
        match self.algorithm {
            MacAlgorithm::HmacSha1 => self.hmac_sha1(parts).verify_slice(mac).is_ok(),
            MacAlgorithm::HmacSha256 => self.hmac_sha256(parts).verify_slice(mac).is_ok(),
        }
    }

    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    fn hmac_sha1(&self, parts: &[&[u8]]) -> Hmac<Sha1> {
        let mut hmac = Hmac::<Sha1>::new_from_slice(self.key()).expect("any length");
        parts.iter().for_each(|part| hmac.update(part));
        hmac
    }

    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    fn hmac_sha256(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut hmac = Hmac::<Sha256>::new_from_slice(self.key()).expect("any length");
        parts.iter().for_each(|part| hmac.update(part));
        hmac
    }
}
