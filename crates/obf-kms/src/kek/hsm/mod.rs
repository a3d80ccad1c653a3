//! A key-encryption key in an HSM: it wraps and unwraps data keys there and never leaves.
//!
//! Taken only if the token says `CKA_SENSITIVE` and not `CKA_EXTRACTABLE`. A wrapped data key is one octet that says how
//! it was wrapped (1 AES-GCM, 2 AES Key Wrap), then for AES-GCM the nonce (12), then ciphertext (and tag).

mod module;
mod pin;
mod token;

use super::{DataKeySecret, HsmConfig, HsmMechanism, Kek, KekError, associated, drawn};
use cryptoki::{
    context::Function,
    error::{Error, RvError},
    mechanism::{Mechanism, aead::GcmParams},
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
    session::Session,
};
use module::Module;
use obf_types::Secret;
use pin::PinGuard;
use std::{fmt, sync::Arc};
use zeroize::{Zeroize, Zeroizing};

const GCM: u8 = 1;
const KEY_WRAP: u8 = 2;
const NONCE_LEN: usize = 12;
const TAG_BITS: u64 = 128;

/// A key in an HSM. Its name is `pkcs11:<token>/<key>`.
pub struct HsmKek {
    name: String,
    config: HsmConfig,
    module: Arc<Module>,
    pin: PinGuard,
}

impl HsmKek {
    /// Loads the module, finds the token, logs in and finds the key.
    ///
    /// # Errors
    /// [`KekError`] says which of these failed and what to do.
    pub fn open(config: &HsmConfig) -> Result<Self, KekError> {
        let name = match &config.key_id {
            None => format!("pkcs11:{}/{}", config.token, config.key),
            Some(id) => format!("pkcs11:{}/{}#{}", config.token, config.key, id.to_ascii_lowercase()),
        };
        let module = Module::load(&config.module_file)?;
        let kek = Self { name, config: config.clone(), module, pin: PinGuard::new(config)? };
        kek.with_key(|_, _| Ok(()))?;
        Ok(kek)
    }

    /// Runs `work` with the key. If it fails on a session that was open before, that may have died with the HSM's
    /// connection: the session is opened anew, once.
    fn with_key<T>(&self, work: impl Fn(&Session, ObjectHandle) -> Result<T, Error>) -> Result<T, KekError> {
        let mut module = self.module.lock();
        if let Some((session, key)) = module.session(&self.name)
            && let Ok(done) = work(session, *key)
        {
            return Ok(done);
        }
        module.close(&self.name);
        let opened = match token::open(&mut module, &self.config, &self.pin) {
            // A module that lost its HSM finds it again only when it is initialised anew.
            Err(error) if error.is_temporary() => {
                module.restart(&self.config.module_file)?;
                token::open(&mut module, &self.config, &self.pin)?
            }
            other => other?,
        };
        let (session, key) = module.keep(&self.name, opened);
        work(session, key).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &Error) -> KekError {
        if let Error::Pkcs11(RvError::MechanismInvalid | RvError::KeyFunctionNotPermitted, _) = error {
            let remedy =
                "set mechanism to the other of aes-gcm and aes-key-wrap, or make a key that may do it";
            let reason = format!("does not do {:?} ({}): {remedy}", self.config.mechanism, reason(error));
            let (token, key) = (self.config.token.clone(), self.config.key.clone());
            return KekError::UnfitKey { token, key, reason };
        }
        KekError::Gone { token: self.config.token.clone(), reason: reason(error) }
    }

    fn encrypt(&self, id: u32, key: &DataKeySecret) -> Result<Vec<u8>, KekError> {
        let nonce = drawn::<NONCE_LEN>()?;
        let sealed = self.with_key(|session, kek| {
            let (mut iv, aad) = (nonce, associated(id));
            let mechanism = Mechanism::AesGcm(GcmParams::new(&mut iv, &aad, TAG_BITS.into())?);
            session.encrypt(&mechanism, kek, key.expose())
        })?;
        Ok([&[GCM], &nonce[..], &sealed].concat())
    }

