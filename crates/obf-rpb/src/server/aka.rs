//! The second request of an AKA bootstrap: a response or `auts` to a sealed challenge.

use super::challenge::{ChallengeSpec, digest_algorithm, over_at};
use super::commit::{Proof, Proven, commit};
use super::{AwaitVector, Context, Resynchronise, Spend, SpendAnswer, Step};
use crate::http::Reply;
use crate::sealed::{ChallengeBinding, Expected, ExpectedAka, SealedChallenge};
use crate::{Outcome, SchemaOffer};
use obf_digest::{AkaNonce, AkaPassword, Credentials, Ha1, NonceCount, aka};
use obf_token::{Algorithm, Method, Mode};

/// A second request, read.
pub(super) struct Answer<'a> {
    pub(super) credentials: Credentials<'a>,
    pub(super) method: &'a str,
    pub(super) body: &'a [u8],
    pub(super) offer: Option<SchemaOffer>,
    pub(super) spec: ChallengeSpec,
}

/// Waits for the store to spend a challenge that `auts` answered.
#[derive(Debug)]
pub struct AwaitSpend {
    spec: ChallengeSpec,
    resynchronise: Resynchronise,
}

/// Whoever sent it knows the keys, or it is an `auts`.
struct Verified {
    sealed: SealedChallenge,
    nonce: AkaNonce,
    algorithm: Algorithm,
    ha1: Ha1,
}

/// Verifies, then looks whether the challenge is fresh, then resynchronises or commits.
pub(super) fn respond(context: Context<'_>, mut answer: Answer<'_>) -> Step {
    let verified = match verify(context, &answer) {
        Ok(verified) => verified,
        Err(Wrong { outcome, resynchronised }) => {
            answer.spec.resynchronised = resynchronised;
            return AwaitVector::new(answer.spec, outcome).ask(None);
        }
    };
    answer.spec.resynchronised = verified.sealed.resynchronised;
    let life = context.server.settings.challenge_life();
    let until = over_at(verified.sealed.issued, life);
    let fresh = context.now < until
        && verified.sealed.issued <= over_at(context.now, life)
        && answer.credentials.nc == Some(NonceCount::FIRST);
    let spend = Spend {
        rand: verified.nonce.rand,
        // Twice the life: a node whose clock is behind by a life still finds the note.
        until: over_at(until, life),
        identity: verified.sealed.identity.clone(),
        epoch: verified.sealed.epoch,
    };
    if answer.credentials.auts.is_some() {
        return resynchronise(answer, &verified, spend, fresh);
    }
    if !fresh {
        answer.spec.stale = true;
        return AwaitVector::new(answer.spec, Outcome::Stale).ask(None);
    }
    finish(context, answer, verified, spend)
}

/// Why a second request is not accepted.
struct Wrong {
    outcome: Outcome,
    /// Its challenge was of a bootstrap that was resynchronised before.
    resynchronised: bool,
}

