//! Reference point RPB: HTTP requests driven through [`obf_rpb`]'s machine, with the Resource Server and the store as what
//! it asks for (SPEC W2, C8).

use crate::{
    admission::Admission,
    locator::{Locator, Served, Table},
    random::draw,
    resource_server::RprError,
    sealing::Sealing,
    table::RightsSet,
    tokens::{GivenRights, Tokens},
};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, StatusCode, body::Body, body::Incoming};
use obf_net::{
    Clock,
    http::{BodyError, Peer, read_body},
};
use obf_rpb::{
    Authenticator, Draw, HttpRequest, Outcome, Reply, Step,
    server::{
        AuthenticationData, Commit, CommitAnswer, Context, NewToken as Bootstrapped, Vector, VectorAnswer,
        VectorQuery,
    },
};
use obf_rpr::{Resynchronisation, RightsSelector, VectorRequest};
use obf_token::Mode;
use obf_types::{Refusal, UnixTime};
use std::{sync::Arc, time::Duration};

/// The longest body of a request: `auth-int` covers it, but nothing is read from it.
const MAX_BODY: usize = 4096;
const BODY_TIME: Duration = Duration::from_secs(10);
/// Who is asked for in place of a limited identity: nobody has this name (RFC 2606), and it costs the Resource Server
/// exactly what an unknown identity does, in words and in time.
const NOBODY: &[u8] = b"limited@nobody.invalid";

/// Answers bootstraps, with the parts of the node that they need.
#[derive(Debug)]
pub(crate) struct Bootstraps {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) sealing: Arc<Sealing>,
    pub(crate) locator: Arc<Locator>,
    pub(crate) tokens: Arc<Tokens>,
}

/// Answers one HTTP request.
pub(crate) async fn answer(
    bootstraps: Arc<Bootstraps>,
    request: Request<Incoming>,
    peer: Peer,
) -> obf_net::http::Reply {
    let reply = if bootstraps.admission.admits_source(peer.address.ip(), bootstraps.clock.now()) {
        exchange(&bootstraps, request).await
    } else {
        Reply::plain(Outcome::SourceLimited)
    };
    let outcome = reply.outcome;
    tracing::debug!(peer = %peer.address, outcome = outcome.label(), refusal = ?outcome.refusal(), "rpb");
    response(reply)
}

async fn exchange(bootstraps: &Bootstraps, request: Request<Incoming>) -> Reply {
    let (head, body) = request.into_parts();
    let body = if body.is_end_stream() {
        Bytes::new()
    } else {
        match read_body(body, MAX_BODY, BODY_TIME).await {
            Ok(body) => body,
            Err(BodyError::TooLong) => return Reply::plain(Outcome::BodyTooLarge),
            Err(BodyError::Slow) => return Reply::plain(Outcome::TooSlow),
            Err(_) => return Reply::plain(Outcome::Malformed),
        }
    };
    let whole;
    let target = match (head.uri.authority(), head.uri.path_and_query()) {
        (None, Some(path)) => path.as_str(),
        _ => {
            whole = head.uri.to_string();
            &whole
        }
    };
    let mut request = HttpRequest::new(head.method.as_str(), target, &body);
    for (name, value) in &head.headers {
        request.header(name.as_str(), value.as_bytes());
    }
    let now = bootstraps.clock.now();
    let keys = match bootstraps.sealing.ring(now).await {
        Ok(keys) => keys,
        Err(error) => {
            tracing::error!(%error, "no sealing key");
            return Reply::plain(Outcome::StorageFailed);
        }
    };
    // One table for the whole request: if it is replaced meanwhile, this request ends with what it began with.
    let table = bootstraps.locator.table();
    let context = Context { server: &bootstraps.authenticator, keys: &keys, now };
    let mut step = context.begin(&request, Draw::new(draw()));
    loop {
        step = match step {
            Step::Reply(reply) => return reply,
            Step::NeedVector(query, then) => {
                then.resume(context, bootstraps.vector(&table, query, now).await)
            }
            Step::Spend(spend, then) => then.resume(context, bootstraps.tokens.spend(spend).await),
            Step::Commit(commit, then) => then.resume(context, bootstraps.commit(&table, *commit).await),
        };
    }
}

