//! Reading.

use super::{END, LAST, MAC, MAGIC, ROW, VERSION, wrapping};
use crate::{
    Entry,
    fault::{Fault, FileFault, RecordFault},
    input::Bounded,
    record::{self, Algorithm, KeyRecord},
    transport::{Cipher, MacAlgorithm, MacKey, TransportKey},
};
use obf_types::{IdentityKind, SecretBytes, Technology, hex};
use std::io::BufRead;
use zeroize::Zeroizing;

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    Identity(IdentityKind),
    Algorithm,
    Technology,
    K,
    C,
    Amf,
    Sqn,
    Mac,
}

/// Reads records from lines.
pub struct CsvReader<R> {
    input: Bounded<R>,
    key: TransportKey,
    mac: MacKey,
    cipher: Cipher,
    heading: String,
    columns: Vec<Column>,
    line: Zeroizing<Vec<u8>>,
    read: u64,
    ended: bool,
}

impl<R: BufRead> CsvReader<R> {
    /// Reads the first two lines.
    ///
    /// # Errors
    /// It is no such file, or the transport key is another.
    pub fn open(input: R, key: &TransportKey) -> Result<Self, Fault> {
        let mut input = Bounded::new(input);
        let mut line = Zeroizing::new(Vec::new());
        let first = text_of(&mut input, &mut line)?;
        let (mac, cipher) = header(&first, key).map_err(|reason| Fault::file(1, reason))?;
        let heading = text_of(&mut input, &mut line)?;
        let columns = columns(&heading).map_err(|reason| Fault::file(2, reason))?;
        Ok(Self { input, key: key.clone(), mac, cipher, heading, columns, line, read: 0, ended: false })
    }

    fn record(&self, line: &str) -> Result<KeyRecord, RecordFault> {
        let found = line.split(',').count();
        if found != self.columns.len() {
            return Err(RecordFault::Columns { found, wanted: self.columns.len() });
        }
        let (content, mac) = line.rsplit_once(',').ok_or(RecordFault::Missing("mac"))?;
        let mac = hex::decode(mac).ok_or(RecordFault::Field { field: "mac", wanted: "64 hex digits" })?;
        if !self.mac.verifies(&[ROW, self.heading.as_bytes(), b"\n", content.as_bytes()], mac.expose()) {
            return Err(RecordFault::Mac("mac"));
        }
        let (mut identities, mut algorithm, mut amf, mut sqn) = (Vec::new(), Algorithm::Milenage, None, None);
        let (mut k, mut c, mut technology) = (None, None, Technology::ThreeGpp);
        for (column, value) in self.columns.iter().zip(line.split(',')).filter(|(_, value)| !value.is_empty())
        {
            match column {
                Column::Identity(kind) => identities.push(record::identity(*kind, value)?),
                Column::Algorithm => {
                    let wanted = RecordFault::Field { field: "algorithm", wanted: "milenage or tuak" };
                    algorithm = Algorithm::from_name(value).ok_or(wanted)?;
                }
                Column::Technology => technology = record::technology("technology", value)?,
                Column::K => k = Some(self.unwrap("k", value)?),
                Column::C => c = Some(self.unwrap("opc", value)?),
                Column::Amf => amf = Some(hex("amf", value, "4 hex digits")?),
                Column::Sqn => sqn = Some(hex("sqn", value, "12 hex digits")?),
                Column::Mac => {}
            }
        }
        let (k, c) = (k.ok_or(RecordFault::Missing("k"))?, c.ok_or(RecordFault::Missing("opc"))?);
        identities.sort_by_key(record::rank);
        Ok(KeyRecord { technology, amf, sqn, ..KeyRecord::new(identities, algorithm, k, c)? })
    }

    fn unwrap(&self, field: &'static str, value: &str) -> Result<SecretBytes, RecordFault> {
        let wrapped = hex::decode(value).ok_or(RecordFault::Field { field, wanted: "hex digits" })?;
        self.key.decrypt(self.cipher, wrapped.expose()).ok_or(RecordFault::Cipher(field))
    }

    /// The last line: whether the file is whole.
    fn end(&self, line: &str) -> Result<(), FileFault> {
        let (count, mac) = line.split_once(',').ok_or(FileFault::Truncated)?;
        let mac = hex::decode(mac).ok_or(FileFault::Truncated)?;
        if !self.mac.verifies(&[LAST, count.as_bytes()], mac.expose()) || count != self.read.to_string() {
            return Err(FileFault::Count { found: self.read, said: count.chars().take(20).collect() });
        }
        Ok(())
    }

    fn step(&mut self) -> Option<Result<Entry, Fault>> {
        loop {
            let number = self.input.line();
            self.input.reset();
            let result = match read_line(&mut self.input, &mut self.line) {
                Ok(true) => self.interpret(),
                Ok(false) => return Some(Err(Fault::file(number, FileFault::Truncated))),
                Err(FileFault::TooLong) => match skip_line(&mut self.input) {
                    Ok(()) => Line::Record(Err(RecordFault::TooLong)),
                    Err(reason) => return Some(Err(Fault::file(number, reason))),
                },
                Err(reason) => return Some(Err(Fault::file(number, reason))),
            };
            match result {
                Line::Empty => {}
                Line::End(end) => {
                    self.ended = true;
                    return end.err().map(|reason| Err(Fault::file(number, reason)));
                }
                Line::Record(record) => {
                    self.read += 1;
                    let entry = record.map(|record| Entry { line: number, record });
                    return Some(entry.map_err(|reason| Fault::record(number, reason)));
                }
            }
        }
    }

