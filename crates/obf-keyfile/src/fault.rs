//! What can be wrong with a key file: with one record, or with the file as a whole. Never repeats a key.

use obf_types::IdentityError;

/// A fault, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// One record is bad; the next ones may be good.
    #[error("line {line}: {reason}")]
    Record {
        /// The line where it begins, from 1.
        line: u64,
        /// What is wrong.
        reason: RecordFault,
    },
    /// The file cannot be read any further.
    #[error("line {line}: {reason}")]
    File {
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        reason: FileFault,
    },
}

/// What is wrong with one record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordFault {
    /// An identity breaks the rule of its kind.
    #[error("{field}: {error}")]
    Identity {
        /// The field.
        field: &'static str,
        /// The rule.
        error: IdentityError,
    },
    /// A secure element needs an identity; an IMEI alone names a terminal.
    #[error("one of imsi, impi, iccid, eid and deveui is needed")]
    NoIdentity,
    /// A part of the key has another length.
    #[error("{field}: {wanted} octets are needed, {found} are there")]
    KeyLength {
        /// The part.
        field: &'static str,
        /// Octets it must have.
        wanted: &'static str,
        /// Octets it has.
        found: usize,
    },
    /// A field is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A field has another content than it may.
    #[error("{field}: {wanted}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is allowed.
        wanted: &'static str,
    },
    /// The MAC does not fit: the record was altered, or copied from another file.
    #[error("{0} does not verify: the record was altered, or is from another file")]
    Mac(&'static str),
    /// A secret does not decrypt although its MAC fits.
    #[error("{0} does not decrypt under the transport key")]
    Cipher(&'static str),
    /// A secret stands in clear.
    #[error("{0} is not encrypted: secrets are taken only encrypted under the transport key")]
    InClear(&'static str),
    /// A line has another number of values than the first.
    #[error("{found} values, {wanted} columns")]
    Columns {
        /// Values in the line.
        found: usize,
        /// Columns in the heading.
        wanted: usize,
    },
    /// It is longer than [`crate::MAX_RECORD`].
    #[error("longer than {} octets", crate::MAX_RECORD)]
    TooLong,
    /// The record is not UTF-8.
    #[error("not UTF-8 text")]
    Charset,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileFault {
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// It is something else.
    #[error("this is no {wanted}: {reason}")]
    Format {
        /// What was expected.
        wanted: &'static str,
        /// What shows that it is not.
        reason: String,
    },
    /// The transport key is another.
    #[error(
        "the transport key is not the one of this file{}: ask its sender for the right one (or the file was altered)",
        name(named)
    )]
    WrongKey {
        /// What the file calls its key, if it does.
        named: Option<String>,
    },
    /// The file needs a transport key of another length, or something that is not done here.
    #[error("{0}")]
    Unsupported(String),
    /// The XML is broken from here on.
    #[error("the XML is broken: {0}; what stands behind cannot be read")]
    Xml(String),
    /// A document type, or an entity of one: both can make a small file huge, and no key file needs them.
    #[error("document types and entities are not taken")]
    Dtd,
    /// One record is longer than [`crate::MAX_RECORD`].
    #[error("a record longer than {} octets", crate::MAX_RECORD)]
    TooLong,
    /// The file ends before its end.
    #[error("the file was cut short: its end is missing, so records may be too")]
    Truncated,
    /// The file says how many records it has, and has another number.
    #[error("the file has {found} records and says {said}: some were removed or added")]
    Count {
        /// Records read.
        found: u64,
        /// Records it says.
        said: String,
    },
}

fn name(named: &Option<String>) -> String {
    named.as_ref().map(|name| format!(", which is called {name:?}")).unwrap_or_default()
}

impl Fault {
    pub(crate) const fn record(line: u64, reason: RecordFault) -> Self {
        Self::Record { line, reason }
    }

    pub(crate) const fn file(line: u64, reason: FileFault) -> Self {
        Self::File { line, reason }
    }
}
