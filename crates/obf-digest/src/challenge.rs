//! `WWW-Authenticate`: what the server offers (RFC 7616 3.3).

use crate::syntax::{Item, Items, MAX_CHALLENGES, ParseError, Seen, WriteError, Writer, boolean, is};
use crate::{Algorithm, Qop};
use alloc::{borrow::Cow, string::ToString, vec::Vec};

/// One Digest challenge. A server puts several behind one another, the one it prefers first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge<'a> {
    /// The protection space.
    pub realm: Cow<'a, [u8]>,
    /// The nonce, as text; for AKA see [`crate::AkaNonce`].
    pub nonce: Cow<'a, [u8]>,
    /// What the client has to send back unchanged.
    pub opaque: Option<Cow<'a, [u8]>>,
    /// The algorithm.
    pub algorithm: Algorithm,
    /// Whether `qop` offers `auth`.
    pub auth: bool,
    /// Whether `qop` offers `auth-int`. If neither is offered the challenge is of RFC 2069's form.
    pub auth_int: bool,
    /// The last request failed only because its nonce was old.
    pub stale: bool,
    /// URIs of the protection space.
    pub domain: Option<Cow<'a, [u8]>>,
    /// `charset=UTF-8`: how user name and password are encoded.
    pub utf8: bool,
    /// The server takes hashed user names.
    pub userhash: bool,
}

impl<'a> Challenge<'a> {
    /// A challenge with `qop="auth-int"` and nothing optional.
    pub fn auth_int(algorithm: Algorithm, realm: &'a [u8], nonce: &'a [u8], opaque: &'a [u8]) -> Self {
        Self {
            realm: Cow::Borrowed(realm),
            nonce: Cow::Borrowed(nonce),
            opaque: Some(Cow::Borrowed(opaque)),
            algorithm,
            auth: false,
            auth_int: true,
            stale: false,
            domain: None,
            utf8: false,
            userhash: false,
        }
    }

    /// The Digest challenges in all the `WWW-Authenticate` headers of one answer, in their order. Left out, as RFC
    /// 7616 3.3 and 3.7 want: other schemes, unknown algorithms, and offers of nothing but unknown `qop`s.
    ///
    /// # Errors
    /// [`ParseError`] if a header breaks the grammar or its bounds, or a Digest challenge lacks realm or nonce.
    pub fn parse_all(headers: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Self>, ParseError> {
        let mut challenges = Vec::new();
        let mut count = 0;
        for header in headers {
            let mut open: Option<Fields<'a>> = None;
            for item in Items::with_schemes(header)? {
                match item? {
                    Item::Scheme(scheme) => {
                        close(open.take(), &mut challenges)?;
                        count += 1;
                        if count > MAX_CHALLENGES {
                            return Err(ParseError::TooManyChallenges);
                        }
                        open = Some(Fields { digest: is(scheme, "Digest"), ..Fields::default() });
                    }
                    Item::Parameter(name, value) => {
                        open.as_mut().ok_or(ParseError::Syntax { at: 0 })?.set(name, value)?;
                    }
                    Item::Token68 => match &open {
                        Some(fields) if !fields.digest => {}
                        _ => return Err(ParseError::Syntax { at: 0 }),
                    },
                }
            }
            close(open, &mut challenges)?;
        }
        Ok(challenges)
    }

    /// The header value.
    ///
    /// # Errors
    /// [`WriteError`] if a value holds a control character.
    pub fn to_header(&self) -> Result<Vec<u8>, WriteError> {
        let mut writer = Writer::with_scheme();
        writer.quoted("realm", &self.realm)?;
        if let Some(domain) = &self.domain {
            writer.quoted("domain", domain)?;
        }
        writer.quoted("nonce", &self.nonce)?;
        if let Some(opaque) = &self.opaque {
            writer.quoted("opaque", opaque)?;
        }
        if self.stale {
            writer.token("stale", "true");
        }
        writer.token("algorithm", &self.algorithm.to_string());
        match (self.auth, self.auth_int) {
            (true, true) => writer.quoted("qop", b"auth, auth-int")?,
            (true, false) => writer.quoted("qop", b"auth")?,
            (false, true) => writer.quoted("qop", b"auth-int")?,
            (false, false) => {}
        }
        if self.utf8 {
            writer.token("charset", "UTF-8");
        }
        if self.userhash {
            writer.token("userhash", "true");
        }
        Ok(writer.finish())
    }

    /// Whether it offers that quality of protection.
    pub fn offers(&self, qop: Qop) -> bool {
        match qop {
            Qop::Auth => self.auth,
            Qop::AuthInt => self.auth_int,
        }
    }
}

#[derive(Default)]
struct Fields<'a> {
    digest: bool,
    seen: Seen<'a>,
    realm: Option<Cow<'a, [u8]>>,
    nonce: Option<Cow<'a, [u8]>>,
    opaque: Option<Cow<'a, [u8]>>,
    algorithm: Option<Cow<'a, [u8]>>,
    qop: Option<Cow<'a, [u8]>>,
    stale: bool,
    domain: Option<Cow<'a, [u8]>>,
    utf8: bool,
    userhash: bool,
}

impl<'a> Fields<'a> {
    fn set(&mut self, name: &'a [u8], value: Cow<'a, [u8]>) -> Result<(), ParseError> {
        self.seen.note(name)?;
        let text = [
            ("realm", &mut self.realm),
            ("nonce", &mut self.nonce),
            ("opaque", &mut self.opaque),
            ("algorithm", &mut self.algorithm),
            ("qop", &mut self.qop),
            ("domain", &mut self.domain),
        ];
        if let Some((_, slot)) = text.into_iter().find(|(wanted, _)| is(name, wanted)) {
            *slot = Some(value);
        } else if is(name, "stale") {
            self.stale = boolean(&value) == Some(true);
        } else if is(name, "userhash") {
            self.userhash = boolean(&value) == Some(true);
        } else if is(name, "charset") {
            self.utf8 = is(&value, "UTF-8");
        }
        Ok(())
    }
}

fn close<'a>(fields: Option<Fields<'a>>, challenges: &mut Vec<Challenge<'a>>) -> Result<(), ParseError> {
    let Some(fields) = fields.filter(|fields| fields.digest) else { return Ok(()) };
    let algorithm = match &fields.algorithm {
        None => Some(Algorithm::MD5),
        Some(name) => Algorithm::parse(name),
    };
    let (auth, auth_int) = fields.qop.as_ref().map_or((false, false), |qop| {
        let mut offered = qop.split(|b| matches!(b, b',' | b' ' | b'\t')).filter_map(Qop::parse);
        let both: Vec<Qop> = offered.by_ref().take(8).collect();
        (both.contains(&Qop::Auth), both.contains(&Qop::AuthInt))
    });
    let understood = fields.qop.is_none() || auth || auth_int;
    let (Some(algorithm), true) = (algorithm, understood) else { return Ok(()) };
    challenges.push(Challenge {
        realm: fields.realm.ok_or(ParseError::Missing("realm"))?,
        nonce: fields.nonce.ok_or(ParseError::Missing("nonce"))?,
        opaque: fields.opaque,
        algorithm,
        auth,
        auth_int,
        stale: fields.stale,
        domain: fields.domain,
        utf8: fields.utf8,
        userhash: fields.userhash,
    });
    Ok(())
}
