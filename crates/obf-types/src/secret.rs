//! Keys as types: erased on drop, compared in constant time, never printed.

use alloc::vec::Vec;
use core::fmt;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// A secret of `N` octets. `Debug` shows only its size; equality is constant-time.
#[derive(Clone, ZeroizeOnDrop)]
pub struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Secret<N> {
    /// Takes over the octets.
    pub const fn new(octets: [u8; N]) -> Self {
        Self(octets)
    }

    /// The octets, or `None` if there are not exactly `N`.
    pub fn from_slice(octets: &[u8]) -> Option<Self> {
        octets.try_into().ok().map(Self)
    }

    /// The octets themselves; keep the borrow short.
    pub const fn expose(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> Zeroize for Secret<N> {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

impl<const N: usize> PartialEq for Secret<N> {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl<const N: usize> Eq for Secret<N> {}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret<{N} octets>")
    }
}

/// A secret of variable length: erased on drop, compared in constant time, never printed.
#[derive(Clone)]
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// Takes over the octets.
    pub fn new(octets: Vec<u8>) -> Self {
        Self(Zeroizing::new(octets))
    }

    /// The octets themselves; keep the borrow short.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for SecretBytes {
    fn from(octets: &[u8]) -> Self {
        Self::new(octets.to_vec())
    }
}

impl PartialEq for SecretBytes {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SecretBytes {}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBytes<{} octets>", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn debug_shows_no_octet() {
        let secret = Secret::new([0xAB; 16]);
        assert_eq!(format!("{secret:?}"), "Secret<16 octets>");
        assert_eq!(format!("{:?}", SecretBytes::new([0xAB; 3].to_vec())), "SecretBytes<3 octets>");
    }

    #[test]
    fn secrets_are_equal_by_value() {
        assert_eq!(Secret::new([1; 4]), Secret::new([1; 4]));
        assert_ne!(Secret::new([1; 4]), Secret::new([2; 4]));
        assert!(Secret::<4>::from_slice(&[1; 5]).is_none());
    }
}