    fn interpret(&self) -> Line {
        match std::str::from_utf8(&self.line) {
            Ok("") => Line::Empty,
            Ok(text) => match text.strip_prefix(END).and_then(|rest| rest.strip_prefix(',')) {
                Some(end) => Line::End(self.end(end)),
                None => Line::Record(self.record(text)),
            },
            Err(_) => Line::Record(Err(RecordFault::Charset)),
        }
    }
}

/// What a line turned out to be.
enum Line {
    Empty,
    Record(Result<KeyRecord, RecordFault>),
    End(Result<(), FileFault>),
}

impl<R: BufRead> Iterator for CsvReader<R> {
    type Item = Result<Entry, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let step = self.step();
        self.ended |= matches!(step, Some(Err(Fault::File { .. })));
        step
    }
}

fn header(line: &str, key: &TransportKey) -> Result<(MacKey, Cipher), FileFault> {
    let format = |reason: &str| FileFault::Format { wanted: "key file in CSV", reason: reason.to_owned() };
    let mut parts = line.split(',');
    if parts.next() != Some(MAGIC) {
        return Err(format("its first line must begin with #obf-keys,1"));
    }
    if parts.next() != Some(VERSION) {
        return Err(FileFault::Unsupported("this is a key file of a later version".into()));
    }
    let name = parts.next().unwrap_or_default();
    let cipher = match parts.next() {
        Some("A128KW") => Cipher::KwAes128,
        Some("A256KW") => Cipher::KwAes256,
        _ => return Err(FileFault::Unsupported("secrets are wrapped with A128KW or A256KW".into())),
    };
    if parts.next() != Some(MAC) {
        return Err(FileFault::Unsupported(format!("lines are authenticated with {MAC}")));
    }
    let wrapped = parts.next().and_then(hex::decode);
    let wrapped = wrapped.ok_or_else(|| format("its first line must end with the wrapped MAC key"))?;
    if !cipher.takes(key) {
        return Err(FileFault::Unsupported(format!(
            "the file is under a transport key of {} octets ({}): this one has another length",
            cipher.key_len(),
            wrapping(cipher.key_len())
        )));
    }
    let mac_key = key.decrypt(cipher, wrapped.expose());
    let named = (!name.is_empty()).then(|| name.chars().take(64).collect());
    let mac_key = mac_key.ok_or(FileFault::WrongKey { named })?;
    Ok((MacKey::new(MacAlgorithm::HmacSha256, mac_key), cipher))
}

fn columns(heading: &str) -> Result<Vec<Column>, FileFault> {
    let mut columns = Vec::new();
    for name in heading.split(',') {
        let column = match name {
            "algorithm" => Column::Algorithm,
            "technology" => Column::Technology,
            "k" => Column::K,
            "opc" | "topc" => Column::C,
            "amf" => Column::Amf,
            "sqn" => Column::Sqn,
            "mac" => Column::Mac,
            _ => match IdentityKind::from_name(name) {
                Some(kind) => Column::Identity(kind),
                None => {
                    let name: String = name.chars().take(32).collect();
                    let reason = format!("{name:?} is no column");
                    return Err(FileFault::Format { wanted: "key file in CSV", reason });
                }
            },
        };
        if columns.contains(&column) {
            let reason = format!("the column {name} is there twice");
            return Err(FileFault::Format { wanted: "key file in CSV", reason });
        }
        columns.push(column);
    }
    let complete = columns.contains(&Column::K) && columns.contains(&Column::C);
    if columns.last() != Some(&Column::Mac) || !complete {
        let reason = "the columns k, opc and, last of all, mac are needed".into();
        return Err(FileFault::Format { wanted: "key file in CSV", reason });
    }
    Ok(columns)
}

fn hex<const N: usize>(
    field: &'static str,
    value: &str,
    wanted: &'static str,
) -> Result<[u8; N], RecordFault> {
    hex::array(value).ok_or(RecordFault::Field { field, wanted })
}

/// One of the first two lines.
fn text_of<R: BufRead>(input: &mut Bounded<R>, line: &mut Vec<u8>) -> Result<String, Fault> {
    let number = input.line();
    let fault = |reason| Fault::file(number, reason);
    if !read_line(input, line).map_err(fault)? {
        let reason = "it ends before the first record".into();
        return Err(fault(FileFault::Format { wanted: "key file in CSV", reason }));
    }
    if line.starts_with(&[0xFF, 0xFE]) || line.starts_with(&[0xFE, 0xFF]) {
        let reason = "it is UTF-16; save it as UTF-8".into();
        return Err(fault(FileFault::Format { wanted: "key file in CSV", reason }));
    }
    let text = std::str::from_utf8(line).map_err(|_| {
        fault(FileFault::Format { wanted: "key file in CSV", reason: "it is not UTF-8 text".into() })
    })?;
    Ok(text.trim_start_matches('\u{FEFF}').to_owned())
}

/// The next line without its end; false if there is none.
fn read_line<R: BufRead>(input: &mut Bounded<R>, line: &mut Vec<u8>) -> Result<bool, FileFault> {
    line.clear();
    let read = input.read_until(b'\n', line);
    let read = read.map_err(|error| match input.is_spent() {
        true => FileFault::TooLong,
        false => FileFault::Unreadable(error.to_string()),
    })?;
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(read > 0)
}

/// Drops the rest of a line that is too long, a piece at a time.
fn skip_line<R: BufRead>(input: &mut Bounded<R>) -> Result<(), FileFault> {
    loop {
        input.reset();
        let unreadable = |error: std::io::Error| FileFault::Unreadable(error.to_string());
        let filled = input.fill_buf().map_err(unreadable)?;
        let end = filled.iter().position(|octet| *octet == b'\n');
        let (length, last) = (end.map_or(filled.len(), |end| end + 1), end.is_some() || filled.is_empty());
        input.consume(length);
        if last {
            return Ok(());
        }
    }
}
