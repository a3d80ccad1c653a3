//! What the key functions put out, where the algorithm decides the size.

use core::fmt;
use subtle::ConstantTimeEq;
use zeroize::{ZeroizeOnDrop, optimization_barrier};

/// 4 to 32 secret octets (RES, CK, IK; TUAK's MAC): erased on drop, compared in constant time, never printed.
#[derive(Clone)]
pub struct SecretOutput {
    octets: [u8; Self::MAX],
    len: u8,
}

impl SecretOutput {
    /// The longest output of any function, octets.
    pub const MAX: usize = 32;

    /// A copy of up to [`Self::MAX`] octets; `None` if there are more.
    pub fn from_slice(from: &[u8]) -> Option<Self> {
        let mut octets = [0; Self::MAX];
        octets.get_mut(..from.len())?.copy_from_slice(from);
        Some(Self { octets, len: from.len() as u8 })
    }

    /// The octets themselves; keep the borrow short.
    pub fn expose(&self) -> &[u8] {
        self.octets.get(..usize::from(self.len)).unwrap_or(&self.octets)
    }

    /// The octets, if they are 16.
    pub fn octets_16(&self) -> Option<&[u8; 16]> {
        self.expose().try_into().ok()
    }

    /// An array of `N` ≤ 32 octets.
    #[inline]
    pub(crate) fn of<const N: usize>(from: [u8; N]) -> Self {
        const { assert!(N <= Self::MAX) };
        let mut octets = [0; Self::MAX];
        octets.iter_mut().zip(&from).for_each(|(to, from)| *to = *from);
        Self { octets, len: N as u8 }
    }

    /// `len` octets (at most 32) out of an iterator that has as many.
    pub(crate) fn collect(from: impl Iterator<Item = u8>, len: usize) -> Self {
        let len = len.min(Self::MAX);
        let mut octets = [0; Self::MAX];
        octets.iter_mut().zip(from.take(len)).for_each(|(to, from)| *to = from);
        Self { octets, len: len as u8 }
    }
}

/// Erases all octets in two or three stores; a volatile store for each would cost more than making a vector.
impl Drop for SecretOutput {
    #[inline]
    fn drop(&mut self) {
        self.octets = [0; Self::MAX];
        optimization_barrier(&self.octets);
    }
}

impl ZeroizeOnDrop for SecretOutput {}

impl PartialEq for SecretOutput {
    fn eq(&self, other: &Self) -> bool {
        self.expose().ct_eq(other.expose()).into()
    }
}

impl Eq for SecretOutput {}

impl fmt::Debug for SecretOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretOutput<{} octets>", self.len)
    }
}
