//! The checks before anything is asked of anybody.

use super::aka::{Answer, respond};
use super::challenge::ChallengeSpec;
use super::{AwaitVector, Context, Draw, Step};
use crate::http::{GBA_DIGEST, HttpRequest, Reply};
use crate::{Outcome, SchemaOffer};
use alloc::boxed::Box;
use obf_digest::{Credentials, ParseError, Qop, Username};

/// The longest user name: RADIUS' User-Name carries 253 octets (RFC 2865 5.1).
pub const MAX_USERNAME: usize = 253;

impl Context<'_> {
    /// Takes in a request. `draw` is fresh for each.
    pub fn begin(self, request: &HttpRequest<'_>, draw: Draw) -> Step {
        match self.examine(request, draw) {
            Ok(step) => step,
            Err(outcome) => Step::Reply(Reply::plain(outcome)),
        }
    }

    fn examine(self, request: &HttpRequest<'_>, draw: Draw) -> Result<Step, Outcome> {
        let path = path_of(request.target);
        if path != "/" {
            return Err(Outcome::OtherPath);
        }
        if request.method != "GET" {
            return Err(Outcome::OtherMethod);
        }
        if request.repeated {
            return Err(Outcome::Malformed);
        }
        if request.user_agent.is_some_and(asks_for_gba_digest) {
            return Err(Outcome::ModeNotServed);
        }
        let offer = match request.offer {
            None => None,
            Some(value) => Some(SchemaOffer::parse(value).ok_or(Outcome::Malformed)?),
        };
        let strongest_first = offer.is_some();
        let Some(authorization) = request.authorization else {
            return Ok(self.invite(draw, strongest_first));
        };
        let credentials = match Credentials::parse(authorization) {
            Ok(credentials) => credentials,
            Err(ParseError::OtherScheme) => return Ok(self.invite(draw, strongest_first)),
            Err(ParseError::TooLong { .. }) => return Err(Outcome::HeaderTooLarge),
            Err(ParseError::BadValue("algorithm")) => return Ok(self.invite(draw, strongest_first)),
            Err(_) => return Err(Outcome::Malformed),
        };
        let username = username_of(&credentials).ok_or(Outcome::Malformed)?;
        if &*credentials.uri != request.target.as_bytes() && &*credentials.uri != path.as_bytes() {
            return Err(Outcome::OtherUri);
        }
        let spec = ChallengeSpec { username, draw, strongest_first, stale: false, resynchronised: false };
        if is_first(&credentials) {
            return Ok(AwaitVector::new(spec, Outcome::Challenged).ask(None));
        }
        if credentials.qop != Some(Qop::AuthInt) || credentials.nc.is_some_and(|nc| nc.value() == 0) {
            return Err(Outcome::Malformed);
        }
        Ok(respond(self, Answer { credentials, method: request.method, body: request.body, offer, spec }))
    }

    /// For requests without credentials: a decoy challenge, which shows what a request must carry.
    fn invite(self, draw: Draw, strongest_first: bool) -> Step {
        let spec = ChallengeSpec {
            username: Box::from(""),
            draw,
            strongest_first,
            stale: false,
            resynchronised: false,
        };
        Step::Reply(spec.decoy(self, Outcome::NoCredentials))
    }
}

/// TS 24.109's first request has an empty nonce and response; some UEs send a nonce of before.
fn is_first(credentials: &Credentials<'_>) -> bool {
    credentials.auts.is_none() && credentials.response.is_empty()
}

fn username_of(credentials: &Credentials<'_>) -> Option<Box<str>> {
    let Username::Plain(name) = &credentials.username else { return None };
    let name = core::str::from_utf8(name).ok()?;
    (!name.is_empty() && name.len() <= MAX_USERNAME && !name.contains(char::is_control)).then(|| name.into())
}

/// The path of an origin-form or absolute-form target; an absolute URI without one has `/` (RFC 9112 3.2).
fn path_of(target: &str) -> &str {
    let Some((_, rest)) = target.split_once("://") else { return target };
    rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/")
}

/// The token is matched anywhere in the field: UEs separate their products by `;` as well as by spaces.
fn asks_for_gba_digest(user_agent: &[u8]) -> bool {
    user_agent.windows(GBA_DIGEST.len()).any(|window| window == GBA_DIGEST.as_bytes())
}
