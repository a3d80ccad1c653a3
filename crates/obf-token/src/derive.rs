//! Application keys from Ks: `gba-me` (TS 33.220 Annex B) and `obf-1` (WIRES "Keys and vectors").

use crate::{AppKey, Ks, Method, Technology};
use hmac::{Hmac, KeyInit, Mac};
use obf_types::{Domain, GlobalIdentity, KeySchema, NafId};
use sha2::Sha256;

/// Everything but Ks that one application key is derived from: what a device asks its secure element with where Ks is
/// inside. Whoever keeps several Ks knows by RAND which is meant.
#[derive(Clone, Copy, Debug)]
pub enum Derivation<'a> {
    /// `gba-me`: what a UICC's NAF derivation mode computes, too (TS 31.102 7.1.2.2; Ks_ext_NAF there).
    GbaMe {
        /// RAND of the bootstrap.
        rand: &'a [u8; 16],
        /// IMPI: octet for octet the user name of the bootstrap.
        impi: &'a [u8],
        /// The application and the security protocol.
        naf: &'a NafId,
    },
    /// `obf-1`.
    Obf1 {
        /// What it binds besides.
        context: Obf1Context<'a>,
        /// The application and the security protocol.
        naf: &'a NafId,
    },
}

impl Derivation<'_> {
    /// Its schema.
    pub const fn schema(&self) -> KeySchema {
        match self {
            Self::GbaMe { .. } => KeySchema::GbaMe,
            Self::Obf1 { .. } => KeySchema::Obf1,
        }
    }

    /// RAND of the bootstrap whose Ks is meant.
    pub const fn rand(&self) -> &[u8; 16] {
        match self {
            Self::GbaMe { rand, .. } => rand,
            Self::Obf1 { context, .. } => context.rand,
        }
    }

    /// The key.
    pub fn key(&self, ks: &Ks) -> AppKey {
        match self {
            Self::GbaMe { rand, impi, naf } => gba_me(ks, rand, impi, naf),
            Self::Obf1 { context, naf } => obf_1(ks, context, naf),
        }
    }
}

/// Ks_NAF exactly as TS 33.220 B.3: HMAC-SHA-256(Ks, 01 ‖ "gba-me" ‖ RAND ‖ IMPI ‖ NAF_Id), each parameter
/// followed by its length. `impi` is octet for octet the `username` that the UE sent.
pub fn gba_me(ks: &Ks, rand: &[u8; 16], impi: &[u8], naf: &NafId) -> AppKey {
    let mut kdf = Kdf::new(ks, &[0x01]);
    kdf.parameter(&[b"gba-me"]);
    kdf.parameter(&[rand]);
    kdf.parameter(&[impi]);
    kdf.parameter(&[naf.app.as_str().as_bytes(), &naf.ua.0]);
    kdf.finish()
}

/// What `obf-1` binds besides Ks and NAF_Id (SPEC T).
#[derive(Clone, Copy, Debug)]
pub struct Obf1Context<'a> {
    /// P1: RAND of the bootstrap.
    pub rand: &'a [u8; 16],
    /// P2: the device's registered identity (type octet ‖ text).
    pub identity: &'a GlobalIdentity,
    /// P4: the technology that authenticated it.
    pub technology: Technology,
    /// P5: the AS's domain.
    pub as_domain: &'a Domain,
    /// P6: the AS's bootstrap counter of this device, 8 octets big-endian.
    pub counter: u64,
    /// P7: mode ‖ algorithm.
    pub method: Method,
}

/// The application key under `obf-1`: HMAC-SHA-256(Ks, FF F0 ‖ "obf-1" ‖ P1 … P7), each parameter followed by its length.
pub fn obf_1(ks: &Ks, context: &Obf1Context<'_>, naf: &NafId) -> AppKey {
    let mut kdf = Kdf::new(ks, &[0xFF, 0xF0]);
    kdf.parameter(&[b"obf-1"]);
    kdf.parameter(&[context.rand]);
    kdf.parameter(&[&[context.identity.kind() as u8], context.identity.value().as_bytes()]);
    kdf.parameter(&[naf.app.as_str().as_bytes(), &naf.ua.0]);
    kdf.parameter(&[&[context.technology as u8]]);
    kdf.parameter(&[context.as_domain.as_str().as_bytes()]);
    kdf.parameter(&[&context.counter.to_be_bytes()]);
    kdf.parameter(&[&context.method.octets()]);
    kdf.finish()
}

