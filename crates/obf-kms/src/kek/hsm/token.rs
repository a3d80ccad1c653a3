//! From a module to a key: token, login, key, and whether the key is one that may be used.

use super::{HsmConfig, KekError, module::Loaded, pin::PinGuard, reason};
use crate::kek::error::Labels;
use cryptoki::{
    error::{Error, RvError},
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
    session::{Session, UserType},
    slot::{Slot, TokenInfo},
    types::AuthPin,
};

/// Opens a session on the token, logs in and finds the key.
pub fn open(
    module: &mut Loaded,
    config: &HsmConfig,
    pin: &PinGuard,
) -> Result<(Session, ObjectHandle), KekError> {
    let gone = |error: Error| KekError::Gone { token: config.token.clone(), reason: reason(&error) };
    let (slot, info) = find(module, &config.token)?;
    let session = module.context.open_ro_session(slot).map_err(gone)?;
    if info.login_required() {
        log_in(&session, &info, config, pin)?;
    }
    let key = find_key(&session, config)?;
    Ok((session, key))
}

fn find(module: &Loaded, wanted: &str) -> Result<(Slot, TokenInfo), KekError> {
    let gone = |error: Error| KekError::Gone { token: wanted.into(), reason: reason(&error) };
    let mut present = Vec::new();
    for slot in module.context.get_slots_with_token().map_err(gone)? {
        // A slot whose token was pulled out meanwhile is no reason not to look at the others.
        let Ok(info) = module.context.get_token_info(slot) else { continue };
        if info.label() == wanted {
            return Ok((slot, info));
        }
        if info.token_initialized() {
            present.push(info.label().to_owned());
        }
    }
    Err(KekError::NoToken { wanted: wanted.into(), present: Labels(present) })
}

fn log_in(session: &Session, info: &TokenInfo, config: &HsmConfig, guard: &PinGuard) -> Result<(), KekError> {
    let held = |state, remedy| Err(KekError::PinGuard { token: config.token.clone(), state, remedy });
    let unlock = "let the security officer reset it (pkcs11-tool --login --login-type so --init-pin)";
    if info.user_pin_locked() {
        return held("the user PIN is locked after wrong attempts", unlock);
    }
    if info.user_pin_final_try() {
        let remedy =
            "one more wrong PIN locks it: log in once by hand with the right one (pkcs11-tool --login)";
        return held("the user PIN has one attempt left", remedy);
    }
    let pin = guard.read()?;
    match session.login(UserType::User, Some(&AuthPin::from(pin.as_str()))) {
        Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
        Err(Error::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _)) => {
            Err(guard.refuse(&pin))
        }
        Err(Error::Pkcs11(RvError::PinLocked, _)) => {
            held("the user PIN is locked after wrong attempts", unlock)
        }
        Err(Error::Pkcs11(RvError::PinExpired, _)) => {
            held("the user PIN has expired", "set a new one (pkcs11-tool --login --change-pin)")
        }
        Err(Error::Pkcs11(RvError::UserPinNotInitialized, _)) => {
            held("no user PIN has been set", "let the security officer set one (pkcs11-tool --init-pin)")
        }
        Err(error) => Err(KekError::Gone { token: config.token.clone(), reason: reason(&error) }),
    }
}

fn find_key(session: &Session, config: &HsmConfig) -> Result<ObjectHandle, KekError> {
    let gone = |error: Error| KekError::Gone { token: config.token.clone(), reason: reason(&error) };
    let unfit = |reason: &str| KekError::UnfitKey {
        token: config.token.clone(),
        key: config.key.clone(),
        reason: reason.into(),
    };
    let mut wanted = vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::Label(config.key.clone().into_bytes()),
    ];
    if let Some(id) = &config.key_id {
        let id = obf_types::hex::decode(id)
            .ok_or_else(|| unfit("cannot be looked for: key_id is no even number of hex digits"))?;
        wanted.push(Attribute::Id(id.expose().to_vec()));
    }
    let key = match session.find_objects(&wanted).map_err(gone)?.as_slice() {
        [] => return Err(KekError::NoKey { token: config.token.clone(), key: config.key.clone() }),
        [key] => *key,
        _ => return Err(unfit("is there several times: set key_id to the CKA_ID of the one that is meant")),
    };
    let wanted = [AttributeType::Sensitive, AttributeType::Extractable, AttributeType::ValueLen];
    let attributes = session.get_attributes(key, &wanted).map_err(gone)?;
    let has = |attribute: &Attribute| attributes.contains(attribute);
    if !has(&Attribute::Sensitive(true)) || !has(&Attribute::Extractable(false)) {
        let reason = "can be taken out of the HSM, so it protects nothing: make one that is CKA_SENSITIVE and not \
                      CKA_EXTRACTABLE (docs/kms.md shows how) and set key to it";
        return Err(unfit(reason));
    }
    if attributes.iter().any(|a| matches!(a, Attribute::ValueLen(length) if **length != 32)) {
        return Err(unfit("is no AES-256 key: make one of 32 octets"));
    }
    Ok(key)
}
