//! What a bootstrap yields on the device.

use super::DeviceKs;
use alloc::boxed::Box;
use obf_token::{AppKey, Derivation, Method, Obf1Context, Technology, TokenId};
use obf_types::{Domain, GlobalIdentity, KeySchema, NafId, UnixTime};

/// The device's security association: the token and what its keys are derived from.
#[derive(Clone, Debug)]
pub struct SecurityAssociation {
    /// The token's id.
    pub id: TokenId,
    /// Its key, here or in the secure element.
    pub ks: DeviceKs,
    /// The schema of the application keys.
    pub schema: KeySchema,
    /// When it expires, by the server's clock.
    pub expires: UnixTime,
    /// The user name sent: P1 of `gba-me`.
    pub username: Box<str>,
    /// The registered identity, as the server said under its proof; always there with `obf-1`.
    pub identity: Option<GlobalIdentity>,
    /// The server's bootstrap counter of this device; 0 if it did not say.
    pub counter: u64,
    /// The Authentication Server's domain.
    pub domain: Domain,
    /// The technology that authenticated, as the server said under its proof: a secure element need not know which it is of.
    pub technology: Technology,
    /// How the two authenticated. After AKAv2 the caller's minimum for this server rises to it.
    pub method: Method,
}

impl SecurityAssociation {
    /// The key for one application and one security protocol; `None` where the secure element keeps Ks: then it derives the key
    /// from [`Self::derivation`].
    pub fn app_key(&self, naf: &NafId) -> Option<AppKey> {
        self.ks.key(&self.derivation(naf))
    }

    /// What the key for one application and one security protocol is derived from besides Ks.
    pub fn derivation<'a>(&'a self, naf: &'a NafId) -> Derivation<'a> {
        let rand = self.id.rand();
        match (self.schema, &self.identity) {
            (KeySchema::Obf1, Some(identity)) => Derivation::Obf1 {
                context: Obf1Context {
                    rand,
                    identity,
                    technology: self.technology,
                    as_domain: &self.domain,
                    counter: self.counter,
                    method: self.method,
                },
                naf,
            },
            _ => Derivation::GbaMe { rand, impi: self.username.as_bytes(), naf },
        }
    }
}
