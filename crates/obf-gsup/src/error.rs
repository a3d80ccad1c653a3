//! Why a message cannot be read: the error of every part that reads one.

use crate::{
    Imsi, ImsiError,
    iei::{self, MAX_TUPLES},
};
use std::fmt;

/// Why a message cannot be read. Elements are named as in the OsmoHLR manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// A frame without an octet of GSUP.
    Empty,
    /// The message ends inside an element.
    Truncated {
        /// Its identifier.
        element: u8,
        /// The length it announces.
        length: u8,
        /// Octets that are there.
        left: usize,
    },
    /// An element of a length that it cannot have, octets.
    Length {
        /// Its identifier.
        element: u8,
        /// What it has.
        length: usize,
        /// The fewest.
        least: usize,
        /// The most.
        most: usize,
    },
    /// An element that must be there is not.
    Missing {
        /// Its identifier.
        element: u8,
    },
    /// An element that may stand once stands twice.
    Twice {
        /// Its identifier.
        element: u8,
    },
    /// The IMSI is not valid.
    Imsi(ImsiError),
    /// More tuples than a result may have.
    TooManyTuples,
    /// A value that the element does not have.
    Value {
        /// Its identifier.
        element: u8,
        /// What stands there.
        value: u8,
    },
}

/// A message that cannot be read, with what could be read of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("GSUP message {message_type:#04x} cannot be read: {error}")]
pub struct Undecodable {
    /// Its type; 0 where there is none.
    pub message_type: u8,
    /// The subscriber, as far as that could be read.
    pub imsi: Option<Imsi>,
    /// What is wrong.
    pub error: DecodeError,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = iei::name;
        match *self {
            Self::Empty => f.write_str("nothing is in it"),
            Self::Truncated { element, length, left } => {
                write!(f, "{} ({element:#04x}) announces {length} octets, {left} are left", name(element))
            }
            Self::Length { element, length, least, most } if least == most => {
                write!(f, "{} has {length} octets instead of {least}", name(element))
            }
            Self::Length { element, length, least, most } => {
                write!(f, "{} has {length} octets instead of {least} to {most}", name(element))
            }
            Self::Missing { element } => write!(f, "{} is missing", name(element)),
            Self::Twice { element } => write!(f, "{} stands there twice", name(element)),
            Self::Imsi(error) => error.fmt(f),
            Self::TooManyTuples => write!(f, "more than {MAX_TUPLES} authentication tuples"),
            Self::Value { element, value } => write!(f, "{} cannot be {value}", name(element)),
        }
    }
}

impl std::error::Error for DecodeError {}
