//! A reader for small XML documents: elements, attributes, text. Bounded in size and depth; no DTD, no entities but the
//! five of XML and character references, nothing fetched. What it does not know it refuses.

use alloc::{string::String, vec::Vec};
use core::fmt;

/// The largest document read, octets.
pub const MAX_LEN: usize = 8192;
/// The deepest nesting read.
pub const MAX_DEPTH: usize = 8;
/// The most attributes of one element.
pub const MAX_ATTRIBUTES: usize = 16;

/// A document is not the XML that is read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XmlError {
    /// Octets from the start to where it breaks.
    pub at: usize,
}

impl fmt::Display for XmlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "XML breaks at octet {}", self.at)
    }
}

impl core::error::Error for XmlError {}

/// An element with what stands in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Its name with prefix, as written.
    pub name: String,
    /// Its attributes, values unescaped.
    pub attributes: Vec<(String, String)>,
    /// Its own text, unescaped, all pieces joined.
    pub text: String,
    /// The elements in it.
    pub children: Vec<Element>,
}

impl Element {
    /// Its name without prefix.
    pub fn local_name(&self) -> &str {
        self.name.rsplit(':').next().unwrap_or_default()
    }

    /// The first child of that name, prefix aside.
    pub fn child(&self, local_name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.local_name() == local_name)
    }

    /// The attribute of exactly that name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// Reads a document.
///
/// # Errors
/// [`XmlError`] with the place.
pub fn parse(document: &[u8]) -> Result<Element, XmlError> {
    let too_long = XmlError { at: MAX_LEN };
    let text = document.get(..document.len().min(MAX_LEN + 1)).ok_or(too_long)?;
    if text.len() > MAX_LEN {
        return Err(too_long);
    }
    let text = core::str::from_utf8(text).map_err(|error| XmlError { at: error.valid_up_to() })?;
    let mut parser = Parser { text, rest: text.strip_prefix('\u{feff}').unwrap_or(text) };
    if parser.rest.starts_with("<?xml") {
        parser.skip_past("?>")?;
    }
    parser.skip_comments_and_space()?;
    let root = parser.element(MAX_DEPTH)?;
    parser.skip_comments_and_space()?;
    if parser.rest.is_empty() { Ok(root) } else { Err(parser.error()) }
}

