//! Subscriber keys on their way in: from the moment at which octets become a key until it is wrapped, each is a type
//! whose content no other crate reads.
//!
//! [`part`] is a field of a JSON record, [`lines`] are the lines of an import and the records in them, [`key_file`] a key
//! file under a transport key. Each ends in a [`crate::SubscriberKey`].

pub mod key_file;
pub mod lines;
pub mod part;
mod syntax;

pub use key_file::{KeyFile, KeyFileError, KeyedDevice};
pub use lines::{LineBatch, LineError, Lines, MAX_LINE, read_line};
pub use part::KeyPart;
