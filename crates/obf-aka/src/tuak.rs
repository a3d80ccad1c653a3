//! TUAK (TS 35.231): f1 to f5* on `Keccak-f[1600]`.

use crate::SecretOutput;
use crate::algorithm::Keys;
use crate::keccak::keccak_f1600;
use core::fmt;
use obf_types::Secret;
use zeroize::Zeroize;

/// K for TUAK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TuakKey {
    /// 128-bit K.
    Bits128(Secret<16>),
    /// 256-bit K.
    Bits256(Secret<32>),
}

impl TuakKey {
    /// K of 16 or 32 octets; `None` for any other length.
    pub fn from_slice(k: &[u8]) -> Option<Self> {
        Secret::from_slice(k).map(Self::Bits128).or_else(|| Secret::from_slice(k).map(Self::Bits256))
    }

    const fn expose(&self) -> &[u8] {
        match self {
            Self::Bits128(k) => k.expose(),
            Self::Bits256(k) => k.expose(),
        }
    }

    /// The bit that says so in INSTANCE.
    const fn instance_bit(&self) -> u8 {
        matches!(self, Self::Bits256(_)) as u8
    }
}

/// Size of MAC-A and MAC-S. AUTN and AUTS have room for 64 bits only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum MacSize {
    Bits64,
    Bits128,
    Bits256,
}

/// Size of RES.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ResSize {
    Bits32,
    Bits64,
    Bits128,
    Bits256,
}

/// Size of CK or IK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum KeySize {
    Bits128,
    Bits256,
}

/// The output sizes that an operator has chosen (TS 35.231 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TuakSizes {
    /// MAC-A and MAC-S.
    pub mac: MacSize,
    /// RES.
    pub res: ResSize,
    /// CK.
    pub ck: KeySize,
    /// IK.
    pub ik: KeySize,
}

impl TuakSizes {
    /// What UMTS, IMS and GBA use: MAC 64, RES 64, CK 128, IK 128.
    pub const DEFAULT: Self =
        Self { mac: MacSize::Bits64, res: ResSize::Bits64, ck: KeySize::Bits128, ik: KeySize::Bits128 };
}

impl Default for TuakSizes {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// TUAK keyed for one subscriber.
#[derive(Clone)]
pub struct Tuak {
    k: TuakKey,
    topc: Secret<32>,
    sizes: TuakSizes,
    iterations: u8,
}

impl Tuak {
    /// With K and TOPc, the operator's variant already bound to K. `iterations` of the permutation: 1 unless the
    /// operator says otherwise; 0 means 1.
    pub fn new(k: TuakKey, topc: &Secret<32>, sizes: TuakSizes, iterations: u8) -> Self {
        Self { k, topc: topc.clone(), sizes, iterations: iterations.max(1) }
    }

    /// With K and the operator's TOP (TS 35.231 6.1).
    pub fn with_top(k: TuakKey, top: &Secret<32>, sizes: TuakSizes, iterations: u8) -> Self {
        let mut tuak = Self::new(k, top, sizes, iterations);
        let mut out = tuak.run(tuak.k.instance_bit(), &[0; 16], &[0; 2], &[0; 6]);
        let mut topc = [0; 32];
        topc.iter_mut().zip(out.reversed(0, 32)).for_each(|(to, from)| *to = from);
        tuak.topc = Secret::new(topc);
        topc.zeroize();
        out.0.zeroize();
        tuak
    }

    /// TOPc.
    pub const fn topc(&self) -> &Secret<32> {
        &self.topc
    }

    /// The output sizes.
    pub const fn sizes(&self) -> TuakSizes {
        self.sizes
    }

    /// f1: MAC-A.
    pub fn f1(&self, rand: &[u8; 16], sqn: &[u8; 6], amf: &[u8; 2]) -> SecretOutput {
        self.mac(0x00, rand, sqn, amf)
    }

    /// f1*: MAC-S.
    pub fn f1_star(&self, rand: &[u8; 16], sqn: &[u8; 6], amf: &[u8; 2]) -> SecretOutput {
        self.mac(0x80, rand, sqn, amf)
    }

