//! The grammar below the headers: schemes, parameters, quoted strings (RFC 9110 5.6 and 11), bounded.

use alloc::{borrow::Cow, string::String, vec::Vec};
use core::fmt;
use obf_types::percent;

/// The longest header value read, octets. A challenge of ours with a sealed `opaque` has about 500.
pub const MAX_HEADER_LEN: usize = 8192;
/// The most parameters in one challenge or one set of credentials.
pub const MAX_PARAMETERS: usize = 24;
/// The most challenges read from all the headers of one answer.
pub const MAX_CHALLENGES: usize = 8;

/// Why a header was not understood, ordered from its shape to its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseError {
    /// Longer than [`MAX_HEADER_LEN`].
    TooLong {
        /// Its length, octets.
        len: usize,
    },
    /// More than [`MAX_PARAMETERS`] parameters.
    TooManyParameters,
    /// More than [`MAX_CHALLENGES`] challenges.
    TooManyChallenges,
    /// Not the grammar of RFC 9110.
    Syntax {
        /// Octets from the start of the header to where it breaks.
        at: usize,
    },
    /// A parameter stands twice.
    Duplicate,
    /// Another authentication scheme than Digest.
    OtherScheme,
    /// A parameter that must be there is not.
    Missing(&'static str),
    /// A parameter has a value that it cannot have.
    BadValue(&'static str),
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { len } => {
                write!(f, "digest header has {len} octets, at most {MAX_HEADER_LEN} are read")
            }
            Self::TooManyParameters => write!(f, "more than {MAX_PARAMETERS} digest parameters"),
            Self::TooManyChallenges => write!(f, "more than {MAX_CHALLENGES} challenges"),
            Self::Syntax { at } => write!(f, "digest header breaks at octet {at}"),
            Self::Duplicate => f.write_str("a digest parameter stands twice"),
            Self::OtherScheme => f.write_str("authentication scheme is not Digest"),
            Self::Missing(name) => write!(f, "digest parameter {name} is missing"),
            Self::BadValue(name) => write!(f, "digest parameter {name} has a value it cannot have"),
        }
    }
}

impl core::error::Error for ParseError {}

/// Why a header was not written: the parameter's value holds a control character, which no quoting can carry
/// (and which would let a value end the header).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteError {
    /// The parameter.
    pub parameter: &'static str,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "digest parameter {} holds a control character", self.parameter)
    }
}

impl core::error::Error for WriteError {}

/// What stands in a header, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    /// An authentication scheme; what follows belongs to it.
    Scheme(&'a [u8]),
    /// `name=value`, the value unescaped.
    Parameter(&'a [u8], Cow<'a, [u8]>),
    /// The single opaque word that some other schemes have.
    Token68,
}

/// Reads a header item by item; after an error it ends.
pub(crate) struct Items<'a> {
    header: &'a [u8],
    at: usize,
    /// Whether schemes may stand in it (`Authentication-Info` has none).
    schemes: bool,
    separated: bool,
    after_scheme: bool,
    failed: bool,
}

impl<'a> Items<'a> {
    /// Items of a header with authentication schemes.
    pub(crate) fn with_schemes(header: &'a [u8]) -> Result<Self, ParseError> {
        Self::new(header, true)
    }

    /// Items of a header that is a bare list of parameters.
    pub(crate) fn parameters_only(header: &'a [u8]) -> Result<Self, ParseError> {
        Self::new(header, false)
    }

    fn new(header: &'a [u8], schemes: bool) -> Result<Self, ParseError> {
        if header.len() > MAX_HEADER_LEN {
            return Err(ParseError::TooLong { len: header.len() });
        }
        Ok(Self { header, at: 0, schemes, separated: true, after_scheme: false, failed: false })
    }

    fn peek(&self) -> Option<u8> {
        self.header.get(self.at).copied()
    }

    fn error(&self) -> ParseError {
        ParseError::Syntax { at: self.at }
    }

    fn skip_spaces(&mut self) -> bool {
        let from = self.at;
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        self.at > from
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.header.get(self.at..).unwrap_or_default();
        let len = rest.iter().position(|b| !wanted(*b)).unwrap_or(rest.len());
        self.at += len;
        rest.get(..len).unwrap_or_default()
    }

