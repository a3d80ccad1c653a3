//! Key-encryption keys: what data keys are wrapped under (SPEC R8). A KEK wraps and unwraps data keys and does nothing
//! else; a KEK in an HSM never leaves it.
//!
//! [`local`] has KEKs of a file or the environment, [`hsm`] those behind PKCS#11. Calls block: [`super::Kms`] makes
//! them away from the async threads, and only when a data key is made, renewed or re-wrapped.

mod config;
mod error;
#[cfg(feature = "pkcs11")]
mod hsm;
mod local;

pub use config::{HsmConfig, HsmMechanism, KekConfig, PinConfig};
pub use error::KekError;
#[cfg(feature = "pkcs11")]
pub use hsm::HsmKek;
pub use local::LocalKek;

use obf_token::SealingKey;
use obf_types::Secret;
use std::{fmt, sync::Arc, time::Duration};
use tokio::{task::spawn_blocking, time::timeout};

/// How long an HSM may take until its key is found.
const OPENING: Duration = Duration::from_secs(30);

/// A key-encryption key, wherever it is.
pub trait Kek: fmt::Debug + Send + Sync {
    /// What it is called beside every data key wrapped under it. Says nothing of the key.
    fn name(&self) -> &str;

    /// Whether unwrapping goes to a device that can be away: what was unwrapped is then only lent for a time.
    fn is_remote(&self) -> bool;

    /// Wraps a data key, bound to its number.
    ///
    /// # Errors
    /// [`KekError`].
    fn wrap(&self, id: u32, key: &DataKeySecret) -> Result<Vec<u8>, KekError>;

    /// Unwraps the data key of that number.
    ///
    /// # Errors
    /// [`KekError`].
    fn unwrap(&self, id: u32, wrapped: &[u8]) -> Result<DataKeySecret, KekError>;
}

/// A data key in clear: goes into a [`Kek`] and comes out of one. No other crate sees an octet of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataKeySecret(Secret<32>);

impl DataKeySecret {
    /// Of those octets.
    pub const fn new(octets: Secret<32>) -> Self {
        Self(octets)
    }

    pub(crate) const fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    pub(crate) fn sealing_key(&self, id: u32) -> SealingKey {
        SealingKey::new(id, &self.0)
    }
}

/// Gets a key-encryption key ready. Blocks.
///
/// # Errors
/// [`KekError`] says what is wrong and what to do.
pub fn open(config: &KekConfig) -> Result<Arc<dyn Kek>, KekError> {
    Ok(match config {
        KekConfig::File { file } => Arc::new(LocalKek::from_file(file)?),
        KekConfig::Environment { variable } => Arc::new(LocalKek::from_environment(variable)?),
        #[cfg(feature = "pkcs11")]
        KekConfig::Pkcs11(hsm) => Arc::new(HsmKek::open(hsm)?),
        #[cfg(not(feature = "pkcs11"))]
        KekConfig::Pkcs11(_) => return Err(KekError::NotBuiltIn),
    })
}

/// As [`open`], away from the async threads, and with an end to the patience with an HSM that does not answer.
///
/// # Errors
/// [`KekError`]; [`KekError::Gone`] after 30 s.
pub async fn open_in_time(config: KekConfig) -> Result<Arc<dyn Kek>, KekError> {
    let token = match &config {
        KekConfig::Pkcs11(hsm) => hsm.token.clone(),
        _ => return open(&config),
    };
    let opening = timeout(OPENING, spawn_blocking(move || open(&config))).await;
    let gone = |reason: String| KekError::Gone { token, reason };
    match opening {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => Err(gone(error.to_string())),
        Err(_) => Err(gone(format!("no answer within {} s", OPENING.as_secs()))),
    }
}

/// What a wrapped data key is bound to: `obf data key`, a zero octet, its number.
fn associated(id: u32) -> [u8; 17] {
    let mut octets = *b"obf data key\0\0\0\0\0";
    if let Some(last) = octets.last_chunk_mut::<4>() {
        *last = id.to_be_bytes();
    }
    octets
}

fn drawn<const N: usize>() -> Result<[u8; N], KekError> {
    let mut octets = [0; N];
    getrandom::fill(&mut octets).map_err(|error| KekError::NoRandomness(error.to_string()))?;
    Ok(octets)
}
