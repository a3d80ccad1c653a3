//! The PIN of a token: a wrong one is tried once and never again, because HSMs lock.

use super::{HsmConfig, KekError};
use crate::kek::PinConfig;
use obf_files::SecretFile;
use obf_types::SecretBytes;
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

/// Where the PIN comes from, and the one that was refused.
pub struct PinGuard {
    from: PinConfig,
    token: String,
    refused: Mutex<Option<SecretBytes>>,
}

impl PinGuard {
    pub fn new(config: &HsmConfig) -> Result<Self, KekError> {
        let token = config.token.clone();
        let from = config.pin().ok_or_else(|| KekError::NoPin {
            token: token.clone(),
            reason: "set exactly one of pin_file and pin_variable".into(),
        })?;
        Ok(Self { from, token, refused: Mutex::new(None) })
    }

    /// The PIN, read anew each time so that a corrected one is used; the refused one is not handed out.
    pub fn read(&self) -> Result<Zeroizing<String>, KekError> {
        let no_pin = |reason: String| KekError::NoPin { token: self.token.clone(), reason };
        let text = match &self.from {
            PinConfig::File(path) => {
                let text = SecretFile::open_private(path).and_then(|file| file.text());
                text.map_err(|error| no_pin(error.to_string()))?
            }
            PinConfig::Variable(name) => {
                std::env::var(name).map(Zeroizing::new).map_err(|_| no_pin(format!("set ${name}")))?
            }
        };
        if text.is_empty() {
            return Err(no_pin(format!("{} is empty", self.place())));
        }
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.as_ref().is_some_and(|refused| *refused == SecretBytes::from(text.as_bytes())) {
            return Err(self.wrong());
        }
        Ok(text)
    }

    /// Remembers that this PIN was refused.
    pub fn refuse(&self, pin: &str) -> KekError {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        *refused = Some(SecretBytes::from(pin.as_bytes()));
        self.wrong()
    }

    fn wrong(&self) -> KekError {
        let remedy = match self.from {
            PinConfig::File(_) => "; it is read again by itself",
            PinConfig::Variable(_) => " and start this server again",
        };
        KekError::WrongPin { token: self.token.clone(), from: self.place(), remedy }
    }

    fn place(&self) -> String {
        match &self.from {
            PinConfig::File(path) => path.display().to_string(),
            PinConfig::Variable(name) => format!("${name}"),
        }
    }
}
