//! Commands to a device (`SET KEY:VALUE`, `GET KEY`, `CLR KEY`) and what its alert 12 answers. AIS-140 3.1.3 wants
//! them believed only on an authenticated channel: that is the TLS-PSK connection they are read from.

use crate::{field::refuse, message::ParameterChange, refused::Refused};
use alloc::{
    format,
    string::{String, ToString},
};
use core::{fmt, str::FromStr};

/// Longest key, octets.
pub const MAX_KEY: usize = 16;
/// Longest value, octets.
pub const MAX_VALUE: usize = 128;

/// The keys in use, each with its meaning.
pub const KEYS: &[(&str, &str)] = &[
    ("PIP", "address of the primary server"),
    ("PPT", "port of the primary server"),
    ("SIP", "address of the secondary server"),
    ("SPT", "port of the secondary server"),
    ("APN", "access point name"),
    ("SL", "speed limit, km/h"),
    ("VN", "registration number"),
    ("UR", "update rate in motion, seconds"),
    ("URE", "update rate in an emergency, seconds"),
    ("URH", "update rate of health packets, minutes"),
    ("EO", "emergency off"),
    ("ED", "emergency duration, minutes"),
    ("VID", "vendor id"),
    ("ODM", "odometer"),
];

/// One command. Made by [`Command::set`], [`Command::fetch`], [`Command::clear`] or parsed, so that key and value are
/// always ones that survive the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    verb: Verb,
    key: String,
    value: String,
}

/// What is to be done with the parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Give it a value.
    Set,
    /// Report it.
    Get,
    /// Forget it.
    Clear,
}

/// Why a text is no command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The first word.
    #[error("verb {found:?}: expected SET, GET or CLR")]
    Verb {
        /// What stood there, cut to 40 characters.
        found: String,
    },
    /// The key.
    #[error("key {found:?}: expected 1 to 16 of A-Z, 0-9, _")]
    Key {
        /// What stood there, cut to 40 characters.
        found: String,
    },
    /// `SET` without a value, or one with characters that frames cannot carry.
    #[error("value {found:?}: expected 1 to 128 printable characters without * $ ( )")]
    Value {
        /// What stood there, cut to 40 characters.
        found: String,
    },
}

impl Command {
    /// `SET KEY:VALUE`
    ///
    /// # Errors
    /// [`CommandError`] names the part.
    pub fn set(key: &str, value: &str) -> Result<Self, CommandError> {
        let allowed = |b: u8| (b.is_ascii_graphic() || b == b' ') && !b"*$()".contains(&b);
        let bounded = (1..=MAX_VALUE).contains(&value.len()) && value.trim() == value;
        if !bounded || !value.bytes().all(allowed) {
            return Err(CommandError::Value { found: cut(value) });
        }
        Ok(Self { verb: Verb::Set, key: checked_key(key)?, value: value.to_string() })
    }

    /// `GET KEY`
    ///
    /// # Errors
    /// [`CommandError::Key`].
    pub fn fetch(key: &str) -> Result<Self, CommandError> {
        Ok(Self { verb: Verb::Get, key: checked_key(key)?, value: String::new() })
    }

    /// `CLR KEY`
    ///
    /// # Errors
    /// [`CommandError::Key`].
    pub fn clear(key: &str) -> Result<Self, CommandError> {
        Ok(Self { verb: Verb::Clear, key: checked_key(key)?, value: String::new() })
    }

    /// What is to be done.
    pub const fn verb(&self) -> Verb {
        self.verb
    }

    /// The parameter; [`KEYS`] lists those in use, a device may know more.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The value of a `SET`.
    pub fn value(&self) -> Option<&str> {
        (self.verb == Verb::Set).then_some(self.value.as_str())
    }

    /// As it goes over the wire: the text and CR LF.
    pub fn to_line(&self) -> String {
        format!("{self}\r\n")
    }

    /// What the device answers with its alert 12.
    pub fn acknowledgement(&self, source: &str) -> ParameterChange {
        ParameterChange { key: self.key.clone(), source: source.to_string() }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.verb {
            Verb::Set => write!(f, "SET {}:{}", self.key, self.value),
            Verb::Get => write!(f, "GET {}", self.key),
            Verb::Clear => write!(f, "CLR {}", self.key),
        }
    }
}

/// Reads one line; white space around it and its line end do not matter.
impl FromStr for Command {
    type Err = CommandError;

    fn from_str(line: &str) -> Result<Self, CommandError> {
        let line = line.trim();
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim_start();
        match verb {
            "SET" => {
                let (key, value) = rest.split_once(':').unwrap_or((rest, ""));
                // The key first: a line without a colon has no key that could be named by its value.
                checked_key(key)?;
                Self::set(key, value.trim())
            }
            "GET" => Self::fetch(rest),
            "CLR" => Self::clear(rest),
            _ => Err(CommandError::Verb { found: cut(verb) }),
        }
    }
}

fn checked_key(key: &str) -> Result<String, CommandError> {
    let allowed = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    if (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(allowed) {
        return Ok(key.to_string());
    }
    Err(CommandError::Key { found: cut(key) })
}

fn cut(text: &str) -> String {
    text.chars().take(40).collect()
}

/// `(KEY,SOURCE)` as two fields near the end of a frame: how our frames of alert 12 carry the change.
pub(crate) struct ParameterChangeText;

impl ParameterChangeText {
    pub(crate) fn write(change: &ParameterChange) -> String {
        format!("({},{})", change.key, change.source)
    }

    pub(crate) fn find(fields: &[&str]) -> Result<ParameterChange, Refused> {
        let pair = fields.windows(2).rev().find_map(|pair| match pair {
            [key, source] => Some((key.strip_prefix('(')?, source.split_once(')')?.0)),
            _ => None,
        });
        let missing = || refuse("changed parameter", "", "(key,source) in a frame of alert 12");
        let (key, source) = pair.ok_or_else(missing)?;
        let key = checked_key(key)
            .map_err(|_| refuse("changed parameter", key, "a key of 1 to 16 of A-Z, 0-9, _"))?;
        if source.is_empty() {
            return Err(refuse("source of the command", source, "a name or address"));
        }
        Ok(ParameterChange { key, source: source.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_read_back() {
        for (key, _) in KEYS {
            for command in [Command::set(key, "10.1.2.3:4"), Command::fetch(key), Command::clear(key)] {
                let command = command.unwrap();
                assert_eq!(command.to_line().parse::<Command>().as_ref(), Ok(&command));
            }
        }
        assert_eq!("SET PIP:track.example".parse::<Command>().unwrap().value(), Some("track.example"));
    }

    #[test]
    fn commands_that_no_device_takes_name_their_bad_part() {
        for (line, text) in [
            ("PUT SL:60", "verb \"PUT\": expected SET, GET or CLR"),
            ("", "verb \"\": expected SET, GET or CLR"),
            ("GET sl", "key \"sl\": expected 1 to 16 of A-Z, 0-9, _"),
            ("SET SL 60", "key \"SL 60\": expected 1 to 16 of A-Z, 0-9, _"),
            ("SET SL:", "value \"\": expected 1 to 128 printable characters without * $ ( )"),
            ("SET SL:6*0", "value \"6*0\": expected 1 to 128 printable characters without * $ ( )"),
        ] {
            assert_eq!(line.parse::<Command>().unwrap_err().to_string(), text);
        }
        assert!(Command::set("SL", "60\r\nSET PIP:evil").is_err());
    }
}
