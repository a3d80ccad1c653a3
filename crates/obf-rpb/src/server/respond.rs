//! The second request: a response or `auts` to a sealed challenge.

use super::challenge::{Want, digest_algorithm, over_at};
use super::{AwaitVector, Commit, CommitAnswer, Context, NewToken, Resynchronise, Spend, SpendAnswer, Step};
use crate::body::{Association, BootstrappingInfo};
use crate::http::{BSF_XML, Reply};
use crate::sealed::{Bound, SealedChallenge};
use crate::{Offer, Outcome};
use alloc::{boxed::Box, format, string::String, vec, vec::Vec};
use obf_digest::{
    AkaNonce, AkaPassword, AuthenticationInfo, Credentials, Exchange, Ha1, NonceCount, Qop, aka,
};
use obf_token::{Algorithm, Method, Mode, Technology, TokenFacts, TokenId};
use obf_types::Domain;

/// A second request, read.
pub(super) struct Answer<'a> {
    pub(super) credentials: Credentials<'a>,
    pub(super) method: &'a str,
    pub(super) body: &'a [u8],
    pub(super) offer: Option<Offer>,
    pub(super) want: Want,
}

/// Waits for the store to spend a challenge that `auts` answered.
#[derive(Debug)]
pub struct AwaitSpend {
    want: Want,
    resynchronise: Resynchronise,
}

/// Waits for the store to keep a token.
#[derive(Debug)]
pub struct AwaitCommit {
    want: Want,
    proof: Proof,
    info: BootstrappingInfo,
    association: Association,
}

pub(super) fn respond(context: Context<'_>, answer: Answer<'_>) -> Step {
    let Answer { credentials, method, body, offer, mut want } = answer;
    let settings = &context.server.settings;
    let opened = credentials.opaque.as_deref().and_then(|opaque| {
        let bound = Bound {
            mode: Mode::Aka,
            realm: settings.domain.as_str().as_bytes(),
            username: &want.username,
            nonce: &credentials.nonce,
            offered: settings.offered(),
        };
        SealedChallenge::open(context.keys, opaque, &bound)
    });
    let nonce = AkaNonce::parse(&credentials.nonce);
    let same_realm = &*credentials.realm == settings.domain.as_str().as_bytes();
    let (Some(sealed), Some(nonce), true) = (opened, nonce, same_realm) else {
        return AwaitVector::new(want, Outcome::ForeignChallenge).ask(None);
    };
    want.resynchronised = sealed.resynchronised;
    let offered = settings.offered().iter().copied();
    let algorithm =
        offered.into_iter().find(|algorithm| credentials.algorithm == Some(digest_algorithm(*algorithm)));
    let Some(algorithm) = algorithm else {
        return AwaitVector::new(want, Outcome::AlgorithmNotOffered).ask(None);
    };

    let exchange = credentials.exchange(want.username.as_bytes());
    let password = if credentials.auts.is_some() {
        Some(AkaPassword::EMPTY)
    } else {
        let (ik, ck) = (sealed.ik.expose(), sealed.ck.expose());
        AkaPassword::derive(digest_algorithm(algorithm), sealed.xres.expose(), ik, ck)
    };
    let Some(ha1) = password.map(|password| exchange.ha1(password.expose())) else {
        return AwaitVector::new(want, Outcome::WrongResponse).ask(None);
    };
    if !exchange.response(&ha1, method.as_bytes(), body).matches(&credentials.response) {
        return AwaitVector::new(want, Outcome::WrongResponse).ask(None);
    }

    let until = over_at(sealed.issued, settings.challenge_life());
    let fresh = context.now < until
        && sealed.issued <= over_at(context.now, settings.challenge_life())
        && credentials.nc == Some(NonceCount::FIRST);
    let spend = Spend {
        rand: nonce.rand,
        // Twice the life: a node whose clock is behind by a life still finds the note.
        until: over_at(until, settings.challenge_life()),
        identity: sealed.identity.clone(),
        epoch: sealed.epoch,
    };
    if let Some(auts) = &credentials.auts {
        // Anybody can make the response to go with `auts`, so nothing is told here, not even `stale`.
        let resynchronise = aka::parse_auts(auts).map(|auts| Resynchronise { rand: nonce.rand, auts });
        return match resynchronise {
            Some(resynchronise) if fresh && !sealed.resynchronised => {
                want.resynchronised = true;
                Step::Spend(spend, AwaitSpend { want, resynchronise })
            }
            _ => AwaitVector::new(want, Outcome::ResynchronisationRefused).ask(None),
        };
    }
    if !fresh {
        want.stale = true;
        return AwaitVector::new(want, Outcome::Stale).ask(None);
    }
    if algorithm < sealed.minimum {
        return Step::Reply(Reply::plain(Outcome::BelowMinimum));
    }
    if sealed.not_after.is_some_and(|end| end <= context.now) {
        return Step::Reply(Reply::plain(Outcome::ValidityEnded));
    }
    let proof = Proof::keep(&exchange, ha1);
    commit(context, sealed, algorithm, spend, offer, want, proof)
        .unwrap_or_else(|| Step::Reply(Reply::plain(Outcome::UnsuitableVector)))
}

