//! Sequence numbers: 48 bits, SEQ ‖ IND (TS 33.102 Annex C).

use crate::SqnLimits;
use core::fmt;

/// The most IND bits: the array of a USIM has 2^5 = 32 places in all profiles of TS 33.102 C.3.
pub const MAX_IND_BITS: u8 = 5;

/// A sequence number, 48 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sqn(u64);

/// SEQ has reached its last value: the subscriber needs a new key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SqnExhausted;

impl Sqn {
    /// The greatest value, 2^48 − 1.
    pub const MAX: Self = Self((1 << 48) - 1);

    /// A number of at most 48 bits; `None` if it is greater.
    pub const fn new(number: u64) -> Option<Self> {
        if number <= Self::MAX.0 { Some(Self(number)) } else { None }
    }

    /// From its six octets, most significant first.
    pub const fn from_octets([a, b, c, d, e, f]: [u8; 6]) -> Self {
        Self(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }

    /// Its six octets, most significant first.
    pub const fn octets(self) -> [u8; 6] {
        let [_, _, a, b, c, d, e, f] = self.0.to_be_bytes();
        [a, b, c, d, e, f]
    }

    /// The number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// How SQN divides into SEQ and IND. HE and USIM must agree on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SqnLayout {
    ind_bits: u8,
}

impl SqnLayout {
    /// 5 bits of IND, as in the profiles of TS 33.102 C.3.
    pub const DEFAULT: Self = Self { ind_bits: MAX_IND_BITS };

    /// With so many bits of IND, 0 to [`MAX_IND_BITS`]; `None` for more.
    pub const fn new(ind_bits: u8) -> Option<Self> {
        if ind_bits <= MAX_IND_BITS { Some(Self { ind_bits }) } else { None }
    }

    /// Bits of IND.
    pub const fn ind_bits(self) -> u8 {
        self.ind_bits
    }

    /// How many values IND has: places in a USIM's array.
    pub const fn places(self) -> usize {
        1 << self.ind_bits
    }

    /// The greatest SEQ.
    pub const fn max_seq(self) -> u64 {
        Sqn::MAX.0 >> self.ind_bits
    }

    /// SEQ of a sequence number.
    pub const fn seq(self, sqn: Sqn) -> u64 {
        sqn.0 >> self.ind_bits
    }

    /// IND of a sequence number.
    pub const fn ind(self, sqn: Sqn) -> u8 {
        (sqn.0 & (self.places() as u64 - 1)) as u8
    }

    /// SEQ ‖ IND, `ind` modulo the number of places.
    ///
    /// # Errors
    /// [`SqnExhausted`] if `seq` does not fit.
    pub const fn sqn(self, seq: u64, ind: u8) -> Result<Sqn, SqnExhausted> {
        if seq > self.max_seq() {
            return Err(SqnExhausted);
        }
        Ok(Sqn((seq << self.ind_bits) | (ind as u64 % self.places() as u64)))
    }

    /// SQN_HE after a verified AUTS said SQN_MS (TS 33.102 6.3.5): unchanged if the next SQN, made with
    /// [`CounterScheme`], would be accepted, otherwise SQN_MS.
    ///
    /// The HE knows only the highest SQN that the USIM has accepted, so "accepted" means above it and within
    /// the USIM's `delta`.
    pub fn resynchronise(self, limits: SqnLimits, sqn_he: Sqn, sqn_ms: Sqn) -> Sqn {
        let (next, highest) = (self.seq(sqn_he) + 1, self.seq(sqn_ms));
        let accepted = next > highest && next - highest <= limits.delta && next <= self.max_seq();
        if accepted { sqn_he } else { sqn_ms }
    }
}

impl Default for SqnLayout {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Sequence numbers that are not time-based (TS 33.102 C.1.1.2): SEQ is one more for each vector, SQN_HE is kept per subscriber.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CounterScheme {
    /// SEQ and IND.
    pub layout: SqnLayout,
}

impl CounterScheme {
    /// The SQN after SQN_HE, for the node with this IND; it is the new SQN_HE.
    ///
    /// # Errors
    /// [`SqnExhausted`] after the last SEQ.
    pub fn next(self, sqn_he: Sqn, ind: u8) -> Result<Sqn, SqnExhausted> {
        self.layout.sqn(self.layout.seq(sqn_he) + 1, ind)
    }
}

/// Twelve hex digits.
impl fmt::Display for Sqn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012x}", self.0)
    }
}

impl fmt::Display for SqnExhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sequence numbers are exhausted, the subscriber needs a new key")
    }
}

impl core::error::Error for SqnExhausted {}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTER: CounterScheme = CounterScheme { layout: SqnLayout::DEFAULT };

    #[test]
    fn counter_ends_instead_of_wrapping() {
        assert_eq!(COUNTER.next(Sqn::MAX, 0), Err(SqnExhausted));
        let last = Sqn::new(Sqn::MAX.number() - 32).unwrap();
        assert_eq!(COUNTER.next(last, 31), Ok(Sqn::MAX));
        assert_eq!(Sqn::new(1 << 48), None);
        assert_eq!(SqnLayout::new(6), None);
    }

    #[test]
    fn ts_33_102_6_3_5_sets_sqn_he_only_when_the_next_would_be_refused() {
        let layout = SqnLayout::DEFAULT;
        let sqn = |seq| layout.sqn(seq, 3).unwrap();
        let after = |he, ms| layout.resynchronise(SqnLimits::DEFAULT, sqn(he), sqn(ms));
        assert_eq!(after(10, 5), sqn(10), "in range: an old AUTS cannot turn the counter back");
        assert_eq!(after(5, 5), sqn(5), "the next is fresh");
        assert_eq!(after(4, 5), sqn(5), "the next equals SEQ_MS");
        assert_eq!(after((1 << 28) + 4, 5), sqn((1 << 28) + 4), "the last that delta allows");
        assert_eq!(after((1 << 28) + 5, 5), sqn(5), "beyond delta");
    }
}
