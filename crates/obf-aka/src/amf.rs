//! The authentication management field and its separation bit (TS 33.102 Annex F, H).

use core::fmt;

/// An AMF whose separation bit (bit 0, the most significant) is 0: a vector made with it can never open an EPS
/// or 5G access network. There is no value of this type with the bit set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Amf([u8; 2]);

/// The separation bit was 1 where only non-EPS vectors are made or passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeparationBitSet;

impl Amf {
    /// `0000`, the registry's default.
    pub const ZERO: Self = Self([0, 0]);

    /// This AMF with the separation bit cleared.
    pub const fn clearing_separation_bit([high, low]: [u8; 2]) -> Self {
        Self([high & 0x7f, low])
    }

    /// This AMF, refused if its separation bit is set.
    ///
    /// # Errors
    /// [`SeparationBitSet`].
    pub const fn refusing_separation_bit(octets: [u8; 2]) -> Result<Self, SeparationBitSet> {
        if octets[0] & 0x80 == 0 { Ok(Self(octets)) } else { Err(SeparationBitSet) }
    }

    /// The AMF inside an AUTN, refused if its separation bit is set: the check on a vector from elsewhere.
    ///
    /// # Errors
    /// [`SeparationBitSet`].
    pub const fn of_autn(autn: &[u8; crate::AUTN_LEN]) -> Result<Self, SeparationBitSet> {
        Self::refusing_separation_bit([autn[6], autn[7]])
    }

    /// The two octets.
    pub const fn octets(self) -> [u8; 2] {
        self.0
    }
}

impl fmt::Display for SeparationBitSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the separation bit of the AMF is set: an EPS vector, not one for this use")
    }
}

impl core::error::Error for SeparationBitSet {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separation_bit_is_cleared_or_refused() {
        assert_eq!(Amf::clearing_separation_bit([0xb9, 0xb9]).octets(), [0x39, 0xb9]);
        assert_eq!(Amf::refusing_separation_bit([0x80, 0]), Err(SeparationBitSet));
        assert_eq!(Amf::refusing_separation_bit([0x7f, 0xff]).unwrap().octets(), [0x7f, 0xff]);
        let mut autn = [0; 16];
        assert_eq!(Amf::of_autn(&autn), Ok(Amf::ZERO));
        autn[6] = 0x80;
        assert_eq!(Amf::of_autn(&autn), Err(SeparationBitSet));
    }
}
