//! Subscribers of a measurement: numbered identities and keys, their import lines, and a SIM that answers challenges.

use anyhow::Result;
use obf_aka::{Algorithm, Authentication, SqnArray, SqnLayout, SqnLimits, authenticate};
use obf_rpb::client::AkaAnswer;
use obf_types::{Secret, SecretBytes};

/// A numbered subscriber with Milenage keys.
pub struct Subscriber {
    /// 15 digits under test network 001/01.
    pub imsi: String,
    k: [u8; 16],
    opc: [u8; 16],
    sqn: SqnArray,
}

impl Subscriber {
    /// Number `number`; the same number is always the same subscriber.
    pub fn numbered(number: u64) -> Self {
        let mut k = [0x4b; 16];
        k.iter_mut().zip(number.to_be_bytes()).for_each(|(slot, octet)| *slot = octet);
        let layout = SqnLayout::default();
        Self {
            imsi: format!("00101{number:010}"),
            k,
            opc: k.map(|octet| octet ^ 0x5c),
            sqn: SqnArray::new(layout, SqnLimits::default()),
        }
    }

    /// Its line for `obf device import`.
    pub fn import_line(&self) -> String {
        let hex = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
        format!(
            "{{\"imsi\":\"{}\",\"algorithm\":\"milenage\",\"k\":\"{}\",\"opc\":\"{}\",\"amf\":\"0000\",\"sqn\":\"000000000000\"}}\n",
            self.imsi,
            hex(&self.k),
            hex(&self.opc)
        )
    }

    /// AUTHENTICATE as a USIM does it.
    ///
    /// # Errors
    /// The challenge is malformed.
    pub fn answer(&mut self, rand: &[u8; 16], autn: &[u8; 16]) -> Result<AkaAnswer> {
        let algorithm = Algorithm::milenage(&Secret::new(self.k), &Secret::new(self.opc));
        Ok(match authenticate(&algorithm, &mut self.sqn, rand, autn) {
            Authentication::Success(success) => AkaAnswer::HandedOut {
                res: SecretBytes::from(success.res.expose()),
                ck: Secret::from_slice(success.ck.expose())
                    .ok_or_else(|| anyhow::anyhow!("CK of 16 octets"))?,
                ik: Secret::from_slice(success.ik.expose())
                    .ok_or_else(|| anyhow::anyhow!("IK of 16 octets"))?,
            },
            Authentication::SynchronisationFailure(auts) => AkaAnswer::SynchronisationFailure { auts },
            Authentication::MacFailure => AkaAnswer::MacFailure,
        })
    }
}
