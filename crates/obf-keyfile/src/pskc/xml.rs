//! XML as a stream of elements that are known here, without document types, without entities of them.

use super::{DS, OURS, PSKC, XENC, XENC11};
use crate::{fault::FileFault, input::Bounded};
use quick_xml::{
    XmlVersion,
    events::{BytesStart, Event},
    name::{Namespace, ResolveResult},
    reader::NsReader,
};
use std::io::BufRead;
use zeroize::Zeroizing;

/// Deeper nesting is no PSKC.
const MAX_DEPTH: u8 = 24;

/// An element that means something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    KeyContainer,
    EncryptionKey,
    KeyName,
    DerivedKey,
    MacMethod,
    MacKey,
    EncryptionMethod,
    CipherData,
    CipherValue,
    KeyPackage,
    DeviceInfo,
    SerialNo,
    Key,
    Data,
    Secret,
    EncryptedValue,
    PlainValue,
    ValueMac,
    Extensions,
    Identity,
    Technology,
    Amf,
    Sqn,
    RecordMac,
    Other,
}

/// What comes next. The text of an element comes in one piece.
pub enum Step {
    Start(Tag, Attributes),
    Text(Zeroizing<String>),
    End,
    Eof,
}

/// The attributes that mean something here.
#[derive(Default)]
pub struct Attributes {
    pub id: Option<String>,
    pub algorithm: Option<String>,
    pub kind: Option<String>,
    pub version: Option<String>,
}

/// The stream.
pub struct Xml<R> {
    reader: NsReader<Bounded<R>>,
    buffer: Zeroizing<Vec<u8>>,
    /// Of an empty element, whose end is still to come.
    pending_end: bool,
    depth: u8,
}

impl<R: BufRead> Xml<R> {
    pub fn new(input: R) -> Self {
        let mut reader = NsReader::from_reader(Bounded::new(input));
        reader.config_mut().check_end_names = true;
        Self { reader, buffer: Zeroizing::new(Vec::new()), pending_end: false, depth: 0 }
    }

    /// The line that has been read up to.
    pub fn line(&mut self) -> u64 {
        self.reader.get_mut().line()
    }

    /// A new record begins.
    pub fn begin_record(&mut self) {
        self.reader.get_mut().reset();
    }

    pub fn step(&mut self) -> Result<Step, FileFault> {
        if std::mem::take(&mut self.pending_end) {
            self.depth = self.depth.saturating_sub(1);
            return Ok(Step::End);
        }
        loop {
            self.buffer.clear();
            let read = self.reader.read_resolved_event_into(&mut self.buffer);
            let (namespace, event) = match read {
                Ok(read) => read,
                Err(error) => {
                    let spent = self.reader.get_mut().is_spent();
                    return Err(if spent { FileFault::TooLong } else { broken(&error) });
                }
            };
            match event {
                Event::Start(start) => {
                    let found = Step::Start(tag(&namespace, &start), attributes(&start)?);
                    self.depth += 1;
                    if self.depth > MAX_DEPTH {
                        return Err(FileFault::Xml("elements are nested too deeply".into()));
                    }
                    return Ok(found);
                }
                Event::Empty(start) => {
                    let found = Step::Start(tag(&namespace, &start), attributes(&start)?);
                    self.pending_end = true;
                    self.depth += 1;
                    return Ok(found);
                }
                Event::End(_) => {
                    self.depth = self.depth.saturating_sub(1);
                    return Ok(Step::End);
                }
                Event::Text(text) => {
                    let text = Zeroizing::new(text.xml_content(XmlVersion::Implicit1_0).into_owned());
                    if !text.trim().is_empty() {
                        return Ok(Step::Text(text));
                    }
                }
                Event::CData(text) => {
                    let text = text.xml_content(XmlVersion::Implicit1_0).into_owned();
                    return Ok(Step::Text(Zeroizing::new(text)));
                }
                Event::GeneralRef(reference) => {
                    let character = reference.resolve_char_ref().map_err(|error| broken(&error))?;
                    let text = match character {
                        Some(character) => character.to_string(),
                        None => {
                            let name = reference.xml_content(XmlVersion::Implicit1_0);
                            let known = quick_xml::escape::resolve_predefined_entity(&name);
                            known.ok_or(FileFault::Dtd)?.to_owned()
                        }
                    };
                    return Ok(Step::Text(Zeroizing::new(text)));
                }
                Event::DocType(_) => return Err(FileFault::Dtd),
                Event::Decl(declaration) => {
                    let encoding = declaration.encoding().and_then(Result::ok);
                    if encoding
                        .is_some_and(|name| !["utf-8", "us-ascii"].contains(&&*name.to_ascii_lowercase()))
                    {
                        return Err(FileFault::Unsupported("the XML must be UTF-8: convert it first".into()));
                    }
                }
                Event::Comment(_) | Event::PI(_) => {}
                Event::Eof => return Ok(Step::Eof),
            }
        }
    }

