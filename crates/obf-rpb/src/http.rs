//! HTTP messages as far as RPB needs them: octets in, octets out.

use crate::status::Outcome;
use alloc::{borrow::Cow, format, string::String, vec, vec::Vec};

/// The request header in which a client offers its key schemas (see [`crate::SchemaOffer`]).
pub const OFFER_HEADER: &str = "obf-key-schemas";
/// The product token of `User-Agent` that asks for GBA_Digest (TS 24.109 I.2).
pub const GBA_DIGEST: &str = "GBA_Digest";
/// The product token of `User-Agent` of a UE that does GBA (TS 24.109).
pub const THREE_GPP_GBA: &str = "3gpp-gba";
/// The media type of BootstrappingInfo (TS 24.109 annex C, IANA).
pub const BSF_XML: &str = "application/vnd.3gpp.bsf+xml";

/// A request as the server's shell received it. Build it with [`HttpRequest::new`] and feed every header to
/// [`HttpRequest::header`]; those of no concern are ignored.
#[derive(Clone, Debug)]
pub struct HttpRequest<'a> {
    /// The method, as written.
    pub method: &'a str,
    /// The request target, as written: `/`, or an absolute URI.
    pub target: &'a str,
    /// The body; `auth-int` covers it. The shell bounds it.
    pub body: &'a [u8],
    pub(crate) authorization: Option<&'a [u8]>,
    pub(crate) user_agent: Option<&'a [u8]>,
    pub(crate) offer: Option<&'a [u8]>,
    pub(crate) repeated: bool,
}

impl<'a> HttpRequest<'a> {
    /// A request without headers.
    pub const fn new(method: &'a str, target: &'a str, body: &'a [u8]) -> Self {
        Self { method, target, body, authorization: None, user_agent: None, offer: None, repeated: false }
    }

    /// Takes note of one header field (name in any case). A second `Authorization` or offer makes the request
    /// malformed: two ends could each believe another one.
    pub fn header(&mut self, name: &str, value: &'a [u8]) {
        let slot = if name.eq_ignore_ascii_case("authorization") {
            &mut self.authorization
        } else if name.eq_ignore_ascii_case(OFFER_HEADER) {
            &mut self.offer
        } else if name.eq_ignore_ascii_case("user-agent") {
            self.user_agent.get_or_insert(value);
            return;
        } else {
            return;
        };
        self.repeated |= slot.replace(value).is_some();
    }

    /// The user name in its `Authorization`, if there is one: what a shell limits attempts per identity by, before
    /// it lets the request in.
    pub fn username(&self) -> Option<Vec<u8>> {
        match obf_digest::Credentials::parse(self.authorization?).ok()?.username {
            obf_digest::Username::Plain(name) => Some(name.into_owned()),
            obf_digest::Username::Hashed(_) => None,
        }
    }
}

/// An answer of the server, complete but for `Date` and framing (`Content-Length`), which are the shell's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Why; its status, label for metrics, and refusal are in [`crate::status`].
    pub outcome: Outcome,
    /// Header fields in order; names in lower case.
    pub headers: Vec<(&'static str, Vec<u8>)>,
    /// The body; empty for most.
    pub body: Vec<u8>,
}

impl Reply {
    /// The answer that needs nothing but the outcome: a line of text with the refusal's code, where there is one to
    /// tell, and the headers that its status calls for. The shell uses it for what it decides itself (floods, time-outs).
    pub fn plain(outcome: Outcome) -> Self {
        let mut headers: Vec<(&'static str, Vec<u8>)> = vec![("cache-control", b"no-store".to_vec())];
        match outcome.status() {
            405 => headers.push(("allow", b"GET".to_vec())),
            429 | 503 => headers.push(("retry-after", b"5".to_vec())),
            _ => {}
        }
        let body = outcome.told().map_or_else(Vec::new, |refusal| {
            headers.push(("content-type", b"text/plain; charset=utf-8".to_vec()));
            format!("{refusal}\n").into_bytes()
        });
        Self { outcome, headers, body }
    }

    /// Its HTTP status code.
    pub const fn status(&self) -> u16 {
        self.outcome.status()
    }
}

/// A request that the client's shell sends to the Authentication Server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRequest {
    /// Always `GET`.
    pub method: &'static str,
    /// Always `/` (TS 24.109 annex A.3); the shell adds `Host`.
    pub target: &'static str,
    /// Header fields in order; names in lower case.
    pub headers: Vec<(&'static str, Vec<u8>)>,
}

/// An answer as the client's shell received it.
#[derive(Clone, Debug)]
pub struct HttpResponse<'a> {
    /// Status code.
    pub status: u16,
    /// Every header field, names in any case.
    pub headers: Vec<(Cow<'a, str>, Cow<'a, [u8]>)>,
    /// The body; the shell bounds it (8 KiB are plenty).
    pub body: &'a [u8],
}

impl<'a> HttpResponse<'a> {
    /// An answer without headers.
    pub const fn new(status: u16, body: &'a [u8]) -> Self {
        Self { status, headers: Vec::new(), body }
    }

    /// Adds one header field.
    #[must_use]
    pub fn with_header(mut self, name: &'a str, value: &'a [u8]) -> Self {
        self.headers.push((Cow::Borrowed(name), Cow::Borrowed(value)));
        self
    }

    pub(crate) fn all<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'b [u8]> + 'b {
        self.headers.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }

    /// The only field of that name; `None` if there is none or more than one.
    pub(crate) fn only<'b>(&'b self, name: &'b str) -> Option<&'b [u8]> {
        let mut all = self.all(name);
        all.next().filter(|_| all.next().is_none())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(self.body.get(..self.body.len().min(256)).unwrap_or_default()).into_owned()
    }
}
