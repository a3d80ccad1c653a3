//! A card that keeps Ks: what its processor answers, and the driver in front of it. CK and IK have no way out of the
//! processor. Copies of a [`Card`] are the same card, as another process in front of the reader has it.
#![allow(dead_code, reason = "obf-testkit's tests use it too")]

use obf_aka::{Algorithm as Key, Authentication, SqnArray, SqnLayout, SqnLimits, authenticate};
use obf_client::{
    Identities, KeyIndex, SeError, SecureElement,
    se::{Aka, AkaAnswer, KeptKs},
};
use obf_digest::AkaPassword;
use obf_token::{Algorithm, AppKey, Derivation, Ks};
use obf_types::{GlobalIdentity, KeySchema, MncLength, SecretBytes};
use std::{
    fmt,
    sync::{Arc, Mutex},
};

/// What it can do by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A UICC's GBA security context (TS 31.102 7.1.2.2): RES alone, and NAF derivation by NAF_Id and IMPI.
    Uicc,
    /// An applet that knows AKAv2's password and `obf-1`.
    Applet,
}

/// Runs in the driver before the card derives a key.
type Meanwhile = Box<dyn FnOnce() + Send>;

#[derive(Clone)]
pub struct Card {
    kind: Kind,
    imsi: String,
    processor: Arc<Mutex<Processor>>,
    meanwhile: Arc<Mutex<Option<Meanwhile>>>,
}

struct Processor {
    key: Key,
    memory: SqnArray,
    /// RAND of the last bootstrap, and what it left (EF_GBABP has the RAND).
    bootstrapped: Option<([u8; 16], Ks)>,
}

impl Card {
    pub fn new(kind: Kind, imsi: &str, key: Key) -> Self {
        let memory = SqnArray::new(SqnLayout::DEFAULT, SqnLimits::DEFAULT);
        let processor = Arc::new(Mutex::new(Processor { key, memory, bootstrapped: None }));
        Self { kind, imsi: imsi.into(), processor, meanwhile: Arc::default() }
    }

    /// As when its power was off.
    pub fn forget(&self) {
        self.processor.lock().unwrap().bootstrapped = None;
    }

    /// What happens the next time just before it derives a key.
    pub fn meanwhile(&self, happens: impl FnOnce() + Send + 'static) {
        *self.meanwhile.lock().unwrap() = Some(Box::new(happens));
    }
}

impl Processor {
    fn bootstrap(&mut self, rand: &[u8; 16], autn: &[u8; 16], algorithm: Option<Algorithm>) -> AkaAnswer {
        let success = match authenticate(&self.key, &mut self.memory, rand, autn) {
            Authentication::Success(success) => success,
            Authentication::SynchronisationFailure(auts) => {
                return AkaAnswer::SynchronisationFailure { auts };
            }
            Authentication::MacFailure => return AkaAnswer::MacFailure,
        };
        self.bootstrapped = Some((*rand, success.ks().unwrap()));
        let password = match algorithm {
            Some(Algorithm::AkaV2Sha256) => {
                let [res, ik, ck] = [&success.res, &success.ik, &success.ck].map(|output| output.expose());
                let algorithm = obf_digest::Algorithm::AKA_V2_SHA_256;
                SecretBytes::from(AkaPassword::derive(algorithm, res, ik, ck).unwrap().expose())
            }
            _ => SecretBytes::from(success.res.expose()),
        };
        AkaAnswer::Kept { password }
    }
}

impl SecureElement for Card {
    fn identities(&self) -> Result<Identities, SeError> {
        let known = [format!("iccid:{}", "8988211000000000018"), format!("imsi:{}", self.imsi)];
        let known = known.map(|identity| identity.parse::<GlobalIdentity>().unwrap());
        Ok(Identities::new(known.into(), Some(MncLength::Two)))
    }

    fn aka(&self) -> Option<&dyn Aka> {
        Some(self)
    }
}

impl Aka for Card {
    fn authenticate(
        &self,
        key: KeyIndex,
        rand: &[u8; 16],
        autn: &[u8; 16],
        algorithm: Algorithm,
    ) -> Result<AkaAnswer, SeError> {
        check(key)?;
        let algorithm = (self.kind == Kind::Applet).then_some(algorithm);
        Ok(self.processor.lock().unwrap().bootstrap(rand, autn, algorithm))
    }

    fn kept_ks(&self) -> Option<&dyn KeptKs> {
        Some(self)
    }
}

impl KeptKs for Card {
    fn strongest(&self) -> Algorithm {
        match self.kind {
            Kind::Uicc => Algorithm::AkaV1Md5,
            Kind::Applet => Algorithm::AkaV2Sha256,
        }
    }

    fn schemas(&self) -> &[KeySchema] {
        match self.kind {
            Kind::Uicc => &[KeySchema::GbaMe],
            Kind::Applet => &KeySchema::ALL,
        }
    }

    fn has(&self, key: KeyIndex, rand: &[u8; 16]) -> Result<bool, SeError> {
        check(key)?;
        Ok(self.processor.lock().unwrap().bootstrapped.as_ref().is_some_and(|(of, _)| of == rand))
    }

    fn derive(&self, key: KeyIndex, derivation: &Derivation<'_>) -> Result<AppKey, SeError> {
        check(key)?;
        if let Some(happens) = self.meanwhile.lock().unwrap().take() {
            happens();
        }
        if !self.schemas().contains(&derivation.schema()) {
            return Err(SeError::OtherSchema);
        }
        match &self.processor.lock().unwrap().bootstrapped {
            Some((rand, ks)) if rand == derivation.rand() => Ok(derivation.key(ks)),
            _ => Err(SeError::KsGone),
        }
    }
}

impl fmt::Debug for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Card<{:?}>", self.kind)
    }
}

fn check(key: KeyIndex) -> Result<(), SeError> {
    if key == KeyIndex::SUBSCRIBER { Ok(()) } else { Err(SeError::NoSuchKey(key)) }
}
