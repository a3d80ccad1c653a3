//! `Authentication-Info`: the server's own proof and the next nonce (RFC 7616 3.5).

use crate::syntax::{Item, Items, ParseError, Seen, WriteError, Writer, is};
use crate::{Credentials, HexDigest, NonceCount, Qop};
use alloc::{borrow::Cow, vec::Vec};

/// What stands in `Authentication-Info`. Parameters that some servers add (nonce, opaque) are skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthenticationInfo<'a> {
    /// The server's proof as received, unchecked: see [`crate::Exchange::rspauth`].
    pub rspauth: Option<Cow<'a, [u8]>>,
    /// The quality of protection it was made with.
    pub qop: Option<Qop>,
    /// The client's nonce, echoed.
    pub cnonce: Option<Cow<'a, [u8]>>,
    /// The nonce count, echoed.
    pub nc: Option<NonceCount>,
    /// The nonce to use next.
    pub nextnonce: Option<Cow<'a, [u8]>>,
}

impl<'a> AuthenticationInfo<'a> {
    /// The proof that goes with these credentials.
    pub fn answering(credentials: &'a Credentials<'_>, rspauth: &'a HexDigest) -> Self {
        Self {
            rspauth: Some(Cow::Borrowed(rspauth.as_bytes())),
            qop: credentials.qop,
            cnonce: credentials.cnonce.as_ref().map(|cnonce| Cow::Borrowed(&**cnonce)),
            nc: credentials.nc,
            nextnonce: None,
        }
    }

    /// Reads one header value.
    ///
    /// # Errors
    /// [`ParseError`]; unknown parameters are skipped.
    pub fn parse(header: &'a [u8]) -> Result<Self, ParseError> {
        let mut info = Self::default();
        let mut seen = Seen::default();
        for item in Items::parameters_only(header)? {
            let Item::Parameter(name, value) = item? else { return Err(ParseError::Syntax { at: 0 }) };
            seen.note(name)?;
            if is(name, "rspauth") {
                info.rspauth = Some(value);
            } else if is(name, "cnonce") {
                info.cnonce = Some(value);
            } else if is(name, "nextnonce") {
                info.nextnonce = Some(value);
            } else if is(name, "qop") {
                info.qop = Some(Qop::parse(&value).ok_or(ParseError::BadValue("qop"))?);
            } else if is(name, "nc") {
                info.nc = Some(NonceCount::parse(&value).ok_or(ParseError::BadValue("nc"))?);
            }
        }
        Ok(info)
    }

    /// The header value.
    ///
    /// # Errors
    /// [`WriteError`] if a value holds a control character.
    pub fn to_header(&self) -> Result<Vec<u8>, WriteError> {
        let mut writer = Writer::parameters_only();
        if let Some(qop) = self.qop {
            writer.token("qop", qop.name());
        }
        if let Some(rspauth) = &self.rspauth {
            writer.quoted("rspauth", rspauth)?;
        }
        if let Some(cnonce) = &self.cnonce {
            writer.quoted("cnonce", cnonce)?;
        }
        if let Some(nc) = &self.nc {
            writer.token("nc", core::str::from_utf8(nc.as_bytes()).unwrap_or_default());
        }
        if let Some(nextnonce) = &self.nextnonce {
            writer.quoted("nextnonce", nextnonce)?;
        }
        Ok(writer.finish())
    }
}
