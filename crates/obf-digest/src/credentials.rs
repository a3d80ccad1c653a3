//! `Authorization`: what the client answers (RFC 7616 3.4; `auts` of RFC 3310 3.4).

use crate::syntax::{
    Item, Items, ParseError, Seen, WriteError, Writer, boolean, decode_extended, encode_extended, is,
};
use crate::{Algorithm, Challenge, Exchange, Qop};
use alloc::{borrow::Cow, string::ToString, vec::Vec};
use core::fmt;

/// How the user is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Username<'a> {
    /// `username`, or `username*` decoded: the octets, unescaped.
    Plain(Cow<'a, [u8]>),
    /// `userhash=true`: the hex digits of [`crate::exchange::userhash`].
    Hashed(Cow<'a, [u8]>),
}

/// `nc`: eight hex digits, kept as they were written because they are hashed so.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NonceCount([u8; 8]);

impl NonceCount {
    /// The first use of a nonce.
    pub const FIRST: Self = Self(*b"00000001");

    /// The count in eight lower-case hex digits.
    pub fn new(count: u32) -> Self {
        let mut digits = [b'0'; 8];
        for (shift, digit) in (0..8).rev().zip(&mut digits) {
            let value = (count >> (4 * shift)) & 15;
            *digit = char::from_digit(value, 16).map_or(b'0', |c| c as u8);
        }
        Self(digits)
    }

    /// Reads exactly eight hex digits of either case.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let digits: [u8; 8] = text.try_into().ok()?;
        digits.iter().all(u8::is_ascii_hexdigit).then_some(Self(digits))
    }

    /// The digits as they were written.
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }

    /// The number.
    pub fn value(self) -> u32 {
        self.0.iter().fold(0, |sum, digit| sum << 4 | char::from(*digit).to_digit(16).unwrap_or(0))
    }
}

impl fmt::Debug for NonceCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NonceCount({:08x})", self.value())
    }
}

/// Digest credentials. Values are unescaped; whether they fit the challenge is for the server to decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// Who.
    pub username: Username<'a>,
    /// The protection space.
    pub realm: Cow<'a, [u8]>,
    /// The nonce as the server wrote it; empty in TS 24.109's first request.
    pub nonce: Cow<'a, [u8]>,
    /// The request target.
    pub uri: Cow<'a, [u8]>,
    /// The response as received, unchecked; empty in TS 24.109's first request.
    pub response: Cow<'a, [u8]>,
    /// The algorithm; `None` if it was not said, which stands for MD5 (RFC 7616 3.3).
    pub algorithm: Option<Algorithm>,
    /// What the challenge's `opaque` was.
    pub opaque: Option<Cow<'a, [u8]>>,
    /// The quality of protection. With one, nc and cnonce are there.
    pub qop: Option<Qop>,
    /// The nonce count.
    pub nc: Option<NonceCount>,
    /// The client's nonce.
    pub cnonce: Option<Cow<'a, [u8]>>,
    /// The base64 text of AUTS: the client asks for resynchronisation.
    pub auts: Option<Cow<'a, [u8]>>,
}

impl<'a> Credentials<'a> {
    /// The credentials of TS 24.109's first request (annex A.3): who, and nothing proven.
    pub fn initial(username: &'a [u8], realm: &'a [u8], uri: &'a [u8]) -> Self {
        Self {
            username: Username::Plain(Cow::Borrowed(username)),
            realm: Cow::Borrowed(realm),
            nonce: Cow::Borrowed(b""),
            uri: Cow::Borrowed(uri),
            response: Cow::Borrowed(b""),
            algorithm: None,
            opaque: None,
            qop: None,
            nc: None,
            cnonce: None,
            auts: None,
        }
    }