impl Bootstraps {
    /// Asks the Resource Server of the device for a vector. An identity that is nobody's, or that has too many unanswered
    /// challenges, costs the same round trip, but no SQN (WIRES "SQN authority", "No oracle").
    async fn vector(&self, table: &Table, query: VectorQuery, now: UnixTime) -> VectorAnswer {
        let own = table.of_user_name(&query.username).filter(|_| !query.username.is_empty());
        let admitted = self.admission.admits_challenge(&query.username, now);
        let Some(served) = own.or_else(|| table.decoy()) else { return VectorAnswer::Unreachable };
        if own.is_none() || !admitted {
            return nobody(served).await;
        }
        let user_name = query.username.as_bytes().to_vec();
        let resynchronisation =
            query.resynchronise.map(|it| Resynchronisation { rand: it.rand, auts: it.auts });
        let answer =
            match served.server.vector(VectorRequest { user_name, mode: Mode::Aka, resynchronisation }).await
            {
                Ok(answer) => answer,
                Err(RprError::Refused(refusal)) => return VectorAnswer::Refused(refusal),
                Err(RprError::Unreachable | RprError::Unreadable) => return VectorAnswer::Unreachable,
            };
        if !table.is_of(&answer.device.identity, served) {
            // It could end the other's tokens, or be ended by it, if its token were made.
            tracing::error!(
                server = served.server.name(), device = %answer.device.identity,
                "the primary identity of a device is not among those that this Resource Server's rules take"
            );
            return VectorAnswer::Refused(Refusal::UnknownIdentity);
        }
        vector_of(answer, served)
    }

    /// Commits a bootstrap whose response was right.
    async fn commit(&self, table: &Table, Commit { token, .. }: Commit) -> CommitAnswer {
        // The table may have been replaced since the challenge: who has the device now makes a new one.
        let own = table.of_domain(token.id.domain()).filter(|served| table.is_of(&token.identity, served));
        let Some(served) = own else { return CommitAnswer::Revoked };
        if !self.may_issue(served) {
            return CommitAnswer::Failed;
        }
        let Some(given) = given_rights(served, &token, self.clock.now()).await else {
            return CommitAnswer::Failed;
        };
        let answer = self.tokens.commit(&token, given).await;
        if let CommitAnswer::Committed { .. } = answer {
            self.admission.challenge_answered(&token.username, self.clock.now());
        }
        answer
    }

    /// WIRES "A lost notice must not leave access open": whoever was not heard lately may have ended anything.
    fn may_issue(&self, served: &Served) -> bool {
        if !served.server.is_fresh() {
            tracing::warn!(
                server = served.server.name(),
                "nothing is issued: the Resource Server was not heard lately"
            );
            return false;
        }
        if !self.tokens.is_fresh() {
            tracing::warn!("nothing is issued: the store was not heard lately");
            return false;
        }
        true
    }
}

/// The round trip of an identity that gets no vector.
async fn nobody(served: &Served) -> VectorAnswer {
    let nobody = VectorRequest { user_name: NOBODY.to_vec(), mode: Mode::Aka, resynchronisation: None };
    match served.server.vector(nobody).await {
        Err(RprError::Unreachable | RprError::Unreadable) => VectorAnswer::Unreachable,
        _ => VectorAnswer::Refused(Refusal::Limited),
    }
}

fn vector_of(answer: obf_rpr::VectorAnswer, served: &Served) -> VectorAnswer {
    let obf_rpr::AuthenticationData::Aka(vector) = answer.data;
    VectorAnswer::Vector(Box::new(Vector {
        data: AuthenticationData::Aka { vector, minimum: answer.device.minimum_algorithm },
        technology: answer.technology,
        identity: answer.device.identity,
        epoch: answer.device.epoch,
        not_after: answer.device.kyc_expiry,
        rs: served.server.name().into(),
        carried: rights_of(answer.rights).to_octets(),
    }))
}

/// The rights that came with the vector, and when they were said; asked for again if they did not fit into the challenge.
async fn given_rights(served: &Served, token: &Bootstrapped, now: UnixTime) -> Option<GivenRights> {
    if let Some(octets) = &token.carried {
        let rights = RightsSet::from_octets(octets)?;
        return Some(GivenRights { said_at: token.facts.rights_at, rights });
    }
    match served.server.rights(token.identity.value().as_bytes(), RightsSelector::First).await {
        Ok(answer) => Some(GivenRights { said_at: now, rights: rights_of(answer.rights) }),
        // Refused meanwhile: what the device may do is asked again with every fetch.
        Err(RprError::Refused(_)) => {
            Some(GivenRights { said_at: now, rights: RightsSet::new(Vec::new(), true) })
        }
        Err(RprError::Unreachable | RprError::Unreadable) => None,
    }
}

/// Rights as they came on RPR.
fn rights_of(rights: obf_rpr::Rights) -> RightsSet {
    RightsSet::new(rights.list, rights.more)
}

fn response(reply: Reply) -> obf_net::http::Reply {
    let mut response = Response::new(Full::new(Bytes::from(reply.body)));
    *response.status_mut() =
        StatusCode::from_u16(reply.outcome.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in reply.headers {
        if let Ok(value) = value.try_into() {
            response.headers_mut().append(name, value);
        }
    }
    response
}
