//! Reference point RPB: HTTP requests driven through [`obf_rpb`]'s machine, with the Resource Server and the store as what
//! it asks for (SPEC W2, C8).

use crate::{
    node::Node,
    random::draw,
    resource_server::RprError,
    tokens::{NewToken, RightsSet},
};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, StatusCode, body::Body, body::Incoming};
use obf_net::http::{BodyError, Peer, read_body};
use obf_rpb::{
    Draw, HttpRequest, Outcome, Reply, Step,
    server::{
        AuthenticationData, Commit, CommitAnswer, Context, NewToken as Bootstrapped, Spend, SpendAnswer,
        Vector, VectorAnswer, VectorQuery,
    },
};
use obf_rpr::{Resynchronisation, VectorRequest, Wanted};
use obf_store::auth::{Bootstrap, Committed, Spent, TokenStore};
use obf_token::{Mode, TokenFacts, TokenId};
use obf_types::{Refusal, UnixTime};
use std::{sync::Arc, time::Duration};

/// Bodies of requests count into `auth-int` but say nothing to us.
const MAX_BODY: usize = 4096;
const BODY_TIME: Duration = Duration::from_secs(10);
/// Who is asked for in place of a limited identity: nobody has this name (RFC 2606), and it costs the Resource Server
/// exactly what an unknown identity does, in words and in time.
const NOBODY: &[u8] = b"limited@nobody.invalid";

/// Answers one HTTP request.
pub(crate) async fn answer(node: Arc<Node>, request: Request<Incoming>, peer: Peer) -> obf_net::http::Reply {
    let reply = if node.admission.admits_source(peer.address.ip(), node.now()) {
        exchange(&node, request).await
    } else {
        Reply::plain(Outcome::SourceLimited)
    };
    let outcome = reply.outcome;
    tracing::debug!(peer = %peer.address, outcome = outcome.label(), refusal = ?outcome.refusal(), "rpb");
    response(reply)
}

async fn exchange(node: &Node, request: Request<Incoming>) -> Reply {
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
    let now = node.now();
    let keys = match node.sealing.ring(now).await {
        Ok(keys) => keys,
        Err(error) => {
            tracing::error!(%error, "no sealing key");
            return Reply::plain(Outcome::StorageFailed);
        }
    };
    let context = Context { server: &node.authenticator, keys: &keys, now };
    let mut step = context.begin(&request, Draw::new(draw()));
    loop {
        step = match step {
            Step::Reply(reply) => return reply,
            Step::NeedVector(query, then) => then.resume(context, vector(node, query, now).await),
            Step::Spend(spend, then) => then.resume(context, self::spend(node, spend).await),
            Step::Commit(commit, then) => then.resume(context, self::commit(node, *commit).await),
        };
    }
}

/// Asks the Resource Server for a vector. An identity with too many unanswered challenges costs the same round trip, but
/// no SQN (WIRES "SQN authority").
async fn vector(node: &Node, query: VectorQuery, now: UnixTime) -> VectorAnswer {
    let server = &node.resource_server;
    if query.username.is_empty() || !node.admission.admits_challenge(&query.username, now) {
        let nobody = VectorRequest { user_name: NOBODY.to_vec(), mode: Mode::Aka, resynchronisation: None };
        return match server.vector(nobody).await {
            Err(RprError::Unreachable) => VectorAnswer::Unreachable,
            _ => VectorAnswer::Refused(Refusal::Limited),
        };
    }
    let user_name = query.username.as_bytes().to_vec();
    let resynchronisation = query.resynchronise.map(|it| Resynchronisation { rand: it.rand, auts: it.auts });
    let answer = match server.vector(VectorRequest { user_name, mode: Mode::Aka, resynchronisation }).await {
        Ok(answer) => answer,
        Err(RprError::Refused(refusal)) => return VectorAnswer::Refused(refusal),
        Err(RprError::Unreachable) => return VectorAnswer::Unreachable,
    };
    let obf_rpr::AuthenticationData::Aka(vector) = answer.data;
    VectorAnswer::Vector(Box::new(Vector {
        data: AuthenticationData::Aka { vector, minimum: answer.device.minimum_algorithm },
        technology: answer.technology,
        identity: answer.device.identity,
        epoch: answer.device.epoch,
        not_after: answer.device.kyc_expiry,
        rs: node.rs_label.clone(),
        carried: rights_of(answer.rights).to_octets(),
    }))
}