    /// The answer to a challenge, its response still empty; [`Credentials::sign`] fills it.
    pub fn answering(
        challenge: &'a Challenge<'_>,
        username: &'a [u8],
        uri: &'a [u8],
        qop: Option<Qop>,
        cnonce: &'a [u8],
    ) -> Self {
        let cnonce_used = qop.is_some() || challenge.algorithm.session;
        Self {
            username: Username::Plain(Cow::Borrowed(username)),
            realm: Cow::Borrowed(&challenge.realm),
            nonce: Cow::Borrowed(&challenge.nonce),
            uri: Cow::Borrowed(uri),
            response: Cow::Borrowed(b""),
            algorithm: Some(challenge.algorithm),
            opaque: challenge.opaque.as_ref().map(|opaque| Cow::Borrowed(&**opaque)),
            qop,
            nc: qop.map(|_| NonceCount::FIRST),
            cnonce: cnonce_used.then_some(Cow::Borrowed(cnonce)),
            auts: None,
        }
    }

    /// What is hashed, for the user whose plain name is `username`.
    pub fn exchange<'b>(&'b self, username: &'b [u8]) -> Exchange<'b> {
        Exchange {
            algorithm: self.algorithm.unwrap_or(Algorithm::MD5),
            username,
            realm: &self.realm,
            nonce: &self.nonce,
            uri: &self.uri,
            qop: self.qop,
            nc: self.nc.unwrap_or(NonceCount::FIRST),
            cnonce: self.cnonce.as_deref().unwrap_or_default(),
        }
    }

    /// Computes and sets `response`. With a hashed user name give the plain one.
    pub fn sign(&mut self, username: &[u8], password: &[u8], method: &[u8], body: &[u8]) {
        let exchange = self.exchange(username);
        let response = exchange.response(&exchange.ha1(password), method, body);
        self.response = Cow::Owned(response.as_bytes().to_vec());
    }

    /// Whether the response is the one for this password, in constant time.
    pub fn verify(&self, username: &[u8], password: &[u8], method: &[u8], body: &[u8]) -> bool {
        let exchange = self.exchange(username);
        exchange.response(&exchange.ha1(password), method, body).matches(&self.response)
    }

    /// Reads one `Authorization` header.
    ///
    /// # Errors
    /// [`ParseError`]; unknown parameters are skipped, an unknown algorithm or `qop` is a bad value.
    pub fn parse(header: &'a [u8]) -> Result<Self, ParseError> {
        let mut items = Items::with_schemes(header)?;
        match items.next() {
            Some(Ok(Item::Scheme(scheme))) if is(scheme, "Digest") => {}
            Some(Ok(Item::Scheme(_))) => return Err(ParseError::OtherScheme),
            Some(Err(error)) => return Err(error),
            _ => return Err(ParseError::Syntax { at: 0 }),
        }
        let mut fields = Fields::default();
        for item in items {
            match item? {
                Item::Parameter(name, value) => fields.set(name, value)?,
                Item::Scheme(_) | Item::Token68 => return Err(ParseError::Syntax { at: 0 }),
            }
        }
        fields.finish()
    }

    /// The header value. A user name outside visible ASCII is written as `username*` (RFC 7616 3.4).
    ///
    /// # Errors
    /// [`WriteError`] if a value holds a control character.
    pub fn to_header(&self) -> Result<Vec<u8>, WriteError> {
        let mut writer = Writer::with_scheme();
        match &self.username {
            Username::Plain(name) if name.is_ascii() => writer.quoted("username", name)?,
            Username::Plain(name) => writer.token("username*", &encode_extended(name)),
            Username::Hashed(digits) => writer.quoted("username", digits)?,
        }
        writer.quoted("realm", &self.realm)?;
        writer.quoted("nonce", &self.nonce)?;
        writer.quoted("uri", &self.uri)?;
        if let Some(algorithm) = self.algorithm {
            writer.token("algorithm", &algorithm.to_string());
        }
        if let Some(qop) = self.qop {
            writer.token("qop", qop.name());
        }
        if let Some(nc) = &self.nc {
            writer.token("nc", core::str::from_utf8(nc.as_bytes()).unwrap_or_default());
        }
        if let Some(cnonce) = &self.cnonce {
            writer.quoted("cnonce", cnonce)?;
        }
        writer.quoted("response", &self.response)?;
        if let Some(opaque) = &self.opaque {
            writer.quoted("opaque", opaque)?;
        }
        if let Some(auts) = &self.auts {
            writer.quoted("auts", auts)?;
        }
        if matches!(self.username, Username::Hashed(_)) {
            writer.token("userhash", "true");
        }
        Ok(writer.finish())
    }
}