/// The key derivation function of TS 33.220 B.2: S = FC ‖ P0 ‖ L0 ‖ P1 ‖ L1 …, L two octets big-endian.
struct Kdf(Hmac<Sha256>);

impl Kdf {
    fn new(ks: &Ks, function_code: &[u8]) -> Self {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mut mac =
            <Hmac<Sha256> as KeyInit>::new_from_slice(ks.expose()).expect("HMAC takes keys of any length");
        mac.update(function_code);
        Self(mac)
    }

    /// One parameter, given in pieces. Every parameter here is far below 65,536 octets: names and identities are
    /// at most 253, user names are bounded by the header limit of RPB.
    fn parameter(&mut self, pieces: &[&[u8]]) {
        let mut length = 0u16;
        for piece in pieces {
            self.0.update(piece);
            length = length.wrapping_add(piece.len() as u16);
        }
        self.0.update(&length.to_be_bytes());
    }

    fn finish(self) -> AppKey {
        AppKey::new(self.0.finalize().into_bytes().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Algorithm;
    use alloc::{string::String, vec::Vec};
    use obf_types::{AppId, IdentityKind, UaId};

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
    }

    #[test]
    fn ts_33_220_b_3_gba_me_vectors() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/vectors/gba_kdf.json")).unwrap();
        let cases = vectors["gba"].as_array().unwrap();
        let mut checked = 0;
        for case in cases {
            let text = |name: &str| String::from(case[name].as_str().unwrap());
            let ks = Ks::from_slice(&hex(&(text("ck") + &text("ik")))).unwrap();
            let rand: [u8; 16] = hex(&text("rand")).try_into().unwrap();
            for derived in case["derived"].as_array().unwrap() {
                let naf = NafId {
                    app: AppId::new(&text("naf_fqdn")).unwrap(),
                    ua: UaId::from_hex(derived["ua_id"].as_str().unwrap()).unwrap(),
                };
                let key = gba_me(&ks, &rand, text("impi").as_bytes(), &naf);
                assert_eq!(key.expose().as_slice(), hex(derived["ks_naf"].as_str().unwrap()), "{derived}");
                checked += 1;
            }
        }
        assert!(checked >= 3 * 4);
    }

    #[test]
    fn every_parameter_of_obf_1_changes_the_key() {
        let naf = |app: &str, ua| NafId { app: AppId::new(app).unwrap(), ua };
        let ks = Ks::new([7; 32]);
        let imsi = GlobalIdentity::new(IdentityKind::Imsi, "001010000000001").unwrap();
        let other = GlobalIdentity::new(IdentityKind::Imsi, "001010000000002").unwrap();
        let (domain, other_domain) =
            (Domain::new("as.example").unwrap(), Domain::new("as2.example").unwrap());
        let base = Obf1Context {
            rand: &[1; 16],
            identity: &imsi,
            technology: Technology::ThreeGpp,
            as_domain: &domain,
            counter: 1,
            method: Method::Aka(Algorithm::AkaV2Sha256),
        };
        let track = naf("track.example", UaId::TLS13_PSK);
        let mut keys = alloc::vec![
            obf_1(&ks, &base, &track),
            obf_1(&Ks::new([8; 32]), &base, &track),
            obf_1(&ks, &base, &naf("track2.example", UaId::TLS13_PSK)),
            obf_1(&ks, &base, &naf("track.example", UaId::tls12(0xA8))),
            obf_1(&ks, &Obf1Context { rand: &[2; 16], ..base }, &track),
            obf_1(&ks, &Obf1Context { identity: &other, ..base }, &track),
            obf_1(&ks, &Obf1Context { technology: Technology::Standalone, ..base }, &track),
            obf_1(&ks, &Obf1Context { as_domain: &other_domain, ..base }, &track),
            obf_1(&ks, &Obf1Context { counter: 2, ..base }, &track),
            obf_1(&ks, &Obf1Context { technology: Technology::LoRaWan, ..base }, &track),
            obf_1(&ks, &Obf1Context { method: Method::Aka(Algorithm::AkaV1Md5), ..base }, &track),
            gba_me(&ks, &[1; 16], b"001010000000001", &track),
        ];
        let count = keys.len();
        keys.sort_by(|a, b| a.expose().cmp(b.expose()));
        keys.dedup_by(|a, b| a.expose() == b.expose());
        assert_eq!(keys.len(), count);
    }
}
