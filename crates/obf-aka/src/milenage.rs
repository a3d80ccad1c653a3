//! Milenage (TS 35.206): f1 to f5* on AES-128.

use crate::SecretOutput;
use crate::algorithm::{Challenge, Keys};
use aes::cipher::consts::U16;
use aes::cipher::{BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser, KeyInit};
use aes::{Aes128Enc, Block};
use core::fmt;
use obf_types::Secret;

/// Milenage keyed for one subscriber. The AES key schedule is expanded once, here; every call uses it.
#[derive(Clone)]
pub struct Milenage {
    cipher: Aes128Enc,
    opc: Secret<16>,
}

impl Milenage {
    /// With K and OPc, the operator's variant already bound to K.
    #[inline]
    pub fn new(k: &Secret<16>, opc: &Secret<16>) -> Self {
        Self { cipher: Aes128Enc::new(k.expose().into()), opc: opc.clone() }
    }

    /// With K and the operator's OP (TS 35.206 4.1: OPc = E_K(OP) ⊕ OP).
    pub fn with_op(k: &Secret<16>, op: &Secret<16>) -> Self {
        let cipher = Aes128Enc::new(k.expose().into());
        let mut block = Block::from(*op.expose());
        cipher.encrypt_block(&mut block);
        let opc = u128::from_be_bytes(block.0) ^ u128::from_be_bytes(*op.expose());
        Self { cipher, opc: Secret::new(opc.to_be_bytes()) }
    }

    /// OPc.
    pub const fn opc(&self) -> &Secret<16> {
        &self.opc
    }

    /// f1: MAC-A.
    pub fn f1(&self, rand: &[u8; 16], sqn: &[u8; 6], amf: &[u8; 2]) -> [u8; 8] {
        let [out1] = self.run(rand, |temp, opc| [in1(temp, opc, sqn, amf)]);
        halves(out1).0
    }

    /// f1*: MAC-S.
    pub fn f1_star(&self, rand: &[u8; 16], sqn: &[u8; 6], amf: &[u8; 2]) -> [u8; 8] {
        let [out1] = self.run(rand, |temp, opc| [in1(temp, opc, sqn, amf)]);
        halves(out1).1
    }

    /// f2, f3, f4 and f5: RES (8 octets), CK, IK (16 each) and AK.
    pub fn f2345(&self, rand: &[u8; 16]) -> Keys {
        keys(self.run(rand, |temp, opc| [in2(temp, opc), in3(temp, opc), in4(temp, opc)]))
    }

    /// f5*: AK for resynchronisation.
    pub fn f5_star(&self, rand: &[u8; 16]) -> [u8; 6] {
        let [out5] = self.run(rand, |temp, opc| [in5(temp, opc)]);
        ak(out5)
    }

    /// f1 to f5 at once.
    pub(crate) fn f12345(&self, rand: &[u8; 16], sqn: &[u8; 6], amf: &[u8; 2]) -> Challenge {
        let [out1, out2, out3, out4] = self.run(rand, |temp, opc| {
            [in1(temp, opc, sqn, amf), in2(temp, opc), in3(temp, opc), in4(temp, opc)]
        });
        Challenge { mac_a: halves(out1).0, keys: keys([out2, out3, out4]) }
    }

    /// TEMP = E_K(RAND ⊕ OPc), then OUTn = E_K(INn) ⊕ OPc for each of the inputs that `inputs` makes of
    /// (TEMP, OPc).
    #[inline]
    fn run<const N: usize, F>(&self, rand: &[u8; 16], inputs: F) -> [u128; N]
    where
        F: FnOnce(u128, u128) -> [u128; N],
    {
        let opc = u128::from_be_bytes(*self.opc.expose());
        let mut out = [0; N];
        let first = u128::from_be_bytes(*rand) ^ opc;
        self.cipher.encrypt_with_backend(TwoSteps { first, opc, inputs, out: &mut out });
        out
    }
}

/// All AES calls of one function group in one go: the cipher's choice of instructions is made once, and the
/// calls of the second step, which do not depend on one another, are in flight together.
struct TwoSteps<'a, const N: usize, F> {
    first: u128,
    opc: u128,
    inputs: F,
    out: &'a mut [u128; N],
}

impl<const N: usize, F> BlockSizeUser for TwoSteps<'_, N, F> {
    type BlockSize = U16;
}

impl<const N: usize, F> BlockCipherEncClosure for TwoSteps<'_, N, F>
where
    F: FnOnce(u128, u128) -> [u128; N],
{
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let mut temp = Block::from(self.first.to_be_bytes());
        backend.encrypt_block((&mut temp).into());
        let inputs = (self.inputs)(u128::from_be_bytes(temp.0), self.opc);
        for (out, input) in self.out.iter_mut().zip(inputs) {
            let mut block = Block::from(input.to_be_bytes());
            backend.encrypt_block((&mut block).into());
            *out = u128::from_be_bytes(block.0) ^ self.opc;
        }
    }
}

impl fmt::Debug for Milenage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Milenage")
    }
}

// TS 35.206 4.1: INn with the rotations r1 to r5 and the constants c1 to c5.
#[inline]
fn in1(temp: u128, opc: u128, sqn: &[u8; 6], amf: &[u8; 2]) -> u128 {
    let ([a, b, c, d, e, f], [g, h]) = (*sqn, *amf);
    let half = u128::from(u64::from_be_bytes([a, b, c, d, e, f, g, h]));
    temp ^ (((half << 64) | half) ^ opc).rotate_left(64)
}

const fn in2(temp: u128, opc: u128) -> u128 {
    (temp ^ opc) ^ 1
}

const fn in3(temp: u128, opc: u128) -> u128 {
    (temp ^ opc).rotate_left(32) ^ 2
}

const fn in4(temp: u128, opc: u128) -> u128 {
    (temp ^ opc).rotate_left(64) ^ 4
}

const fn in5(temp: u128, opc: u128) -> u128 {
    (temp ^ opc).rotate_left(96) ^ 8
}

fn keys([out2, out3, out4]: [u128; 3]) -> Keys {
    Keys {
        res: SecretOutput::of(halves(out2).1),
        ck: SecretOutput::of(out3.to_be_bytes()),
        ik: SecretOutput::of(out4.to_be_bytes()),
        ak: ak(out2),
    }
}

const fn halves(out: u128) -> ([u8; 8], [u8; 8]) {
    (((out >> 64) as u64).to_be_bytes(), (out as u64).to_be_bytes())
}

const fn ak(out: u128) -> [u8; 6] {
    let [a, b, c, d, e, f, ..] = out.to_be_bytes();
    [a, b, c, d, e, f]
}
