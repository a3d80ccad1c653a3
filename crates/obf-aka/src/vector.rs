//! The home environment's side: authentication vectors and resynchronisation (TS 33.102 6.3.2, 6.3.5).

use crate::algorithm::Challenge;
use crate::{AUTN_LEN, AUTS_LEN, Algorithm, Amf, RAND_LEN, SecretOutput, Sqn};
use obf_types::Secret;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// One authentication vector (quintet). It serves for one challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AkaVector {
    /// The challenge.
    pub rand: [u8; RAND_LEN],
    /// (SQN ⊕ AK) ‖ AMF ‖ MAC-A.
    pub autn: [u8; AUTN_LEN],
    /// The response that is expected: 8 octets with Milenage, 4 to 32 with TUAK.
    pub xres: SecretOutput,
    /// Cipher key: 16 octets, or 32 with TUAK if it is set so.
    pub ck: SecretOutput,
    /// Integrity key: 16 octets, or 32 with TUAK if it is set so.
    pub ik: SecretOutput,
}

impl AkaVector {
    /// Ks = CK ‖ IK (TS 33.220 B.3); `None` unless both have 128 bits.
    pub fn ks(&self) -> Option<Secret<32>> {
        self.ck.octets_16().zip(self.ik.octets_16()).map(|(ck, ik)| ks(ck, ik))
    }
}

/// A vector for a RAND drawn by the caller (16 fresh random octets) and an SQN that it never uses again.
pub fn generate_vector(algorithm: &Algorithm, rand: &[u8; RAND_LEN], sqn: Sqn, amf: Amf) -> AkaVector {
    let Challenge { mac_a, keys } = algorithm.f12345(rand, &sqn.octets(), &amf.octets());
    let [s0, s1, s2, s3, s4, s5] = xor(sqn.octets(), keys.ak);
    let [f0, f1] = amf.octets();
    let [m0, m1, m2, m3, m4, m5, m6, m7] = mac_a;
    AkaVector {
        rand: *rand,
        autn: [s0, s1, s2, s3, s4, s5, f0, f1, m0, m1, m2, m3, m4, m5, m6, m7],
        xres: keys.res,
        ck: keys.ck,
        ik: keys.ik,
    }
}

/// SQN_MS out of an AUTS, or `None` if its MAC-S is wrong (compared in constant time).
///
/// `rand` is that of the challenge which the AUTS answers. What to do with the result:
/// [`SqnLayout::resynchronise`](crate::SqnLayout::resynchronise).
pub fn verify_auts(algorithm: &Algorithm, rand: &[u8; RAND_LEN], auts: &[u8; AUTS_LEN]) -> Option<Sqn> {
    let [c0, c1, c2, c3, c4, c5, mac_s @ ..] = *auts;
    let sqn_ms = xor([c0, c1, c2, c3, c4, c5], algorithm.f5_star(rand));
    let expected = algorithm.f1_star(rand, &sqn_ms, &RESYNCHRONISATION_AMF);
    bool::from(expected.ct_eq(&mac_s)).then(|| Sqn::from_octets(sqn_ms))
}

/// AMF* in f1*: all zero, so that it need not be sent along (TS 33.102 6.3.3).
pub(crate) const RESYNCHRONISATION_AMF: [u8; 2] = [0, 0];

pub(crate) fn xor(a: [u8; 6], b: [u8; 6]) -> [u8; 6] {
    let mut out = a;
    out.iter_mut().zip(b).for_each(|(out, b)| *out ^= b);
    out
}

/// Ks = CK ‖ IK (TS 33.220 B.3), for AKAv1 and AKAv2 alike.
pub fn ks(ck: &[u8; 16], ik: &[u8; 16]) -> Secret<32> {
    let mut octets = [0; 32];
    octets.iter_mut().zip(ck.iter().chain(ik)).for_each(|(to, from)| *to = *from);
    let ks = Secret::new(octets);
    octets.zeroize();
    ks
}