    fn item(&mut self) -> Result<Option<Item<'a>>, ParseError> {
        self.skip_spaces();
        while self.peek() == Some(b',') {
            self.at += 1;
            self.separated = true;
            self.after_scheme = false;
            self.skip_spaces();
        }
        if self.peek().is_none() {
            return Ok(None);
        }
        if !self.separated && !self.after_scheme {
            return Err(self.error());
        }
        if self.after_scheme && self.take_token68() {
            (self.separated, self.after_scheme) = (false, false);
            return Ok(Some(Item::Token68));
        }
        let name = self.take_while(is_tchar);
        if name.is_empty() {
            return Err(self.error());
        }
        let end_of_name = self.at;
        let spaced = self.skip_spaces();
        if self.peek() == Some(b'=') {
            self.at += 1;
            self.skip_spaces();
            let value = self.value()?;
            (self.separated, self.after_scheme) = (false, false);
            return Ok(Some(Item::Parameter(name, value)));
        }
        let ends = matches!(self.peek(), None | Some(b','));
        if !self.schemes || self.after_scheme || !(spaced || ends) {
            self.at = end_of_name;
            return Err(self.error());
        }
        (self.separated, self.after_scheme) = (false, true);
        Ok(Some(Item::Scheme(name)))
    }

    /// `token68` behind a scheme: told from a parameter by what follows its padding.
    fn take_token68(&mut self) -> bool {
        let from = self.at;
        let word = self.take_while(|b| {
            b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'+' | b'/')
        });
        let empty = word.is_empty();
        self.take_while(|b| b == b'=');
        self.skip_spaces();
        let ends = matches!(self.peek(), None | Some(b','));
        if empty || !ends {
            self.at = from;
            return false;
        }
        true
    }

    fn value(&mut self) -> Result<Cow<'a, [u8]>, ParseError> {
        if self.peek() != Some(b'"') {
            let token = self.take_while(is_tchar);
            return if token.is_empty() { Err(self.error()) } else { Ok(Cow::Borrowed(token)) };
        }
        self.at += 1;
        let plain = self.take_while(is_qdtext);
        if self.peek() == Some(b'"') {
            self.at += 1;
            return Ok(Cow::Borrowed(plain));
        }
        let mut value = plain.to_vec();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(value));
                }
                Some(b'\\') => {
                    self.at += 1;
                    let escaped = self.peek().filter(|b| is_text(*b)).ok_or(self.error())?;
                    value.push(escaped);
                    self.at += 1;
                }
                Some(b) if is_qdtext(b) => value.extend_from_slice(self.take_while(is_qdtext)),
                _ => return Err(self.error()),
            }
        }
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<Item<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let item = self.item().transpose();
        self.failed = !matches!(item, Some(Ok(_)));
        item
    }
}

/// Refuses a parameter that stands twice, known or not, and too many of them.
#[derive(Default)]
pub(crate) struct Seen<'a> {
    names: [&'a [u8]; MAX_PARAMETERS],
    count: usize,
}

impl<'a> Seen<'a> {
    pub(crate) fn note(&mut self, name: &'a [u8]) -> Result<(), ParseError> {
        if self.names.iter().take(self.count).any(|seen| seen.eq_ignore_ascii_case(name)) {
            return Err(ParseError::Duplicate);
        }
        *self.names.get_mut(self.count).ok_or(ParseError::TooManyParameters)? = name;
        self.count += 1;
        Ok(())
    }
}

/// Whether `name` is one of the names of HTTP, which have no case.
pub(crate) fn is(name: &[u8], wanted: &str) -> bool {
    name.eq_ignore_ascii_case(wanted.as_bytes())
}

/// `true` and `false`, in any case.
pub(crate) fn boolean(value: &[u8]) -> Option<bool> {
    [(true, "true"), (false, "false")].into_iter().find(|(_, name)| is(value, name)).map(|(truth, _)| truth)
}

/// Writes a header value, parameter by parameter.
pub(crate) struct Writer {
    out: Vec<u8>,
    first: bool,
}

impl Writer {
    pub(crate) fn with_scheme() -> Self {
        let mut out = Vec::with_capacity(512);
        out.extend_from_slice(b"Digest ");
        Self { out, first: true }
    }

    pub(crate) fn parameters_only() -> Self {
        Self { out: Vec::with_capacity(256), first: true }
    }

    fn name(&mut self, name: &str) {
        if !core::mem::replace(&mut self.first, false) {
            self.out.extend_from_slice(b", ");
        }
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(b'=');
    }

    /// `name="value"` with `"` and `\` escaped.
    pub(crate) fn quoted(&mut self, name: &'static str, value: &[u8]) -> Result<(), WriteError> {
        if !value.iter().all(|b| is_text(*b)) {
            return Err(WriteError { parameter: name });
        }
        self.name(name);
        self.out.push(b'"');
        for piece in value.split_inclusive(|b| matches!(b, b'"' | b'\\')) {
            match piece.split_last() {
                Some((special @ (b'"' | b'\\'), plain)) => {
                    self.out.extend_from_slice(plain);
                    self.out.extend_from_slice(&[b'\\', *special]);
                }
                _ => self.out.extend_from_slice(piece),
            }
        }
        self.out.push(b'"');
        Ok(())
    }