fn verify(context: Context<'_>, answer: &Answer<'_>) -> Result<Verified, Wrong> {
    let Answer { credentials, method, body, spec, .. } = answer;
    let settings = &context.server.settings;
    let opened = credentials.opaque.as_deref().and_then(|opaque| {
        let binding = ChallengeBinding {
            mode: Mode::Aka,
            realm: settings.domain.as_str().as_bytes(),
            username: &spec.username,
            nonce: &credentials.nonce,
            offered: settings.offered(),
        };
        SealedChallenge::open(context.keys, opaque, &binding)
    });
    let nonce = AkaNonce::parse(&credentials.nonce);
    let same_realm = &*credentials.realm == settings.domain.as_str().as_bytes();
    let (Some(sealed), Some(nonce), true) = (opened, nonce, same_realm) else {
        return Err(Wrong { outcome: Outcome::ForeignChallenge, resynchronised: false });
    };
    let wrong = |outcome| Wrong { outcome, resynchronised: sealed.resynchronised };
    let mut offered = settings.offered().iter().copied();
    let algorithm = offered.find(|algorithm| credentials.algorithm == Some(digest_algorithm(*algorithm)));
    let algorithm = algorithm.ok_or_else(|| wrong(Outcome::AlgorithmNotOffered))?;

    let exchange = credentials.exchange(spec.username.as_bytes());
    let password = if credentials.auts.is_some() {
        Some(AkaPassword::EMPTY)
    } else {
        let Expected::Aka(ExpectedAka { xres, ck, ik, .. }) = &sealed.expected;
        AkaPassword::derive(digest_algorithm(algorithm), xres.expose(), ik.expose(), ck.expose())
    };
    let ha1 = password.map(|password| exchange.ha1(password.expose()));
    let ha1 = ha1.ok_or_else(|| wrong(Outcome::WrongResponse))?;
    if !exchange.response(&ha1, method.as_bytes(), body).matches(&credentials.response) {
        return Err(wrong(Outcome::WrongResponse));
    }
    Ok(Verified { sealed, nonce, algorithm, ha1 })
}

/// Anybody can make the response to go with `auts`, so nothing is told here, not even `stale`.
fn resynchronise(answer: Answer<'_>, verified: &Verified, spend: Spend, fresh: bool) -> Step {
    let Answer { credentials, mut spec, .. } = answer;
    let auts = credentials.auts.as_deref().and_then(aka::parse_auts);
    match auts {
        Some(auts) if fresh && !verified.sealed.resynchronised => {
            spec.resynchronised = true;
            let resynchronise = Resynchronise { rand: verified.nonce.rand, auts };
            Step::Spend(spend, AwaitSpend { spec, resynchronise })
        }
        _ => AwaitVector::new(spec, Outcome::ResynchronisationRefused).ask(None),
    }
}

fn finish(context: Context<'_>, answer: Answer<'_>, verified: Verified, spend: Spend) -> Step {
    let Verified { sealed, algorithm, ha1, .. } = verified;
    let Expected::Aka(ExpectedAka { minimum, ck, ik, .. }) = &sealed.expected;
    if algorithm < *minimum {
        return Step::Reply(Reply::plain(Outcome::BelowMinimum));
    }
    if sealed.not_after.is_some_and(|end| end <= context.now) {
        return Step::Reply(Reply::plain(Outcome::ValidityEnded));
    }
    let Some(identity) = sealed.identity else {
        return Step::Reply(Reply::plain(Outcome::UnsuitableVector));
    };
    let exchange = answer.credentials.exchange(answer.spec.username.as_bytes());
    let proven = Proven {
        method: Method::Aka(algorithm),
        technology: sealed.technology,
        ks: obf_aka::ks(ck.expose(), ik.expose()),
        identity,
        epoch: sealed.epoch,
        asked_at: sealed.issued,
        not_after: sealed.not_after,
        rs: sealed.rs,
        carried: sealed.carried,
        proof: Some(Proof::keep(&exchange, ha1)),
    };
    commit(context, proven, spend, answer.offer, answer.spec)
        .unwrap_or_else(|| Step::Reply(Reply::plain(Outcome::UnsuitableVector)))
}

impl AwaitSpend {
    /// Goes on with the store's answer.
    pub fn resume(self, context: Context<'_>, answer: SpendAnswer) -> Step {
        match answer {
            SpendAnswer::Fresh => {
                AwaitVector::new(self.spec, Outcome::Resynchronised).ask(Some(self.resynchronise))
            }
            SpendAnswer::Used => Step::Reply(self.spec.decoy(context, Outcome::ReplayedAuts)),
            SpendAnswer::Revoked => AwaitVector::new(self.spec, Outcome::ResynchronisationRefused).ask(None),
            SpendAnswer::Failed => Step::Reply(Reply::plain(Outcome::StorageFailed)),
        }
    }
}
