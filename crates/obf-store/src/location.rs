//! Where a database is, as a configuration says it.

use serde::Deserialize;
use std::{fmt, path::PathBuf};

/// Where everything is kept.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum Location {
    /// A SQLite file that the nodes of this host share.
    File(PathBuf),
    /// A PostgreSQL database that any nodes share: `postgresql://user@host/database`. Between hosts add
    /// `?sslmode=require`.
    Server(String),
}

impl From<String> for Location {
    fn from(text: String) -> Self {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            Self::Server(text)
        } else {
            Self::File(text.into())
        }
    }
}

/// For an error: the path, or the server without who connects and by what password.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Server(url) => {
                let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
                let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
                write!(f, "postgresql://{}", rest.split('?').next().unwrap_or_default())
            }
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_shown_without_user_password_and_options() {
        for (text, shown) in [
            ("postgresql://obf:secret@db.example/as?sslmode=require", "postgresql://db.example/as"),
            ("postgres://127.0.0.1:5432/as", "postgresql://127.0.0.1:5432/as"),
            ("data/auth.db", "data/auth.db"),
        ] {
            let location = Location::from(text.to_owned());
            assert_eq!(matches!(location, Location::Server(_)), text.starts_with("postgres"));
            assert_eq!((location.to_string(), format!("{location:?}")), (shown.into(), shown.into()));
        }
    }
}
