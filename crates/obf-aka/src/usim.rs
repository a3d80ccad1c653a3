//! The subscriber's side: MAC-A, freshness of SQN, AUTS (TS 33.102 6.3.3, C.2).

use crate::vector::{RESYNCHRONISATION_AMF, ks, xor};
use crate::{AUTN_LEN, AUTS_LEN, Algorithm, MAX_IND_BITS, RAND_LEN, SecretOutput, Sqn, SqnLayout};
use obf_types::Secret;
use subtle::ConstantTimeEq;

/// Limits of SQN acceptance in a USIM (TS 33.102 C.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SqnLimits {
    /// Δ: the greatest jump forward of SEQ that is accepted.
    pub delta: u64,
    /// L: SEQ must be above the highest accepted minus this; `None` sets no age limit.
    pub age: Option<u64>,
}

impl SqnLimits {
    /// Δ = 2^28 and no age limit, as in the profiles of TS 33.102 C.3.
    pub const DEFAULT: Self = Self { delta: 1 << 28, age: None };
}

impl Default for SqnLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The SQN memory of a USIM: for each IND the highest SEQ accepted (TS 33.102 C.2.2).
///
/// Whoever holds it writes it to stable storage before the answer of [`authenticate`] leaves, otherwise a
/// challenge could be played again after a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqnArray {
    layout: SqnLayout,
    limits: SqnLimits,
    highest: [u64; 1 << MAX_IND_BITS],
}

impl SqnArray {
    /// A new USIM's: nothing accepted yet.
    pub const fn new(layout: SqnLayout, limits: SqnLimits) -> Self {
        Self { layout, limits, highest: [0; 1 << MAX_IND_BITS] }
    }

    /// One read back from storage: [`Self::highest`] in the order of IND. `None` unless there are as many as the
    /// layout has places and each is a SEQ.
    pub fn restore(layout: SqnLayout, limits: SqnLimits, highest: &[u64]) -> Option<Self> {
        let mut array = Self::new(layout, limits);
        if highest.len() != layout.places() || highest.iter().any(|seq| *seq > layout.max_seq()) {
            return None;
        }
        array.highest.iter_mut().zip(highest).for_each(|(place, seq)| *place = *seq);
        Some(array)
    }

    /// The highest SEQ accepted, for each IND.
    pub fn highest(&self) -> &[u64] {
        self.highest.get(..self.layout.places()).unwrap_or(&self.highest)
    }

    /// SEQ and IND.
    pub const fn layout(&self) -> SqnLayout {
        self.layout
    }

    /// SQN_MS: the highest SQN accepted anywhere in the array.
    pub fn sqn_ms(&self) -> Sqn {
        let places = self.highest().iter().zip(0u8..);
        places.filter_map(|(seq, ind)| self.layout.sqn(*seq, ind).ok()).max().unwrap_or_default()
    }

    /// Accepts a fresh SQN and remembers it, or leaves all as it was and says no.
    pub fn accept(&mut self, sqn: Sqn) -> bool {
        let seq = self.layout.seq(sqn);
        let highest = self.layout.seq(self.sqn_ms());
        if seq.saturating_sub(highest) > self.limits.delta {
            return false;
        }
        if self.limits.age.is_some_and(|age| highest.saturating_sub(seq) >= age) {
            return false;
        }
        match self.highest.get_mut(usize::from(self.layout.ind(sqn))) {
            Some(place) if seq > *place => {
                *place = seq;
                true
            }
            _ => false,
        }
    }
}

/// What a USIM says to a challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// The network proved itself; here is the answer.
    Success(Success),
    /// The network proved itself but SQN is not fresh: AUTS asks for resynchronisation.
    SynchronisationFailure([u8; AUTS_LEN]),
    /// MAC-A is wrong: this is not the home network. No more is said.
    MacFailure,
}

/// RES, CK and IK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Success {
    /// The response.
    pub res: SecretOutput,
    /// Cipher key.
    pub ck: SecretOutput,
    /// Integrity key.
    pub ik: SecretOutput,
}

impl Success {
    /// Ks = CK ‖ IK (TS 33.220 B.3); `None` unless both have 128 bits.
    pub fn ks(&self) -> Option<Secret<32>> {
        self.ck.octets_16().zip(self.ik.octets_16()).map(|(ck, ik)| ks(ck, ik))
    }
}

/// Answers a challenge as a USIM does: MAC-A first (constant time), then freshness (TS 33.102 6.3.3).
///
/// On success `memory` has changed; store it before the answer is used.
pub fn authenticate(
    algorithm: &Algorithm,
    memory: &mut SqnArray,
    rand: &[u8; RAND_LEN],
    autn: &[u8; AUTN_LEN],
) -> Authentication {
    let [c0, c1, c2, c3, c4, c5, f0, f1, mac_a @ ..] = *autn;
    let keys = algorithm.f2345(rand);
    let sqn = xor([c0, c1, c2, c3, c4, c5], keys.ak);
    let expected = algorithm.f1(rand, &sqn, &[f0, f1]);
    if !bool::from(expected.ct_eq(&mac_a)) {
        return Authentication::MacFailure;
    }
    if !memory.accept(Sqn::from_octets(sqn)) {
        return Authentication::SynchronisationFailure(auts(algorithm, rand, memory.sqn_ms()));
    }
    Authentication::Success(Success { res: keys.res, ck: keys.ck, ik: keys.ik })
}

/// AUTS = (SQN_MS ⊕ AK*) ‖ MAC-S.
fn auts(algorithm: &Algorithm, rand: &[u8; RAND_LEN], sqn_ms: Sqn) -> [u8; AUTS_LEN] {
    let sqn_ms = sqn_ms.octets();
    let [c0, c1, c2, c3, c4, c5] = xor(sqn_ms, algorithm.f5_star(rand));
    let [m0, m1, m2, m3, m4, m5, m6, m7] = algorithm.f1_star(rand, &sqn_ms, &RESYNCHRONISATION_AMF);
    [c0, c1, c2, c3, c4, c5, m0, m1, m2, m3, m4, m5, m6, m7]
}
