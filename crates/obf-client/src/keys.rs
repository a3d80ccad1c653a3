//! Application keys, through whichever has Ks: this process or the secure element. These calls block as the element's do.

use crate::{KeyIndex, SeError, SecureElement, se::Aka};
use obf_rpb::SecurityAssociation;
use obf_token::AppKey;
use obf_types::NafId;

/// The key of an application for one security protocol.
///
/// # Errors
/// [`SeError::KsGone`] if it is an element that had Ks and has it no longer; other [`SeError`]s of one that has it.
pub fn app_key(
    association: &SecurityAssociation,
    naf: &NafId,
    se: &dyn SecureElement,
    key: KeyIndex,
) -> Result<AppKey, SeError> {
    match association.app_key(naf) {
        Some(app_key) => Ok(app_key),
        None => {
            let kept = se.aka().and_then(Aka::kept_ks).ok_or(SeError::KsGone)?;
            kept.derive(key, &association.derivation(naf))
        }
    }
}

/// Whether Ks is still where the association says. In an element it gives way to that of the next AUTHENTICATE, which
/// another process may have made, or another element may be in the reader.
///
/// # Errors
/// [`SeError`] of the element.
pub fn is_there(
    association: &SecurityAssociation,
    se: &dyn SecureElement,
    key: KeyIndex,
) -> Result<bool, SeError> {
    if !association.ks.is_in_element() {
        return Ok(true);
    }
    match se.aka().and_then(Aka::kept_ks) {
        Some(kept) => kept.has(key, association.id.rand()),
        None => Ok(false),
    }
}