    /// The text of the element that has just begun, up to its end.
    pub fn text(&mut self) -> Result<Zeroizing<String>, FileFault> {
        let mut text = Zeroizing::new(String::new());
        loop {
            match self.step()? {
                Step::Text(part) => {
                    // Growing would leave copies behind.
                    let mut longer = Zeroizing::new(String::with_capacity(text.len() + part.len()));
                    longer.push_str(&text);
                    longer.push_str(&part);
                    text = longer;
                }
                Step::Start(..) => self.skip()?,
                Step::End => return Ok(Zeroizing::new(text.trim().to_owned())),
                Step::Eof => return Err(FileFault::Truncated),
            }
        }
    }

    /// Goes to the end of the element that has just begun.
    pub fn skip(&mut self) -> Result<(), FileFault> {
        let mut open = 1u32;
        while open > 0 {
            match self.step()? {
                Step::Start(..) => open += 1,
                Step::End => open -= 1,
                Step::Text(_) => {}
                Step::Eof => return Err(FileFault::Truncated),
            }
        }
        Ok(())
    }
}

fn tag(namespace: &ResolveResult<'_>, start: &BytesStart<'_>) -> Tag {
    let ResolveResult::Bound(Namespace(namespace)) = namespace else { return Tag::Other };
    match (*namespace, start.local_name().into_inner()) {
        (PSKC, "KeyContainer") => Tag::KeyContainer,
        (PSKC, "EncryptionKey") => Tag::EncryptionKey,
        (PSKC, "MACMethod") => Tag::MacMethod,
        (PSKC, "MACKey") => Tag::MacKey,
        (PSKC, "KeyPackage") => Tag::KeyPackage,
        (PSKC, "DeviceInfo") => Tag::DeviceInfo,
        (PSKC, "SerialNo") => Tag::SerialNo,
        (PSKC, "Key") => Tag::Key,
        (PSKC, "Data") => Tag::Data,
        (PSKC, "Secret") => Tag::Secret,
        (PSKC, "EncryptedValue") => Tag::EncryptedValue,
        (PSKC, "PlainValue") => Tag::PlainValue,
        (PSKC, "ValueMAC") => Tag::ValueMac,
        (PSKC, "Extensions") => Tag::Extensions,
        (DS, "KeyName") => Tag::KeyName,
        (XENC11, "DerivedKey") => Tag::DerivedKey,
        (XENC, "EncryptionMethod") => Tag::EncryptionMethod,
        (XENC, "CipherData") => Tag::CipherData,
        (XENC, "CipherValue") => Tag::CipherValue,
        (OURS, "Identity") => Tag::Identity,
        (OURS, "Technology") => Tag::Technology,
        (OURS, "Amf") => Tag::Amf,
        (OURS, "Sqn") => Tag::Sqn,
        (OURS, "RecordMAC") => Tag::RecordMac,
        _ => Tag::Other,
    }
}

fn attributes(start: &BytesStart<'_>) -> Result<Attributes, FileFault> {
    let mut found = Attributes::default();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| FileFault::Xml(error.to_string()))?;
        let place = match attribute.key.into_inner() {
            "Id" => &mut found.id,
            "Algorithm" => &mut found.algorithm,
            "kind" => &mut found.kind,
            "Version" => &mut found.version,
            _ => continue,
        };
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|_| FileFault::Dtd)?;
        *place = Some(value.into_owned());
    }
    Ok(found)
}

fn broken(error: &quick_xml::Error) -> FileFault {
    match error {
        quick_xml::Error::Syntax(_)
        | quick_xml::Error::IllFormed(quick_xml::errors::IllFormedError::MissingEndTag(_)) => {
            FileFault::Truncated
        }
        quick_xml::Error::Io(error) => FileFault::Unreadable(error.to_string()),
        other => FileFault::Xml(other.to_string()),
    }
}
