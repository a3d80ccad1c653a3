//! One authentication vector as an HLR writes it: a GSM triplet, a UMTS quintet, or both on the same RAND.

use crate::{
    element::{self, Elements, Once},
    error::DecodeError,
    iei,
};
use obf_types::{Secret, SecretBytes};

/// RES has 4 to 16 octets (TS 33.105 5.1.7.8).
const RES_LEN: (usize, usize) = (4, 16);

/// An authentication tuple.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthTuple {
    /// The challenge.
    pub rand: [u8; 16],
    /// For GSM authentication; also made from UMTS keys (TS 33.102 6.8.1.2).
    pub triplet: Option<Triplet>,
    /// For UMTS AKA; a subscriber with a GSM key only has none.
    pub quintet: Option<Quintet>,
}

/// The GSM part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Triplet {
    /// The response that is expected.
    pub sres: Secret<4>,
    /// Cipher key.
    pub kc: Secret<8>,
}

/// The UMTS part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quintet {
    /// (SQN ⊕ AK) ‖ AMF ‖ MAC-A.
    pub autn: [u8; 16],
    /// The response that is expected, 4 to 16 octets.
    pub xres: SecretBytes,
    /// Cipher key.
    pub ck: Secret<16>,
    /// Integrity key.
    pub ik: Secret<16>,
}

impl AuthTuple {
    /// Appends the tuple as an element of a message. `out` then holds keys.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[iei::AUTH_TUPLE, 0]);
        let begin = out.len();
        element::write(out, iei::RAND, &self.rand);
        if let Some(Triplet { sres, kc }) = &self.triplet {
            element::write(out, iei::SRES, sres.expose());
            element::write(out, iei::KC, kc.expose());
        }
        if let Some(Quintet { autn, xres, ck, ik }) = &self.quintet {
            element::write(out, iei::IK, ik.expose());
            element::write(out, iei::CK, ck.expose());
            element::write(out, iei::AUTN, autn);
            element::write(out, iei::RES, xres.expose());
        }
        // 106 octets with RES of 16.
        let length = (out.len() - begin) as u8;
        if let Some(place) = out.get_mut(begin - 1) {
            *place = length;
        }
    }

    pub(crate) fn read(octets: &[u8]) -> Result<Self, DecodeError> {
        let mut rand = Once::new(iei::RAND);
        let (mut sres, mut kc) = (Once::new(iei::SRES), Once::new(iei::KC));
        let (mut autn, mut res) = (Once::new(iei::AUTN), Once::new(iei::RES));
        let (mut ck, mut ik) = (Once::new(iei::CK), Once::new(iei::IK));
        for found in Elements::of(octets) {
            let (kind, value) = found?;
            match kind {
                iei::RAND => rand.set(element::array(kind, value)?)?,
                iei::SRES => sres.set(secret(kind, value)?)?,
                iei::KC => kc.set(secret(kind, value)?)?,
                iei::AUTN => autn.set(element::array(kind, value)?)?,
                iei::RES => res.set(response(value)?)?,
                iei::CK => ck.set(secret(kind, value)?)?,
                iei::IK => ik.set(secret(kind, value)?)?,
                _ => {}
            }
        }
        let triplet = match (sres.optional(), kc.optional()) {
            (None, None) => None,
            (Some(sres), Some(kc)) => Some(Triplet { sres, kc }),
            (None, Some(_)) => return Err(DecodeError::Missing { element: iei::SRES }),
            (Some(_), None) => return Err(DecodeError::Missing { element: iei::KC }),
        };
        let quintet = match (autn.optional(), res.optional(), ck.optional(), ik.optional()) {
            (None, None, None, None) => None,
            (autn, res, ck, ik) => {
                let missing = |element| DecodeError::Missing { element };
                Some(Quintet {
                    autn: autn.ok_or(missing(iei::AUTN))?,
                    xres: res.ok_or(missing(iei::RES))?,
                    ck: ck.ok_or(missing(iei::CK))?,
                    ik: ik.ok_or(missing(iei::IK))?,
                })
            }
        };
        Ok(Self { rand: rand.required()?, triplet, quintet })
    }
}

fn secret<const N: usize>(element: u8, value: &[u8]) -> Result<Secret<N>, DecodeError> {
    let length = value.len();
    Secret::from_slice(value).ok_or(DecodeError::Length { element, length, least: N, most: N })
}

fn response(value: &[u8]) -> Result<SecretBytes, DecodeError> {
    let (least, most) = RES_LEN;
    let length = value.len();
    if (least..=most).contains(&length) {
        Ok(value.into())
    } else {
        Err(DecodeError::Length { element: iei::RES, length, least, most })
    }
}
