//! What went wrong, as the command line says it: exit code, stable label, words, and the next command to type.
//!
//! This is the CLI's one table from errors to what its user sees. Labels and exit codes are public API
//! (`tests/fixtures/errors/`).

use obf_types::Refusal;
use serde::Serialize;
use std::{fmt, path::Path};

/// The documented exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Anything that has no code of its own.
    Other = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// Understood, authenticated, and refused by policy.
    Refused = 3,
    /// The other end did not answer.
    Unreachable = 4,
    /// Either end did not prove who it is.
    NotAuthenticated = 5,
    /// What was given does not hold: a bad line, an unknown name, a broken file.
    BadData = 6,
}

/// A failed command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The process's exit code.
    pub exit: Exit,
    /// A stable label: `OBF-nnn` for refusals on the wires, words with dashes for the CLI's own.
    pub code: String,
    /// What was wrong, for people.
    pub text: String,
    /// The command to type next, if there is an obvious one.
    pub next: Option<String>,
}

/// What every command returns.
pub type Outcome = Result<(), Failure>;

impl Failure {
    /// A failure with no next command.
    pub fn new(exit: Exit, code: &str, text: impl fmt::Display) -> Self {
        Self { exit, code: code.to_owned(), text: text.to_string(), next: None }
    }

    /// The same, saying what to type next.
    #[must_use]
    pub fn next(mut self, command: impl Into<String>) -> Self {
        self.next = Some(command.into());
        self
    }

    /// A refusal that came over a wire.
    pub fn refused(refusal: Refusal) -> Self {
        let exit = match refusal {
            Refusal::WrongResponse | Refusal::UnknownIdentity | Refusal::StaleChallenge => {
                Exit::NotAuthenticated
            }
            Refusal::ResourceServerUnreachable | Refusal::HlrUnavailable | Refusal::Overloaded => {
                Exit::Unreachable
            }
            Refusal::StorageFailed => Exit::Other,
            Refusal::MalformedRequest | Refusal::UnsupportedOperation => Exit::BadData,
            _ => Exit::Refused,
        };
        Self::new(exit, &format!("OBF-{:03}", refusal.code()), refusal.text())
    }

    /// Nobody answers at an address.
    pub fn unreachable(what: &str, address: impl fmt::Display, error: impl fmt::Display) -> Self {
        Self::new(
            Exit::Unreachable,
            "unreachable",
            format_args!("{what} at {address} does not answer: {error}"),
        )
    }

    /// A file could not be read or written.
    pub fn file(path: &Path, error: &std::io::Error) -> Self {
        let code = match error.kind() {
            std::io::ErrorKind::NotFound => "file-not-found",
            std::io::ErrorKind::PermissionDenied => "file-permission",
            _ => "file",
        };
        Self::new(Exit::BadData, code, format_args!("{}: {error}", path.display()))
    }

    /// What was given does not hold.
    pub fn bad_data(code: &str, text: impl fmt::Display) -> Self {
        Self::new(Exit::BadData, code, text)
    }

    /// The command line is wrong in a way that the parser cannot see.
    pub fn usage(text: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, "usage", text)
    }

    /// Anything else.
    pub fn other(code: &str, text: impl fmt::Display) -> Self {
        Self::new(Exit::Other, code, text)
    }

    /// Says it on standard error: words, or with `json` one object on one line.
    pub fn report(&self, json: bool) {
        if json {
            let line = ErrorLine {
                error: ErrorBody {
                    code: &self.code,
                    exit: self.exit as u8,
                    text: &self.text,
                    next: self.next.as_deref(),
                },
            };
            eprintln!("{}", serde_json::to_string(&line).unwrap_or_else(|_| self.text.clone()));
        } else {
            eprintln!("{self}");
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "obf: {} [{}]", self.text, self.code)?;
        match &self.next {
            Some(next) => write!(f, "\n  next: {next}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::refused(refusal)
    }
}

#[derive(Serialize)]
struct ErrorLine<'a> {
    error: ErrorBody<'a>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    code: &'a str,
    exit: u8,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'a str>,
}
