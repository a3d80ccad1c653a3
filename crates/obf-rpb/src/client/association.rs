//! What a bootstrap yields on the device.

use alloc::boxed::Box;
use obf_token::{AppKey, Ks, Method, Obf1Context, Technology, TokenId, derive};
use obf_types::{Domain, GlobalIdentity, KeySchema, NafId, UnixTime};

/// The device's security association: the token and what its keys are derived from.
#[derive(Clone, Debug)]
pub struct SecurityAssociation {
    /// The token's id.
    pub id: TokenId,
    /// Its key. Never leaves the device.
    pub ks: Ks,
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
    /// The technology that authenticated.
    pub technology: Technology,
    /// How the two authenticated. After AKAv2 the caller's minimum for this server rises to it.
    pub method: Method,
}

impl SecurityAssociation {
    /// The key for one application and one security protocol.
    pub fn app_key(&self, naf: &NafId) -> AppKey {
        match (self.schema, &self.identity) {
            (KeySchema::Obf1, Some(identity)) => {
                let context = Obf1Context {
                    rand: self.id.rand(),
                    identity,
                    technology: self.technology,
                    as_domain: &self.domain,
                    counter: self.counter,
                    method: self.method,
                };
                derive::obf_1(&self.ks, &context, naf)
            }
            _ => derive::gba_me(&self.ks, self.id.rand(), self.username.as_bytes(), naf),
        }
    }
}
