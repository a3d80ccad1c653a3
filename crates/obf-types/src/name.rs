//! DNS names as the framework uses them: lower-case A-labels, exact, never a wildcard.

use alloc::boxed::Box;
use core::{borrow::Borrow, fmt, str::FromStr};

/// Why a text is not a name of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// Empty, or one label only where a dot is required.
    TooFewLabels,
    /// Longer than the limit given, in octets.
    TooLong {
        /// The longest allowed, octets.
        max: usize,
    },
    /// A label is empty, longer than 63 octets, or begins or ends with a hyphen.
    BadLabel,
    /// Something else than `a-z`, `0-9`, `-` and `.`; upper case is refused, not folded.
    BadCharacter(char),
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFewLabels => f.write_str("a full domain name is needed, for example track.example"),
            Self::TooLong { max } => write!(f, "longer than {max} octets"),
            Self::BadLabel => {
                f.write_str("a label is empty, longer than 63 octets, or begins or ends with '-'")
            }
            Self::BadCharacter(c) => {
                write!(
                    f,
                    "{c:?} is not allowed: use lower-case a-z, 0-9, '-' and '.' (A-labels for other scripts)"
                )
            }
        }
    }
}

impl core::error::Error for NameError {}

fn check(text: &str, max: usize, min_labels: usize) -> Result<(), NameError> {
    if text.len() > max {
        return Err(NameError::TooLong { max });
    }
    if let Some(c) = text.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-' | '.')) {
        return Err(NameError::BadCharacter(c));
    }
    if text.split('.').count() < min_labels {
        return Err(NameError::TooFewLabels);
    }
    let good = |label: &str| {
        !label.is_empty() && label.len() <= 63 && !label.starts_with('-') && !label.ends_with('-')
    };
    if text.split('.').all(good) { Ok(()) } else { Err(NameError::BadLabel) }
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $max:expr, $labels:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Box<str>);

        impl $name {
            /// The longest, in octets.
            pub const MAX_LEN: usize = $max;

            /// A checked name.
            ///
            /// # Errors
            /// [`NameError`] says which rule the text breaks.
            pub fn new(text: &str) -> Result<Self, NameError> {
                check(text, $max, $labels).map(|()| Self(text.into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name_type!(
    /// An application's id: lower-case FQDN = FQDN of the NAF_Id = SNI = dNSName on RPO (WIRES "RPA"). At most 241
    /// octets, so that a right (`<fqdn> <lifetime>`) fits a vendor attribute of 247.
    AppId, 241, 2
);
name_type!(
    /// The domain of an Authentication Server, or the `<rs>.<as domain>` part of a token id. At most 84 octets,
    /// so that a token id fits 109 and the PSK identity 128 (WIRES "OBF_Token id").
    Domain, 84, 1
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn app_ids_and_domains_follow_their_grammar() {
        assert!(AppId::new("track.example").is_ok());
        assert_eq!(AppId::new("Track.example"), Err(NameError::BadCharacter('T')));
        assert_eq!(AppId::new("*.example"), Err(NameError::BadCharacter('*')));
        assert_eq!(AppId::new("track"), Err(NameError::TooFewLabels));
        assert_eq!(AppId::new("track..example"), Err(NameError::BadLabel));
        assert_eq!(AppId::new("-a.example"), Err(NameError::BadLabel));
        assert_eq!(Domain::new(&"a".repeat(85)), Err(NameError::TooLong { max: 84 }));
    }
}
