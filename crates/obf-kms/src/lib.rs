//! Key management (SPEC C1, C2, R8): the only place where a subscriber key is in clear, and made so by its types.
//!
//! Keys come in as parts of a record, as lines of an import or as a key file ([`intake`]), or are drawn here
//! ([`creation`]); from then on each is a [`SubscriberKey`], which others can have wrapped ([`Sealer`]) and compared, and
//! nothing else. They are kept as envelopes under a data key with the device's primary identity as associated data (so
//! that an envelope moved to another device does not open), and go out only as vectors ([`Kms::vector`]), or in a key
//! file under a transport key. Data keys are kept wrapped under a key-encryption key ([`kek`]: a file, the environment,
//! an HSM) and are lent in clear for a time (`ring`). [`rotation`] wraps everything anew while the node serves.
//!
//! What is guaranteed by whom: no type of this crate that holds a key has a public way to an octet of it, nor to those
//! of a data key ([`kek::DataKeySecret`]), so the compiler refuses a caller who asks. What the compiler cannot see, the
//! octets of a line before they are handed over here, is bounded by tests (`ARCHITECTURE.md`).
#![forbid(unsafe_code)]

pub mod creation;
mod header;
pub mod intake;
pub mod kek;
mod kms;
mod material;
mod ring;
pub mod rotation;
mod rotation_state;
mod subscriber_key;

pub use header::{BackupHeader, NotABackup};
pub use intake::{KeyFile, KeyFileError, KeyPart, KeyedDevice};
#[cfg(feature = "pkcs11")]
pub use kek::HsmKek;
pub use kek::{HsmConfig, HsmMechanism, Kek, KekConfig, KekError, LocalKek, PinConfig};
pub use kms::{Envelope, Kms, KmsError, Sealer, drawn};
pub use material::MaterialError;
pub use obf_keyfile::{Algorithm, Fault, Format, TransportKey};
pub use ring::Settings;
pub use subscriber_key::SubscriberKey;

use material::KeyMaterial;
