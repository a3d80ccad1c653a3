//! From the Resource Server's answer to a `401`: the same shape and length, whoever asks.

use super::{Context, Draw, Resynchronise, Step, Vector, VectorAnswer, VectorQuery};
use crate::http::Reply;
use crate::sealed::{Bound, SealedChallenge};
use crate::status::Outcome;
use alloc::{boxed::Box, string::String, vec, vec::Vec};
use obf_aka::Amf;
use obf_digest::{AkaNonce, Challenge};
use obf_token::{Algorithm, Mode};
use obf_types::{Epoch, Refusal, Secret, SecretBytes, UnixTime};

/// What the next challenge is for.
#[derive(Debug)]
pub(super) struct Want {
    pub(super) username: Box<str>,
    pub(super) draw: Draw,
    /// The order of the offers. A client that says it knows OBF takes the best it knows (RFC 7616 3.7), so the best comes
    /// first; of the others some read only the first challenge, and every one of them knows AKAv1-MD5.
    pub(super) strongest_first: bool,
    pub(super) stale: bool,
    pub(super) resynchronised: bool,
}

/// Waits for the Resource Server, then challenges.
#[derive(Debug)]
pub struct AwaitVector {
    want: Want,
    /// What became of the request, if there is a vector.
    outcome: Outcome,
    resynchronise: bool,
}

impl AwaitVector {
    pub(super) const fn new(want: Want, outcome: Outcome) -> Self {
        Self { want, outcome, resynchronise: false }
    }

    pub(super) fn ask(mut self, resynchronise: Option<Resynchronise>) -> Step {
        self.resynchronise = resynchronise.is_some();
        Step::NeedVector(VectorQuery { username: self.want.username.clone(), resynchronise }, self)
    }

    /// Goes on with the Resource Server's answer.
    pub fn resume(mut self, context: Context<'_>, answer: VectorAnswer) -> Step {
        let vector = match answer {
            VectorAnswer::Vector(vector) => vector,
            VectorAnswer::Unreachable => return Step::Reply(Reply::plain(Outcome::Unreachable)),
            VectorAnswer::Refused(refusal) if !is_about_the_identity(refusal) => {
                return Step::Reply(Reply::plain(deployment_fault(refusal)));
            }
            VectorAnswer::Refused(_) if self.resynchronise => {
                // A wrong AUTS is answered like a wrong response: by a challenge, known identity or not.
                self.outcome = Outcome::ResynchronisationRefused;
                return self.ask(None);
            }
            VectorAnswer::Refused(_) => {
                let outcome = match self.outcome {
                    Outcome::Challenged => Outcome::Concealed,
                    other => other,
                };
                return Step::Reply(self.want.conceal(context, outcome));
            }
        };
        let reply = self.want.challenge(context, self.outcome, &vector);
        Step::Reply(reply.unwrap_or_else(|| Reply::plain(Outcome::UnsuitableVector)))
    }
}

impl Want {
    fn challenge(&self, context: Context<'_>, outcome: Outcome, vector: &Vector) -> Option<Reply> {
        Amf::of_autn(&vector.autn).ok()?;
        if !(4..=16).contains(&vector.xres.expose().len()) {
            return None;
        }
        let sealed = SealedChallenge {
            issued: context.now,
            epoch: vector.epoch,
            not_after: vector.not_after,
            minimum: vector.minimum,
            xres: vector.xres.clone(),
            ck: vector.ck.clone(),
            ik: vector.ik.clone(),
            rs: vector.rs.clone(),
            identity: Some(vector.identity.clone()),
            carried: Some(vector.carried.clone()),
            resynchronised: self.resynchronised,
        };
        self.reply(context, outcome, &vector.rand, &vector.autn, &sealed)
    }

    /// A challenge that nothing answers: RAND, AUTN (but for the deployment's AMF), XRES and keys are drawn.
    pub(super) fn conceal(&self, context: Context<'_>, outcome: Outcome) -> Reply {
        let rand = self.draw.array(24);
        let mut autn: [u8; 16] = self.draw.array(40);
        autn.iter_mut().skip(6).zip(context.server.settings.amf).for_each(|(to, amf)| *to = amf);
        let sealed = SealedChallenge {
            issued: context.now,
            epoch: Epoch(0),
            not_after: None,
            minimum: Algorithm::AkaV1Md5,
            xres: SecretBytes::new(self.draw.array::<16>(56).to_vec()),
            ck: Secret::new(self.draw.array(72)),
            ik: Secret::new(self.draw.array(88)),
            rs: Box::from(""),
            identity: None,
            carried: None,
            resynchronised: self.resynchronised,
        };
        self.reply(context, outcome, &rand, &autn, &sealed)
            .unwrap_or_else(|| Reply::plain(Outcome::Overloaded))
    }

    fn reply(
        &self,
        context: Context<'_>,
        outcome: Outcome,
        rand: &[u8; 16],
        autn: &[u8; 16],
        sealed: &SealedChallenge,
    ) -> Option<Reply> {
        let realm = context.server.settings.domain.as_str().as_bytes();
        let nonce = AkaNonce::encode(rand, autn);
        let offered = context.server.settings.offered();
        let bound =
            Bound { mode: Mode::Aka, realm, username: &self.username, nonce: nonce.as_bytes(), offered };
        let opaque: String = sealed.seal(context.keys, &self.draw.array(0), &bound)?;
        let mut headers: Vec<(&'static str, Vec<u8>)> = vec![("cache-control", b"no-store".to_vec())];
        for algorithm in offered {
            let algorithm = digest_algorithm(*algorithm);
            let challenge = Challenge {
                stale: self.stale,
                ..Challenge::auth_int(algorithm, realm, nonce.as_bytes(), opaque.as_bytes())
            };
            headers.push(("www-authenticate", challenge.to_header().ok()?));
        }
        if !self.strongest_first {
            headers.get_mut(1..)?.reverse();
        }
        Some(Reply { outcome, headers, body: Vec::new() })
    }
}

/// The digest algorithm of that name.
pub(super) const fn digest_algorithm(algorithm: Algorithm) -> obf_digest::Algorithm {
    match algorithm {
        Algorithm::AkaV1Md5 => obf_digest::Algorithm::AKA_V1_MD5,
        Algorithm::AkaV2Sha256 => obf_digest::Algorithm::AKA_V2_SHA_256,
    }
}

/// Until when a challenge issued then counts at some node, clocks apart included.
pub(super) const fn over_at(issued: UnixTime, life: u64) -> UnixTime {
    UnixTime(issued.0.saturating_add(life))
}

const fn is_about_the_identity(refusal: Refusal) -> bool {
    !matches!(
        refusal,
        Refusal::Overloaded
            | Refusal::StorageFailed
            | Refusal::HlrUnavailable
            | Refusal::NodeNotRegistered
            | Refusal::ResourceServerUnreachable
            | Refusal::MalformedRequest
            | Refusal::UnsupportedOperation
    )
}

const fn deployment_fault(refusal: Refusal) -> Outcome {
    match refusal {
        Refusal::Overloaded => Outcome::Overloaded,
        Refusal::StorageFailed => Outcome::StorageFailed,
        Refusal::HlrUnavailable => Outcome::HlrUnavailable,
        _ => Outcome::Unreachable,
    }
}