    /// `name=value`; the value is a token that this crate made.
    pub(crate) fn token(&mut self, name: &str, value: &str) {
        self.name(name);
        self.out.extend_from_slice(value.as_bytes());
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.out
    }
}

/// Reads `UTF-8'language'percent-encoded` (RFC 8187); `None` for another charset or bad encoding.
pub(crate) fn decode_extended(value: &[u8]) -> Option<Vec<u8>> {
    let (charset, rest) = value.split_at_checked(5)?;
    if !charset.eq_ignore_ascii_case(b"UTF-8") {
        return None;
    }
    let mut parts = rest.splitn(3, |b| *b == b'\'');
    let (b"", Some(_language), Some(encoded)) = (parts.next()?, parts.next(), parts.next()) else {
        return None;
    };
    let out = percent::decode(encoded)?;
    core::str::from_utf8(&out).is_ok().then_some(out)
}

/// Writes `UTF-8''percent-encoded` (RFC 8187).
pub(crate) fn encode_extended(value: &[u8]) -> String {
    let mut out = String::from("UTF-8''");
    let stays = |octet: u8| octet.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&octet);
    percent::encode(value, stays, &mut out);
    out
}

fn is_tchar(b: u8) -> bool {
    matches!(b, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~')
}

fn is_qdtext(b: u8) -> bool {
    is_text(b) && !matches!(b, b'"' | b'\\')
}

/// What may stand in a quoted string at all: everything but control characters.
fn is_text(b: u8) -> bool {
    b == b'\t' || (b >= 0x20 && b != 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn items(header: &str) -> Result<Vec<Item<'_>>, ParseError> {
        Items::with_schemes(header.as_bytes())?.collect()
    }

    fn parameter<'a>(name: &'a str, value: &'a str) -> Item<'a> {
        Item::Parameter(name.as_bytes(), Cow::Borrowed(value.as_bytes()))
    }

    #[test]
    fn rfc_9110_11_6_1_challenges_of_several_schemes() {
        let header = r#"Newauth realm="apps", type=1, title="Login to \"apps\"", Basic realm="simple", Negotiate a==,, Bare"#;
        assert_eq!(
            items(header),
            Ok(vec![
                Item::Scheme(b"Newauth"),
                parameter("realm", "apps"),
                parameter("type", "1"),
                parameter("title", "Login to \"apps\""),
                Item::Scheme(b"Basic"),
                parameter("realm", "simple"),
                Item::Scheme(b"Negotiate"),
                Item::Token68,
                Item::Scheme(b"Bare"),
            ])
        );
    }

    #[test]
    fn spaces_around_equals_and_empty_elements_are_taken() {
        assert_eq!(
            items("Digest\t a =\t\"\" , ,b = c,"),
            Ok(vec![Item::Scheme(b"Digest"), parameter("a", ""), parameter("b", "c")])
        );
    }

    #[test]
    fn what_is_not_the_grammar_is_refused_where_it_breaks() {
        for (bad, at) in [
            ("Digest a=\"x", 11),
            ("Digest a=\"x\\", 12),
            ("Digest a=\"x\u{1}\"", 11),
            ("Digest a=\"\\\n\"", 11),
            ("Digest a=b c=d", 11),
            ("Digest a=\"b\"c=d", 12),
            ("Digest x=y, a=,b=c", 14),
            ("Digest a b=c", 8),
            ("Digest \"a\"", 7),
            ("=x", 0),
        ] {
            assert_eq!(items(bad), Err(ParseError::Syntax { at }), "{bad:?}");
        }
        let mut items = Items::with_schemes(b"Digest x=y, a=,b=c").unwrap();
        assert!(items.by_ref().any(|item| item.is_err()));
        assert!(items.next().is_none());
    }

    #[test]
    fn rfc_8187_extended_values_read_back() {
        assert_eq!(decode_extended(b"UTF-8''J%C3%A4s%C3%B8n%20Doe").unwrap(), "Jäsøn Doe".as_bytes());
        assert_eq!(encode_extended("Jäsøn Doe".as_bytes()), "UTF-8''J%C3%A4s%C3%B8n%20Doe");
        for bad in ["ISO-8859-1''a", "UTF-8'a", "UTF-8''%4", "UTF-8''%FF", "UTF-8x''a", ""] {
            assert_eq!(decode_extended(bad.as_bytes()), None, "{bad}");
        }
    }
}