/// Writes text for an element or a quoted attribute.
pub fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn error(&self) -> XmlError {
        XmlError { at: self.text.len() - self.rest.len() }
    }

    fn eat(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Result<(), XmlError> {
        if self.eat(token) { Ok(()) } else { Err(self.error()) }
    }

    fn take_until(&mut self, stop: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(stop).unwrap_or(self.rest.len());
        let (head, rest) = self.rest.split_at(end);
        self.rest = rest;
        head
    }

    fn skip_space(&mut self) -> bool {
        !self.take_until(|c| !matches!(c, ' ' | '\t' | '\r' | '\n')).is_empty()
    }

    fn skip_past(&mut self, token: &str) -> Result<(), XmlError> {
        let (_, rest) = self.rest.split_once(token).ok_or(self.error())?;
        self.rest = rest;
        Ok(())
    }

    fn skip_comments_and_space(&mut self) -> Result<(), XmlError> {
        self.skip_space();
        while self.eat("<!--") {
            self.skip_past("-->")?;
            self.skip_space();
        }
        Ok(())
    }

    fn name(&mut self) -> Result<&'a str, XmlError> {
        let at = self.error();
        let name = self
            .take_until(|c| !(c.is_alphanumeric() || matches!(c, ':' | '_' | '-' | '.') || c as u32 >= 0x80));
        if name.starts_with(|c: char| c.is_alphabetic() || c == '_') { Ok(name) } else { Err(at) }
    }

    fn element(&mut self, depth: usize) -> Result<Element, XmlError> {
        if depth == 0 {
            return Err(self.error());
        }
        self.expect("<")?;
        let name = self.name()?;
        let mut element = Element { name: name.into(), ..Element::default() };
        loop {
            let spaced = self.skip_space();
            if self.eat("/>") {
                return Ok(element);
            }
            if self.eat(">") {
                break;
            }
            if !spaced || element.attributes.len() == MAX_ATTRIBUTES {
                return Err(self.error());
            }
            let attribute = self.attribute()?;
            if element.attribute(&attribute.0).is_some() {
                return Err(self.error());
            }
            element.attributes.push(attribute);
        }
        self.content(&mut element, depth)?;
        let end = self.name()?;
        self.skip_space();
        self.expect(">")?;
        if end == name { Ok(element) } else { Err(self.error()) }
    }

    /// Everything up to and with `</`.
    fn content(&mut self, element: &mut Element, depth: usize) -> Result<(), XmlError> {
        loop {
            let text = self.take_until(|c| c == '<');
            self.unescape(text, &mut element.text)?;
            if self.eat("</") {
                return Ok(());
            } else if self.eat("<!--") {
                self.skip_past("-->")?;
            } else if self.eat("<![CDATA[") {
                let (text, rest) = self.rest.split_once("]]>").ok_or(self.error())?;
                element.text.push_str(text);
                self.rest = rest;
            } else {
                let child = self.element(depth - 1)?;
                element.children.push(child);
            }
        }
    }

    fn attribute(&mut self) -> Result<(String, String), XmlError> {
        let name = self.name()?;
        self.skip_space();
        self.expect("=")?;
        self.skip_space();
        let quote = if self.eat("\"") {
            "\""
        } else {
            self.expect("'")?;
            "'"
        };
        let raw = self.take_until(|c| c == '<' || quote.starts_with(c));
        let mut value = String::new();
        self.unescape(raw, &mut value)?;
        self.expect(quote)?;
        Ok((name.into(), value))
    }

    fn unescape(&self, raw: &str, out: &mut String) -> Result<(), XmlError> {
        let mut rest = raw;
        while let Some((before, entity)) = rest.split_once('&') {
            out.push_str(before);
            let (entity, after) = entity.split_once(';').ok_or(self.error())?;
            out.push(match entity {
                "amp" => '&',
                "lt" => '<',
                "gt" => '>',
                "quot" => '"',
                "apos" => '\'',
                other => {
                    let digits = other.strip_prefix('#').ok_or(self.error())?;
                    let number = match digits.strip_prefix('x') {
                        Some(hex) => u32::from_str_radix(hex, 16),
                        None => digits.parse(),
                    };
                    number.ok().and_then(char::from_u32).ok_or(self.error())?
                }
            });
            rest = after;
        }
        out.push_str(rest);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn elements_attributes_and_text_are_read() {
        let document = "\u{feff}<?xml version='1.0'?>\n<!-- a --><g:a xmlns:g=\"u:&lt;\" b = 'x\"y' >t&amp;<c/>&#x41;&#66;<![CDATA[<&]]><!-- <d/> --></g:a >\n";
        let root = parse(document.as_bytes()).unwrap();
        assert_eq!((root.name.as_str(), root.local_name()), ("g:a", "a"));
        assert_eq!(root.text, "t&AB<&");
        assert_eq!((root.attribute("xmlns:g"), root.attribute("b")), (Some("u:<"), Some("x\"y")));
        assert_eq!(root.child("c"), Some(&Element { name: "c".into(), ..Element::default() }));
    }

    #[test]
    fn what_is_not_read_is_refused() {
        let deep = "<a>".repeat(9) + &"</a>".repeat(9);
        let many: String = (0..17).map(|i| alloc::format!(" a{i}=''")).collect();
        let many = alloc::format!("<a{many}/>");
        let long = alloc::format!("<a>{}</a>", "x".repeat(MAX_LEN));
        for bad in [
            "",
            "a",
            "<a>",
            "<a></b>",
            "<a b></a>",
            "<a b=c/>",
            "<a b='1' b='2'/>",
            "<a b='1'c='2'/>",
            "<a/><b/>",
            "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
            "<a>&b;</a>",
            "<a>&#xD800;</a>",
            "<a>&amp</a>",
            "<1/>",
            "<a b='<'/>",
            "<a><!-- </a>",
            "<a><![CDATA[</a>",
            "<?xml <a/>",
            "<a b=\"x\"\"/>",
            &deep,
            &many,
            &long,
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(parse(b"<a>\xff</a>").is_err());
    }

    proptest! {
        #[test]
        fn what_is_escaped_reads_back(text in "[^\\r\\x00-\\x08]{0,40}") {
            let mut document = String::from("<a b=\"");
            escape(&text, &mut document);
            document.push_str("\">");
            escape(&text, &mut document);
            document.push_str("</a>");
            let root = parse(document.as_bytes()).unwrap();
            prop_assert_eq!(&root.text, &text);
            prop_assert_eq!(root.attribute("b"), Some(text.as_str()));
        }

        #[test]
        fn arbitrary_documents_never_panic(document in "(<[?!/a-c ='\"&;#x-]{0,8}>?|[a-c&;\\]\\[]){0,20}") {
            let _ = parse(document.as_bytes());
        }
    }
}