    /// f2, f3, f4 and f5: RES, CK, IK and AK.
    pub fn f2345(&self, rand: &[u8; 16]) -> Keys {
        let (res, res_bits) = match self.sizes.res {
            ResSize::Bits32 => (4, 0x00),
            ResSize::Bits64 => (8, 0x08),
            ResSize::Bits128 => (16, 0x10),
            ResSize::Bits256 => (32, 0x20),
        };
        let (ck, ck_bit) = key_size(self.sizes.ck, 0x04);
        let (ik, ik_bit) = key_size(self.sizes.ik, 0x02);
        let instance = 0x40 | res_bits | ck_bit | ik_bit | self.k.instance_bit();
        let mut out = self.run(instance, rand, &[0; 2], &[0; 6]);
        let keys = Keys {
            res: SecretOutput::collect(out.reversed(0, res), res),
            ck: SecretOutput::collect(out.reversed(32, ck), ck),
            ik: SecretOutput::collect(out.reversed(64, ik), ik),
            ak: out.ak(),
        };
        out.0.zeroize();
        keys
    }

    /// f5*: AK for resynchronisation.
    pub fn f5_star(&self, rand: &[u8; 16]) -> [u8; 6] {
        let mut out = self.run(0xc0 | self.k.instance_bit(), rand, &[0; 2], &[0; 6]);
        let ak = out.ak();
        out.0.zeroize();
        ak
    }

    fn mac(&self, function: u8, rand: &[u8; 16], sqn: &[u8; 6], amf: &[u8; 2]) -> SecretOutput {
        let (mac, mac_bits) = match self.sizes.mac {
            MacSize::Bits64 => (8, 0x08),
            MacSize::Bits128 => (16, 0x10),
            MacSize::Bits256 => (32, 0x20),
        };
        let mut out = self.run(function | mac_bits | self.k.instance_bit(), rand, amf, sqn);
        let mac = SecretOutput::collect(out.reversed(0, mac), mac);
        out.0.zeroize();
        mac
    }

    /// TS 35.231 6.2 to 6.5: TOPc ‖ INSTANCE ‖ "TUAK1.0" ‖ RAND ‖ AMF ‖ SQN ‖ K ‖ padding, each field with its
    /// last octet first, through the permutation.
    fn run(&self, instance: u8, rand: &[u8; 16], amf: &[u8; 2], sqn: &[u8; 6]) -> State {
        let mut input = [0u8; 200];
        let fields = reversed(self.topc.expose())
            .chain([instance])
            .chain(reversed(b"TUAK1.0"))
            .chain(reversed(rand))
            .chain(reversed(amf))
            .chain(reversed(sqn))
            .chain(reversed(self.k.expose()));
        input.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        input[96] = 0x1f;
        input[135] = 0x80;
        let mut lanes = [0; 25];
        for (lane, octets) in lanes.iter_mut().zip(input.as_chunks().0) {
            *lane = u64::from_le_bytes(*octets);
        }
        input.zeroize();
        (0..self.iterations).for_each(|_| keccak_f1600(&mut lanes));
        State(lanes)
    }
}

impl fmt::Debug for Tuak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tuak {{ sizes: {:?}, iterations: {} }}", self.sizes, self.iterations)
    }
}

struct State([u64; 25]);

impl State {
    /// `len` octets from `start` on, the last first.
    fn reversed(&self, start: usize, len: usize) -> impl Iterator<Item = u8> + '_ {
        (start..start + len).rev().filter_map(|at| {
            let lane = self.0.get(at / 8)?;
            Some((lane >> (8 * (at % 8))) as u8)
        })
    }

    fn ak(&self) -> [u8; 6] {
        let mut ak = [0; 6];
        ak.iter_mut().zip(self.reversed(96, 6)).for_each(|(to, from)| *to = from);
        ak
    }
}

const fn key_size(size: KeySize, bit: u8) -> (usize, u8) {
    match size {
        KeySize::Bits128 => (16, 0),
        KeySize::Bits256 => (32, bit),
    }
}

fn reversed(field: &[u8]) -> impl Iterator<Item = u8> + '_ {
    field.iter().rev().copied()
}
