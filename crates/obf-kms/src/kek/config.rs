//! Where a key-encryption key comes from, as the configuration says it.

use serde::Deserialize;
use std::path::PathBuf;

/// Where a key-encryption key comes from: `source = "file" | "environment" | "pkcs11"`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "source", rename_all = "kebab-case", deny_unknown_fields)]
pub enum KekConfig {
    /// A file that only its owner may read.
    File {
        /// It holds 32 octets, or 64 hex digits.
        #[serde(rename = "kek_file")]
        file: PathBuf,
    },
    /// A variable of the environment, for secrets that a supervisor hands over.
    Environment {
        /// It holds 64 hex digits.
        variable: String,
    },
    /// An HSM.
    Pkcs11(HsmConfig),
}

/// A key in an HSM, reached through PKCS#11.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HsmConfig {
    /// The maker's PKCS#11 module, a shared library.
    pub module_file: PathBuf,
    /// The label of the token.
    pub token: String,
    /// The label (`CKA_LABEL`) of the AES key in it.
    pub key: String,
    /// Its `CKA_ID` in hex digits, where several keys have the label.
    pub key_id: Option<String>,
    /// The file with the user PIN, readable by its owner only.
    pub pin_file: Option<PathBuf>,
    /// The variable of the environment with the user PIN.
    pub pin_variable: Option<String>,
    /// How new data keys are wrapped.
    #[serde(default)]
    pub mechanism: HsmMechanism,
}

/// How an HSM wraps data keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HsmMechanism {
    /// `CKM_AES_GCM` through `C_Encrypt`: bound to the data key's number.
    #[default]
    AesGcm,
    /// `CKM_AES_KEY_WRAP` (RFC 3394) through `C_WrapKey`, for HSMs without GCM or with nonces of their own.
    AesKeyWrap,
}

/// Where a PIN comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PinConfig {
    /// A file.
    File(PathBuf),
    /// A variable of the environment.
    Variable(String),
}

impl HsmConfig {
    /// Where the PIN comes from; `None` unless exactly one place is named.
    pub fn pin(&self) -> Option<PinConfig> {
        match (&self.pin_file, &self.pin_variable) {
            (Some(file), None) => Some(PinConfig::File(file.clone())),
            (None, Some(variable)) => Some(PinConfig::Variable(variable.clone())),
            _ => None,
        }
    }
}