    fn decrypt(&self, id: u32, nonce: &[u8; NONCE_LEN], sealed: &[u8]) -> Result<Option<Vec<u8>>, KekError> {
        self.with_key(|session, kek| {
            let (mut iv, aad) = (*nonce, associated(id));
            let mechanism = Mechanism::AesGcm(GcmParams::new(&mut iv, &aad, TAG_BITS.into())?);
            verdict(session.decrypt(&mechanism, kek, sealed))
        })
    }

    fn wrap_key(&self, key: &DataKeySecret) -> Result<Vec<u8>, KekError> {
        let wrapped = self.with_key(|session, kek| {
            let mut template = [
                Attribute::Class(ObjectClass::SECRET_KEY),
                Attribute::KeyType(KeyType::AES),
                Attribute::Token(false),
                Attribute::Sensitive(true),
                Attribute::Extractable(true),
                Attribute::Value(key.expose().to_vec()),
            ];
            let created = session.create_object(&template);
            if let Some(Attribute::Value(copy)) = template.last_mut() {
                copy.zeroize();
            }
            let object = created?;
            let wrapped = session.wrap_key(&Mechanism::AesKeyWrap, kek, object);
            session.destroy_object(object)?;
            wrapped
        })?;
        Ok([&[KEY_WRAP], &wrapped[..]].concat())
    }

    fn unwrap_key(&self, wrapped: &[u8]) -> Result<Option<Vec<u8>>, KekError> {
        self.with_key(|session, kek| {
            let template = [
                Attribute::Class(ObjectClass::SECRET_KEY),
                Attribute::KeyType(KeyType::AES),
                Attribute::Token(false),
                Attribute::Sensitive(false),
                Attribute::Extractable(true),
            ];
            let object = match verdict(session.unwrap_key(&Mechanism::AesKeyWrap, kek, wrapped, &template))? {
                Some(object) => object,
                None => return Ok(None),
            };
            let value = session.get_attributes(object, &[AttributeType::Value]);
            session.destroy_object(object)?;
            Ok(value?.into_iter().find_map(|attribute| match attribute {
                Attribute::Value(value) => Some(value),
                _ => None,
            }))
        })
    }
}

impl Kek for HsmKek {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn wrap(&self, id: u32, key: &DataKeySecret) -> Result<Vec<u8>, KekError> {
        match self.config.mechanism {
            HsmMechanism::AesGcm => self.encrypt(id, key),
            HsmMechanism::AesKeyWrap => self.wrap_key(key),
        }
    }

    fn unwrap(&self, id: u32, wrapped: &[u8]) -> Result<DataKeySecret, KekError> {
        let opened = match wrapped.split_first() {
            Some((&GCM, rest)) => match rest.split_first_chunk() {
                Some((nonce, sealed)) => self.decrypt(id, nonce, sealed)?,
                None => None,
            },
            Some((&KEY_WRAP, rest)) => self.unwrap_key(rest)?,
            _ => None,
        };
        let opened =
            opened.map(Zeroizing::new).and_then(|octets| Secret::from_slice(&octets)).map(DataKeySecret::new);
        opened.ok_or_else(|| KekError::DoesNotOpen { id, kek: self.name.clone() })
    }
}

impl fmt::Debug for HsmKek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HsmKek({})", self.name)
    }
}

/// Tells "this is not what the key made" (an answer) from everything else (a failure). Modules differ in the code.
fn verdict<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(done) => Ok(Some(done)),
        Err(Error::Pkcs11(
            RvError::EncryptedDataInvalid
            | RvError::EncryptedDataLenRange
            | RvError::WrappedKeyInvalid
            | RvError::WrappedKeyLenRange,
            _,
        )) => Ok(None),
        // SoftHSM's word for a tag that does not fit; a session that is gone has failed before.
        Err(Error::Pkcs11(RvError::GeneralError, Function::Decrypt | Function::UnwrapKey)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a module said, short.
fn reason(error: &Error) -> String {
    match error {
        Error::Pkcs11(code, function) => format!("{function}: {code:?}"),
        other => other.to_string(),
    }
}