#[derive(Default)]
struct Fields<'a> {
    seen: Seen<'a>,
    username: Option<Cow<'a, [u8]>>,
    extended_username: Option<Vec<u8>>,
    realm: Option<Cow<'a, [u8]>>,
    nonce: Option<Cow<'a, [u8]>>,
    uri: Option<Cow<'a, [u8]>>,
    response: Option<Cow<'a, [u8]>>,
    opaque: Option<Cow<'a, [u8]>>,
    cnonce: Option<Cow<'a, [u8]>>,
    auts: Option<Cow<'a, [u8]>>,
    algorithm: Option<Algorithm>,
    qop: Option<Qop>,
    nc: Option<NonceCount>,
    userhash: bool,
}

impl<'a> Fields<'a> {
    fn set(&mut self, name: &'a [u8], value: Cow<'a, [u8]>) -> Result<(), ParseError> {
        self.seen.note(name)?;
        let text = [
            ("username", &mut self.username),
            ("realm", &mut self.realm),
            ("nonce", &mut self.nonce),
            ("uri", &mut self.uri),
            ("response", &mut self.response),
            ("opaque", &mut self.opaque),
            ("cnonce", &mut self.cnonce),
            ("auts", &mut self.auts),
        ];
        if let Some((_, slot)) = text.into_iter().find(|(wanted, _)| is(name, wanted)) {
            *slot = Some(value);
        } else if is(name, "algorithm") {
            self.algorithm = Some(Algorithm::parse(&value).ok_or(ParseError::BadValue("algorithm"))?);
        } else if is(name, "qop") {
            self.qop = Some(Qop::parse(&value).ok_or(ParseError::BadValue("qop"))?);
        } else if is(name, "nc") {
            self.nc = Some(NonceCount::parse(&value).ok_or(ParseError::BadValue("nc"))?);
        } else if is(name, "userhash") {
            self.userhash = boolean(&value).ok_or(ParseError::BadValue("userhash"))?;
        } else if is(name, "username*") {
            let name = decode_extended(&value).ok_or(ParseError::BadValue("username*"))?;
            self.extended_username = Some(name);
        }
        Ok(())
    }

    fn finish(self) -> Result<Credentials<'a>, ParseError> {
        let username = match (self.username, self.extended_username, self.userhash) {
            (Some(name), None, false) => Username::Plain(name),
            (Some(digits), None, true) => Username::Hashed(digits),
            (None, Some(name), false) => Username::Plain(Cow::Owned(name)),
            (None, None, _) => return Err(ParseError::Missing("username")),
            (_, Some(_), _) => return Err(ParseError::BadValue("username*")),
        };
        if self.qop.is_some() && self.nc.is_none() {
            return Err(ParseError::Missing("nc"));
        }
        let needs_cnonce = self.qop.is_some() || self.algorithm.is_some_and(|algorithm| algorithm.session);
        if needs_cnonce && self.cnonce.is_none() {
            return Err(ParseError::Missing("cnonce"));
        }
        Ok(Credentials {
            username,
            realm: self.realm.ok_or(ParseError::Missing("realm"))?,
            nonce: self.nonce.ok_or(ParseError::Missing("nonce"))?,
            uri: self.uri.ok_or(ParseError::Missing("uri"))?,
            response: self.response.ok_or(ParseError::Missing("response"))?,
            algorithm: self.algorithm,
            opaque: self.opaque,
            qop: self.qop,
            nc: self.nc,
            cnonce: self.cnonce,
            auts: self.auts,
        })
    }
}
