//! One subscriber's algorithm, whichever it is.

use crate::{MacSize, Milenage, SecretOutput, Tuak};
use core::fmt;
use obf_types::Secret;

/// Milenage or TUAK, keyed for one subscriber and fit for AUTN and AUTS (64-bit MAC).
#[derive(Clone, Debug)]
pub struct Algorithm(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Milenage(Milenage),
    Tuak(Tuak),
}

/// AUTN and AUTS hold a MAC of 64 bits; the subscriber's TUAK is set to this size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MacSizeUnsupported(pub MacSize);

/// What f2 to f5 put out for one RAND.
#[derive(Clone, Debug)]
pub struct Keys {
    /// f2: RES, or XRES at the home environment.
    pub res: SecretOutput,
    /// f3: CK.
    pub ck: SecretOutput,
    /// f4: IK.
    pub ik: SecretOutput,
    /// f5: AK, which hides SQN.
    pub ak: [u8; 6],
}

/// f1 to f5 for one (RAND, SQN, AMF).
pub(crate) struct Challenge {
    pub mac_a: [u8; 8],
    pub keys: Keys,
}

impl Algorithm {
    /// Milenage with K and OPc.
    #[inline]
    pub fn milenage(k: &Secret<16>, opc: &Secret<16>) -> Self {
        Self(Kind::Milenage(Milenage::new(k, opc)))
    }

    /// TUAK.
    ///
    /// # Errors
    /// [`MacSizeUnsupported`] unless its MAC size is 64 bits.
    pub fn tuak(tuak: Tuak) -> Result<Self, MacSizeUnsupported> {
        match tuak.sizes().mac {
            MacSize::Bits64 => Ok(Self(Kind::Tuak(tuak))),
            other => Err(MacSizeUnsupported(other)),
        }
    }

    /// Whether CK and IK have 128 bits each, so that Ks = CK ‖ IK has 256.
    pub fn has_128_bit_keys(&self) -> bool {
        use crate::KeySize::Bits128;
        match &self.0 {
            Kind::Milenage(_) => true,
            Kind::Tuak(tuak) => (tuak.sizes().ck, tuak.sizes().ik) == (Bits128, Bits128),
        }
    }

    pub(crate) fn f1(&self, rand: &[u8; 16], sqn: &[u8; 6], amf: &[u8; 2]) -> [u8; 8] {
        match &self.0 {
            Kind::Milenage(milenage) => milenage.f1(rand, sqn, amf),
            Kind::Tuak(tuak) => mac_64(&tuak.f1(rand, sqn, amf)),
        }
    }

    pub(crate) fn f1_star(&self, rand: &[u8; 16], sqn: &[u8; 6], amf: &[u8; 2]) -> [u8; 8] {
        match &self.0 {
            Kind::Milenage(milenage) => milenage.f1_star(rand, sqn, amf),
            Kind::Tuak(tuak) => mac_64(&tuak.f1_star(rand, sqn, amf)),
        }
    }

    pub(crate) fn f2345(&self, rand: &[u8; 16]) -> Keys {
        match &self.0 {
            Kind::Milenage(milenage) => milenage.f2345(rand),
            Kind::Tuak(tuak) => tuak.f2345(rand),
        }
    }

    pub(crate) fn f5_star(&self, rand: &[u8; 16]) -> [u8; 6] {
        match &self.0 {
            Kind::Milenage(milenage) => milenage.f5_star(rand),
            Kind::Tuak(tuak) => tuak.f5_star(rand),
        }
    }

    pub(crate) fn f12345(&self, rand: &[u8; 16], sqn: &[u8; 6], amf: &[u8; 2]) -> Challenge {
        match &self.0 {
            Kind::Milenage(milenage) => milenage.f12345(rand, sqn, amf),
            Kind::Tuak(tuak) => Challenge { mac_a: mac_64(&tuak.f1(rand, sqn, amf)), keys: tuak.f2345(rand) },
        }
    }
}

impl From<Milenage> for Algorithm {
    fn from(milenage: Milenage) -> Self {
        Self(Kind::Milenage(milenage))
    }
}

impl fmt::Display for MacSizeUnsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = match self.0 {
            MacSize::Bits64 => 64,
            MacSize::Bits128 => 128,
            MacSize::Bits256 => 256,
        };
        write!(f, "AUTN has room for a MAC of 64 bits, this TUAK is set to {bits}")
    }
}

impl core::error::Error for MacSizeUnsupported {}

/// The constructor has made sure that there are 8 octets.
fn mac_64(mac: &SecretOutput) -> [u8; 8] {
    let mut out = [0; 8];
    out.iter_mut().zip(mac.expose()).for_each(|(to, from)| *to = *from);
    out
}