fn commit(
    context: Context<'_>,
    sealed: SealedChallenge,
    algorithm: Algorithm,
    spend: Spend,
    offer: Option<Offer>,
    want: Want,
    proof: Proof,
) -> Option<Step> {
    let settings = &context.server.settings;
    let identity = sealed.identity?;
    let schema = Offer::choose(offer.as_ref());
    let expires = context.now.plus(settings.max_lifetime);
    let expires = sealed.not_after.map_or(expires, |end| expires.min(end));
    let domain = Domain::new(&format!("{}.{}", sealed.rs, settings.domain)).ok()?;
    let id = TokenId::new(spend.rand, domain);
    let token = NewToken {
        id: id.clone(),
        ks: obf_aka::ks(sealed.ck.expose(), sealed.ik.expose()),
        username: want.username.clone(),
        identity: identity.clone(),
        facts: TokenFacts {
            schema,
            method: Method::Aka(algorithm),
            technology: Technology::ThreeGpp,
            epoch: sealed.epoch,
            counter: 0,
            bootstrapped_at: context.now,
            expires,
            rights_at: sealed.issued,
        },
        carried: sealed.carried,
    };
    let offer = offer.map(|offer| String::from(offer.as_str()));
    let association = Association { schema, counter: 0, identity, offer };
    let info = BootstrappingInfo { id, expires, association: None };
    Some(Step::Commit(
        Box::new(Commit { spend, token }),
        Box::new(AwaitCommit { want, proof, info, association }),
    ))
}

impl AwaitSpend {
    /// Goes on with the store's answer.
    pub fn resume(self, context: Context<'_>, answer: SpendAnswer) -> Step {
        match answer {
            SpendAnswer::Fresh => {
                AwaitVector::new(self.want, Outcome::Resynchronised).ask(Some(self.resynchronise))
            }
            SpendAnswer::Used => Step::Reply(self.want.conceal(context, Outcome::ReplayedAuts)),
            SpendAnswer::Revoked => AwaitVector::new(self.want, Outcome::ResynchronisationRefused).ask(None),
            SpendAnswer::Failed => Step::Reply(Reply::plain(Outcome::StorageFailed)),
        }
    }
}

impl AwaitCommit {
    /// Goes on with the store's answer; the `200` exists only after it.
    pub fn resume(self, _context: Context<'_>, answer: CommitAnswer) -> Step {
        let Self { mut want, proof, mut info, association } = self;
        let counter = match answer {
            CommitAnswer::Committed { counter } => counter,
            CommitAnswer::BelowMinimum => return Step::Reply(Reply::plain(Outcome::BelowMinimum)),
            CommitAnswer::Failed => return Step::Reply(Reply::plain(Outcome::StorageFailed)),
            CommitAnswer::Used | CommitAnswer::Revoked => {
                want.stale = true;
                let outcome = if answer == CommitAnswer::Used { Outcome::Spent } else { Outcome::Revoked };
                return AwaitVector::new(want, outcome).ask(None);
            }
        };
        info.association = Some(Association { counter, ..association });
        let body = info.to_xml().into_bytes();
        let headers = vec![
            ("content-type", BSF_XML.as_bytes().to_vec()),
            ("authentication-info", proof.authentication_info(want.username.as_bytes(), &body)),
            ("cache-control", b"no-store".to_vec()),
        ];
        Step::Reply(Reply { outcome: Outcome::Bootstrapped, headers, body })
    }
}

/// What is needed to prove the server's side after the store has answered.
#[derive(Debug)]
struct Proof {
    ha1: Ha1,
    algorithm: obf_digest::Algorithm,
    realm: Vec<u8>,
    nonce: Vec<u8>,
    uri: Vec<u8>,
    cnonce: Vec<u8>,
}

impl Proof {
    fn keep(exchange: &Exchange<'_>, ha1: Ha1) -> Self {
        Self {
            ha1,
            algorithm: exchange.algorithm,
            realm: exchange.realm.to_vec(),
            nonce: exchange.nonce.to_vec(),
            uri: exchange.uri.to_vec(),
            cnonce: exchange.cnonce.to_vec(),
        }
    }

    fn authentication_info(&self, username: &[u8], body: &[u8]) -> Vec<u8> {
        let exchange = Exchange {
            algorithm: self.algorithm,
            username,
            realm: &self.realm,
            nonce: &self.nonce,
            uri: &self.uri,
            qop: Some(Qop::AuthInt),
            nc: NonceCount::FIRST,
            cnonce: &self.cnonce,
        };
        let rspauth = exchange.rspauth(&self.ha1, body);
        let info = AuthenticationInfo {
            rspauth: Some(rspauth.as_bytes().into()),
            qop: exchange.qop,
            cnonce: Some(self.cnonce.as_slice().into()),
            nc: Some(exchange.nc),
            nextnonce: None,
        };
        // Every value came out of a header that was read, so it can stand in one.
        info.to_header().unwrap_or_default()
    }
}
