//! Milenage (TS 35.206): f1 to f5* on AES-128.

use crate::SecretOutput;
use crate::algorithm::{Challenge, Keys};
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128Enc, Block};
use core::fmt;
use obf_types::Secret;
use zeroize::Zeroize;

/// Milenage keyed for one subscriber. The AES key schedule is expanded once, here; every call uses it.
#[derive(Clone)]
pub struct Milenage {
    cipher: Aes128Enc,
    opc: Secret<16>,
}

impl Milenage {
    /// With K and OPc, the operator's variant already bound to K.
    pub fn new(k: &Secret<16>, opc: &Secret<16>) -> Self {
        Self { cipher: Aes128Enc::new(k.expose().into()), opc: opc.clone() }
    }

    /// With K and the operator's OP (TS 35.206 4.1: OPc = E_K(OP) ⊕ OP).
    pub fn with_op(k: &Secret<16>, op: &Secret<16>) -> Self {
        let cipher = Aes128Enc::new(k.expose().into());
        let mut block = Block::from(*op.expose());
        cipher.encrypt_block(&mut block);
        let opc = u128::from_be_bytes(block.0) ^ u128::from_be_bytes(*op.expose());
        block.0.zeroize();
        Self { cipher, opc: Secret::new(opc.to_be_bytes()) }
    }

    /// OPc.
    pub const fn opc(&self) -> &Secret<16> {
        &self.opc
    }

    /// f1: MAC-A.
    pub fn f1(&self, rand: &[u8; 16], sqn: &[u8; 6], amf: &[u8; 2]) -> [u8; 8] {
        let [out1] = self.encrypt([self.in1(self.temp(rand), sqn, amf)]);
        halves(out1).0
    }

    /// f1*: MAC-S.
    pub fn f1_star(&self, rand: &[u8; 16], sqn: &[u8; 6], amf: &[u8; 2]) -> [u8; 8] {
        let [out1] = self.encrypt([self.in1(self.temp(rand), sqn, amf)]);
        halves(out1).1
    }

    /// f2, f3, f4 and f5: RES (8 octets), CK, IK (16 each) and AK.
    pub fn f2345(&self, rand: &[u8; 16]) -> Keys {
        let turned = self.temp(rand) ^ self.opc_number();
        keys(self.encrypt([in2(turned), in3(turned), in4(turned)]))
    }

    /// f5*: AK for resynchronisation.
    pub fn f5_star(&self, rand: &[u8; 16]) -> [u8; 6] {
        let turned = self.temp(rand) ^ self.opc_number();
        let [out5] = self.encrypt([turned.rotate_left(96) ^ 8]);
        ak(out5)
    }

    /// f1 to f5 at once, their four blocks in flight together.
    pub(crate) fn f12345(&self, rand: &[u8; 16], sqn: &[u8; 6], amf: &[u8; 2]) -> Challenge {
        let temp = self.temp(rand);
        let turned = temp ^ self.opc_number();
        let [out1, out2, out3, out4] =
            self.encrypt([self.in1(temp, sqn, amf), in2(turned), in3(turned), in4(turned)]);
        Challenge { mac_a: halves(out1).0, keys: keys([out2, out3, out4]) }
    }

    fn opc_number(&self) -> u128 {
        u128::from_be_bytes(*self.opc.expose())
    }

    /// TEMP = E_K(RAND ⊕ OPc).
    fn temp(&self, rand: &[u8; 16]) -> u128 {
        let mut block = Block::from((u128::from_be_bytes(*rand) ^ self.opc_number()).to_be_bytes());
        self.cipher.encrypt_block(&mut block);
        u128::from_be_bytes(block.0)
    }

    fn in1(&self, temp: u128, sqn: &[u8; 6], amf: &[u8; 2]) -> u128 {
        let [a, b, c, d, e, f] = *sqn;
        let half = u64::from_be_bytes([a, b, c, d, e, f, amf[0], amf[1]]);
        let in1 = u128::from(half) << 64 | u128::from(half);
        temp ^ (in1 ^ self.opc_number()).rotate_left(64)
    }

    /// E_K(block) ⊕ OPc for each of them.
    fn encrypt<const N: usize>(&self, inputs: [u128; N]) -> [u128; N] {
        let opc = self.opc_number();
        let mut blocks = inputs.map(|input| Block::from(input.to_be_bytes()));
        self.cipher.encrypt_blocks(&mut blocks);
        let outputs = blocks.map(|block| u128::from_be_bytes(block.0) ^ opc);
        blocks.iter_mut().for_each(|block| block.0.zeroize());
        outputs
    }
}

impl fmt::Debug for Milenage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Milenage")
    }
}

// TS 35.206 4.1: rotations r2 to r4 and constants c2 to c4.
const fn in2(turned: u128) -> u128 {
    turned ^ 1
}

const fn in3(turned: u128) -> u128 {
    turned.rotate_left(32) ^ 2
}

const fn in4(turned: u128) -> u128 {
    turned.rotate_left(64) ^ 4
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