async fn spend(node: &Node, spend: Spend) -> SpendAnswer {
    let id = TokenId::new(spend.rand, node.token_domain.clone());
    let device = spend.identity.map(|device| (device, spend.epoch));
    match node.store.spend(id, device, spend.until).await {
        Ok(Spent::Fresh) => SpendAnswer::Fresh,
        Ok(Spent::AlreadyUsed) => SpendAnswer::Used,
        Ok(Spent::Revoked) => SpendAnswer::Revoked,
        Err(error) => {
            tracing::error!(%error, "a challenge cannot be spent");
            SpendAnswer::Failed
        }
    }
}

async fn commit(node: &Node, Commit { token, .. }: Commit) -> CommitAnswer {
    if !node.resource_server.is_fresh() {
        tracing::warn!("nothing is issued: the Resource Server was not heard lately");
        return CommitAnswer::Failed;
    }
    if !node.feed.is_fresh() {
        tracing::warn!("nothing is issued: the store was not heard lately");
        return CommitAnswer::Failed;
    }
    let Some((rights, rights_at)) = rights(node, &token).await else { return CommitAnswer::Failed };
    let facts = TokenFacts { rights_at, ..token.facts };
    let bootstrap = Arc::new(Bootstrap {
        id: token.id.clone(),
        device: token.identity.clone(),
        user_name: token.username.as_bytes().to_vec(),
        facts,
        wrapped_ks: node.vault.wrap_ks(&token.id, &token.ks),
        rights: node.table.intern(rights),
        former_until: UnixTime(token.facts.bootstrapped_at.0.saturating_add(node.former_token)),
    });
    let watch = node.feed.watch();
    match node.store.commit(Arc::clone(&bootstrap)).await {
        Ok(Committed::Done { counter }) => {
            keep(node, &token, &bootstrap, counter);
            if watch.saw(&bootstrap.device, &bootstrap.id) {
                // It may have been ended since its commit, before it was here to be ended; who asks for it finds out.
                node.table.end(&bootstrap.id);
            }
            node.admission.challenge_answered(&token.username, node.now());
            CommitAnswer::Committed { counter }
        }
        Ok(Committed::AlreadyUsed) => CommitAnswer::Used,
        Ok(Committed::Revoked) => CommitAnswer::Revoked,
        Ok(Committed::BelowMinimum { .. }) => CommitAnswer::BelowMinimum,
        Err(error) => {
            tracing::error!(%error, "a token cannot be kept");
            CommitAnswer::Failed
        }
    }
}

/// Takes a token that is in the store into memory as well.
fn keep(node: &Node, token: &Bootstrapped, stored: &Bootstrap, counter: u64) {
    let taken = node.table.insert(&NewToken {
        id: &stored.id,
        identity: &stored.device,
        user_name: &stored.user_name,
        ks: &token.ks,
        facts: &TokenFacts { counter, ..stored.facts },
        rights: Arc::clone(&stored.rights),
    });
    if let Err(error) = taken {
        // A fetch may have been quicker and taken it in from the store.
        tracing::debug!(token = %stored.id, %error, "token not taken in");
    }
}

/// The rights that came with the vector, and when they were said; asked for again if they did not fit into the challenge.
async fn rights(node: &Node, token: &Bootstrapped) -> Option<(RightsSet, UnixTime)> {
    if let Some(octets) = &token.carried {
        return Some((RightsSet::from_octets(octets)?, token.facts.rights_at));
    }
    match node.resource_server.rights(token.identity.value().as_bytes(), Wanted::First).await {
        Ok(answer) => Some((rights_of(answer.rights), node.now())),
        // Refused meanwhile: what the device may do is asked again with every fetch.
        Err(RprError::Refused(_)) => Some((RightsSet::new(Vec::new(), true), node.now())),
        Err(RprError::Unreachable) => None,
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
