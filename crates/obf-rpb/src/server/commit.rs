//! A response was right, in whatever mode: the token, kept before the `200` exists.

use super::challenge::ChallengeSpec;
use super::{AwaitVector, Commit, CommitAnswer, Context, NewToken, Spend, Step};
use crate::body::{Association, BootstrappingInfo};
use crate::http::{BSF_XML, Reply};
use crate::{Outcome, SchemaOffer};
use alloc::{boxed::Box, format, string::String, vec, vec::Vec};
use obf_digest::{AuthenticationInfo, Exchange, Ha1, NonceCount, Qop};
use obf_token::{Ks, Method, Technology, TokenFacts, TokenId};
use obf_types::{Domain, Epoch, GlobalIdentity, UnixTime};

/// A device that has proved itself.
pub(super) struct Proven {
    pub(super) method: Method,
    pub(super) technology: Technology,
    pub(super) ks: Ks,
    pub(super) identity: GlobalIdentity,
    pub(super) epoch: Epoch,
    /// When the Resource Server was asked.
    pub(super) asked_at: UnixTime,
    pub(super) not_after: Option<UnixTime>,
    /// The Resource Server's label in token ids.
    pub(super) rs: Box<str>,
    pub(super) carried: Option<Vec<u8>>,
    /// What proves the server's side in turn; `None` in a mode where TLS has done so.
    pub(super) proof: Option<Proof>,
}

/// Waits for the store to keep a token.
#[derive(Debug)]
pub struct AwaitCommit {
    spec: ChallengeSpec,
    proof: Option<Proof>,
    info: BootstrappingInfo,
    association: Association,
}

/// `None` if the Resource Server's label makes no token id.
pub(super) fn commit(
    context: Context<'_>,
    proven: Proven,
    spend: Spend,
    offer: Option<SchemaOffer>,
    spec: ChallengeSpec,
) -> Option<Step> {
    let settings = &context.server.settings;
    let schema = SchemaOffer::choose(offer.as_ref());
    let expires = context.now.plus(settings.max_lifetime);
    let expires = proven.not_after.map_or(expires, |end| expires.min(end));
    let domain = Domain::new(&format!("{}.{}", proven.rs, settings.domain)).ok()?;
    let id = TokenId::new(spend.rand, domain);
    let token = NewToken {
        id: id.clone(),
        ks: proven.ks,
        username: spec.username.clone(),
        identity: proven.identity.clone(),
        facts: TokenFacts {
            schema,
            method: proven.method,
            technology: proven.technology,
            epoch: proven.epoch,
            counter: 0,
            bootstrapped_at: context.now,
            expires,
            rights_at: proven.asked_at,
        },
        carried: proven.carried,
    };
    let association = Association {
        schema,
        mode: proven.method.mode(),
        technology: proven.technology,
        counter: 0,
        identity: proven.identity,
        offer: offer.map(|offer| String::from(offer.as_str())),
    };
    let info = BootstrappingInfo { id, expires, association: None };
    Some(Step::Commit(
        Box::new(Commit { spend, token }),
        Box::new(AwaitCommit { spec, proof: proven.proof, info, association }),
    ))
}

impl AwaitCommit {
    /// Goes on with the store's answer; the `200` exists only after it.
    pub fn resume(self, _context: Context<'_>, answer: CommitAnswer) -> Step {
        let Self { mut spec, proof, mut info, association } = self;
        let counter = match answer {
            CommitAnswer::Committed { counter } => counter,
            CommitAnswer::BelowMinimum => return Step::Reply(Reply::plain(Outcome::BelowMinimum)),
            CommitAnswer::Failed => return Step::Reply(Reply::plain(Outcome::StorageFailed)),
            CommitAnswer::Used | CommitAnswer::Revoked => {
                spec.stale = true;
                let outcome = if answer == CommitAnswer::Used { Outcome::Spent } else { Outcome::Revoked };
                return AwaitVector::new(spec, outcome).ask(None);
            }
        };
        info.association = Some(Association { counter, ..association });
        let body = info.to_xml().into_bytes();
        let mut headers =
            vec![("content-type", BSF_XML.as_bytes().to_vec()), ("cache-control", b"no-store".to_vec())];
        if let Some(proof) = proof {
            let proven = proof.authentication_info(spec.username.as_bytes(), &body);
            headers.insert(1, ("authentication-info", proven));
        }
        Step::Reply(Reply { outcome: Outcome::Bootstrapped, headers, body })
    }
}

/// What is needed to prove the server's side after the store has answered.
#[derive(Debug)]
pub(super) struct Proof {
    ha1: Ha1,
    algorithm: obf_digest::Algorithm,
    realm: Vec<u8>,
    nonce: Vec<u8>,
    uri: Vec<u8>,
    cnonce: Vec<u8>,
}

impl Proof {
    pub(super) fn keep(exchange: &Exchange<'_>, ha1: Ha1) -> Self {
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
