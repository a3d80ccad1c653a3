//! From an error of the Resource Server to what an administrator sees; what any node may say stands in
//! [`obf_admin_http::problem`].

use crate::{
    provisioning::{
        import::{ExplainedError, ImportError},
        ingest::RowError,
    },
    registry::{FieldError, RecordError, RegistryError},
};
use hyper::StatusCode;
use obf_admin_http::Problem;
use obf_kms::KmsError;

/// For a line of an import's report.
pub fn explained(error: ImportError) -> ExplainedError {
    let Problem { code, detail, .. } = error.into();
    ExplainedError { code, detail }
}

impl From<RecordError> for Problem {
    fn from(error: RecordError) -> Self {
        Self::rule(error)
    }
}

impl From<RowError> for Problem {
    fn from(error: RowError) -> Self {
        match error {
            RowError::Record(error) => error.into(),
            RowError::File(_) => {
                let code = if error.ends_the_file() { "bad-key-file" } else { "bad-record" };
                Self { code, ..Self::rule(error) }
            }
        }
    }
}

impl From<ImportError> for Problem {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Row(error) => error.into(),
            ImportError::Registry(error) => error.into(),
        }
    }
}

impl From<FieldError> for Problem {
    fn from(error: FieldError) -> Self {
        Self::rule(error)
    }
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        let said = error.to_string();
        let (status, code, next) = match error {
            RegistryError::Conflict { .. } => {
                (StatusCode::CONFLICT, "device-conflict", "remove the device first, or correct the record")
            }
            RegistryError::UnknownDevice(_) => {
                (StatusCode::NOT_FOUND, "unknown-device", "import the device first: obf device import FILE")
            }
            RegistryError::AmbiguousDevice(_) => {
                (StatusCode::CONFLICT, "ambiguous-device", "write the kind of the identity in front")
            }
            RegistryError::UnknownCustodian(_) => {
                (StatusCode::NOT_FOUND, "unknown-custodian", "register the custodian first")
            }
            RegistryError::UnknownApplication(_) => {
                (StatusCode::NOT_FOUND, "unknown-app", "register it first: obf app add APP --cert-name NAME")
            }
            RegistryError::ApplicationConflict(_) => {
                (StatusCode::CONFLICT, "app-conflict", "remove the application first, or send it as it is")
            }
            RegistryError::Kms(KmsError::DoesNotOpen { .. }) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "wrong-kek",
                "check that kek_file is the one that this database was made with",
            ),
            RegistryError::Kms(KmsError::OtherKek { .. } | KmsError::UnknownKek { .. }) => (
                StatusCode::CONFLICT,
                "other-kek",
                "ask a server that has that key-encryption key, or give it to this one as [[resource.kms.former]]",
            ),
            RegistryError::Store(ref error) | RegistryError::Kms(KmsError::Store(ref error)) => {
                return Problem::store(error);
            }
            RegistryError::Kms(ref error) if error.is_temporary() => (
                StatusCode::SERVICE_UNAVAILABLE,
                "kms",
                "see to the cause; this works again by itself when that does",
            ),
            RegistryError::Kms(_) => (StatusCode::INTERNAL_SERVER_ERROR, "kms", "look into the server's log"),
        };
        Self::new(status, code, said, next)
    }
}
