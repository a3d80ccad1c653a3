//! From the Resource Server's answer to a `401`: the same shape and length, whoever asks.

use super::{AuthenticationData, Context, Draw, Resynchronise, Step, Vector, VectorAnswer, VectorQuery};
use crate::http::Reply;
use crate::sealed::{ChallengeBinding, Expected, ExpectedAka, SealedChallenge};
use crate::status::Outcome;
use alloc::{boxed::Box, string::String, vec, vec::Vec};
use obf_aka::Amf;
use obf_digest::{AkaNonce, Challenge};
use obf_token::{Algorithm, Mode, Technology};
use obf_types::{Epoch, Refusal, Secret, SecretBytes, UnixTime};

/// What the next challenge is for.
#[derive(Debug)]
pub(super) struct ChallengeSpec {
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
    spec: ChallengeSpec,
    /// What became of the request, if there is a vector.
    outcome: Outcome,
    resynchronise: bool,
}

impl AwaitVector {
    pub(super) const fn new(spec: ChallengeSpec, outcome: Outcome) -> Self {
        Self { spec, outcome, resynchronise: false }
    }

    pub(super) fn ask(mut self, resynchronise: Option<Resynchronise>) -> Step {
        self.resynchronise = resynchronise.is_some();
        Step::NeedVector(VectorQuery { username: self.spec.username.clone(), resynchronise }, self)
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
                return Step::Reply(self.spec.decoy(context, outcome));
            }
        };
        let reply = self.spec.challenge(context, self.outcome, &vector);
        Step::Reply(reply.unwrap_or_else(|| Reply::plain(Outcome::UnsuitableVector)))
    }
}

impl ChallengeSpec {
    fn challenge(&self, context: Context<'_>, outcome: Outcome, vector: &Vector) -> Option<Reply> {
        let AuthenticationData::Aka { vector: aka, minimum } = &vector.data;
        Amf::of_autn(&aka.autn).ok()?;
        if !(4..=16).contains(&aka.xres.expose().len()) {
            return None;
        }
        let sealed = SealedChallenge {
            issued: context.now,
            epoch: vector.epoch,
            not_after: vector.not_after,
            technology: vector.technology,
            expected: Expected::Aka(ExpectedAka {
                minimum: *minimum,
                xres: SecretBytes::from(aka.xres.expose()),
                ck: Secret::new(*aka.ck.octets_16()?),
                ik: Secret::new(*aka.ik.octets_16()?),
            }),
            rs: vector.rs.clone(),
            identity: Some(vector.identity.clone()),
            carried: Some(vector.carried.clone()),
            resynchronised: self.resynchronised,
        };
        self.reply(context, outcome, &aka.rand, &aka.autn, &sealed)
    }

    /// A decoy challenge, which no secure element can answer: RAND, AUTN (but for the deployment's AMF), XRES and keys
    /// are random.
    pub(super) fn decoy(&self, context: Context<'_>, outcome: Outcome) -> Reply {
        let mut autn = self.draw.autn;
        autn.iter_mut().skip(6).zip(context.server.settings.amf).for_each(|(to, amf)| *to = amf);
        let sealed = SealedChallenge {
            issued: context.now,
            epoch: Epoch(0),
            not_after: None,
            technology: Technology::ThreeGpp,
            expected: Expected::Aka(ExpectedAka {
                minimum: Algorithm::AkaV1Md5,
                xres: SecretBytes::new(self.draw.xres.to_vec()),
                ck: Secret::new(self.draw.ck),
                ik: Secret::new(self.draw.ik),
            }),
            rs: Box::from(""),
            identity: None,
            carried: None,
            resynchronised: self.resynchronised,
        };
        self.reply(context, outcome, &self.draw.rand, &autn, &sealed)
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
        let bound = ChallengeBinding {
            mode: Mode::Aka,
            realm,
            username: &self.username,
            nonce: nonce.as_bytes(),
            offered,
        };
        let opaque: String = sealed.seal(context.keys, &self.draw.seal, &bound)?;
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

/// When a challenge issued then is over at every node, however far their clocks are apart.
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
