//! Key files: what makers of secure elements and operators hand each other (SPEC C1, C2), as streams of one record after
//! another, however many there are, in memory that does not grow with them.
//!
//! Reading order: [`record`] (what a file is about), [`transport`] (the key that both ends share, ciphers and MACs),
//! [`fault`] (a bad record, which costs that record; a bad file, which costs the rest), [`csv`] and [`pskc`] (RFC 6030),
//! each a reader and a writer, and [`Reader`] and [`Writer`], which are either. `docs/key-files.md` describes both
//! formats for those who write or read them with something else.
//!
//! Secrets are never in clear in a file: both formats encrypt each and authenticate it. Randomness is a parameter.
#![forbid(unsafe_code)]

pub mod csv;
pub mod fault;
mod input;
mod json;
pub mod pskc;
pub mod record;
mod text;
pub mod transport;

pub use fault::{Fault, FileFault, RecordFault};
pub use record::{Algorithm, KeyRecord};
pub use transport::{Cipher, TransportKey};

use std::io::{self, BufRead, Write};

/// Draws random octets.
pub type Draw<'a> = dyn FnMut(&mut [u8]) -> io::Result<()> + 'a;

/// The longest record of either format, octets: longer ones are no keys.
pub const MAX_RECORD: usize = 64 * 1024;

/// Which format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 6030, XML.
    Pskc,
    /// One line a record.
    Csv,
}

/// One record that was read, and where it stood.
#[derive(Debug)]
pub struct Entry {
    /// The line where it begins, from 1.
    pub line: u64,
    /// What it says.
    pub record: KeyRecord,
}

/// Reads a key file of either format. After a [`Fault::File`] there is nothing more.
pub enum Reader<R> {
    /// RFC 6030.
    Pskc(Box<pskc::PskcReader<R>>),
    /// One line a record.
    Csv(Box<csv::CsvReader<R>>),
}

impl<R: BufRead> Reader<R> {
    /// Reads what stands before the first record.
    ///
    /// # Errors
    /// The file is of another format, or its transport key is another.
    pub fn open(format: Format, input: R, key: TransportKey) -> Result<Self, Fault> {
        Ok(match format {
            Format::Pskc => Self::Pskc(Box::new(pskc::PskcReader::open(input, key)?)),
            Format::Csv => Self::Csv(Box::new(csv::CsvReader::open(input, &key)?)),
        })
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Entry, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Pskc(reader) => reader.next(),
            Self::Csv(reader) => reader.next(),
        }
    }
}

/// Writes a key file of either format.
pub enum Writer<W> {
    /// RFC 6030.
    Pskc(Box<pskc::PskcWriter<W>>),
    /// One line a record.
    Csv(Box<csv::CsvWriter<W>>),
}

impl<W: Write> Writer<W> {
    /// Writes what stands before the first record. PSKC encrypts with AES-CBC and HMAC-SHA-256.
    ///
    /// # Errors
    /// The output's, or of `draw`.
    pub fn open(format: Format, output: W, key: TransportKey, draw: &mut Draw<'_>) -> io::Result<Self> {
        Ok(match format {
            Format::Pskc => {
                let cipher = key.cbc();
                Self::Pskc(Box::new(pskc::PskcWriter::open(output, key, cipher, draw)?))
            }
            Format::Csv => Self::Csv(Box::new(csv::CsvWriter::open(output, key, draw)?)),
        })
    }

    /// Writes one record.
    ///
    /// # Errors
    /// As [`Writer::open`].
    pub fn write(&mut self, record: &KeyRecord, draw: &mut Draw<'_>) -> io::Result<()> {
        match self {
            Self::Pskc(writer) => writer.write(record, draw),
            Self::Csv(writer) => writer.write(record),
        }
    }

    /// Writes the end, without which a file is taken for cut short, and hands back the output.
    ///
    /// # Errors
    /// The output's.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Self::Pskc(writer) => writer.finish(),
            Self::Csv(writer) => writer.finish(),
        }
    }
}
