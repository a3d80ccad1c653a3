//! The one table from what happened on RPB to what the peer sees (HTTP) and what logs and metrics say.
//!
//! | outcome | status | by |
//! |---|---|---|
//! | bootstrapped | 200 | TS 24.109 4.2, A.3 |
//! | the first request; no or other credentials | 401 | RFC 9110 15.5.2: a challenge invites to authenticate |
//! | wrong response, challenge not ours, other realm, algorithm not offered, second `auts` | 401, new challenge | RFC 7616 3.3; WIRES "No oracle" |
//! | right response to an old, spent or revoked challenge, or not with the first nonce count | 401, new challenge, `stale=true` | RFC 7616 3.3 |
//! | resynchronised | 401, new challenge | TS 24.109 4.5, RFC 3310 3.4 |
//! | replayed `auts` | 401, decoy challenge | WIRES "Once": it reaches no Resource Server |
//! | right response, but the algorithm is below the device's minimum, or its time is over | 403, reason | WIRES "No downgrade", "No oracle" |
//! | GBA_Digest asked for | 403 | TS 24.109 I.2: a BSF that disallows it rejects |
//! | grammar, contradictions (other `uri`, `qop` not offered, `nc` 0, two Authorization fields) | 400 | RFC 7616 3.4.6; 2617 3.2.2 |
//! | another path; another method than GET | 404; 405 | RFC 9110 |
//! | header or body too large, too slow, too many from a source | 431, 413, 408, 429 | RFC 6585, RFC 9110 |
//! | Resource Server unreachable, storage failed, overloaded | 503 for everyone | WIRES "No oracle" |

use obf_types::Refusal;

macro_rules! outcomes {
    ($($(#[$doc:meta])* $name:ident => $status:literal, $label:literal, $refusal:expr, $told:literal;)*) => {
        /// What became of a request.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Outcome {
            $($(#[$doc])* $name,)*
        }

        impl Outcome {
            /// Every outcome.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The HTTP status.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// The stable label in logs and metrics.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }

            /// Why it was refused, for the log.
            pub const fn refusal(self) -> Option<Refusal> {
                match self { $(Self::$name => $refusal,)* }
            }

            /// The refusal that the peer is told; `None` where it must not learn, or there is nothing to tell.
            pub const fn told(self) -> Option<Refusal> {
                match self { $(Self::$name => if $told { $refusal } else { None },)* }
            }
        }
    };
}

outcomes! {
    /// The response was right: a token exists.
    Bootstrapped => 200, "bootstrapped", None, false;
    /// A first request was answered with a challenge.
    Challenged => 401, "challenged", None, false;
    /// A first request of an identity that gets no vector was answered alike; the log knows why.
    Concealed => 401, "concealed", Some(Refusal::UnknownIdentity), false;
    /// No credentials, or of another scheme: a challenge that shows what is wanted.
    NoCredentials => 401, "no-credentials", None, false;
    /// The response does not verify.
    WrongResponse => 401, "wrong-response", Some(Refusal::WrongResponse), false;
    /// The opaque is missing, forged, of another request, of another node's forgotten key, or the realm is not ours.
    ForeignChallenge => 401, "foreign-challenge", Some(Refusal::StaleChallenge), false;
    /// An algorithm that was not offered.
    AlgorithmNotOffered => 401, "algorithm-not-offered", Some(Refusal::AlgorithmNotAllowed), false;
    /// A right response to a challenge whose time is over, or not with the first nonce count.
    Stale => 401, "stale", Some(Refusal::StaleChallenge), false;
    /// A right response to a challenge that was used before.
    Spent => 401, "spent", Some(Refusal::StaleChallenge), false;
    /// A right response to a challenge from before the device was revoked.
    Revoked => 401, "revoked", Some(Refusal::TokenRevoked), false;
    /// `auts` was accepted; the new challenge is in step.
    Resynchronised => 401, "resynchronised", None, false;
    /// `auts` was not accepted.
    ResynchronisationRefused => 401, "resynchronisation-refused", Some(Refusal::BadResynchronisation), false;
    /// `auts` to a challenge that was used before.
    ReplayedAuts => 401, "replayed-auts", Some(Refusal::StaleChallenge), false;
    /// A right response by an algorithm below the device's minimum.
    BelowMinimum => 403, "below-minimum", Some(Refusal::AlgorithmNotAllowed), true;
    /// A right response of a device whose time is over (KYC).
    ValidityEnded => 403, "validity-ended", Some(Refusal::KycExpired), true;
    /// GBA_Digest is not served here.
    ModeNotServed => 403, "mode-not-served", Some(Refusal::WrongMode), true;
    /// Not the grammar of Digest, or parameters that contradict what was offered.
    Malformed => 400, "malformed", Some(Refusal::MalformedRequest), true;
    /// `uri` is not the request's target.
    OtherUri => 400, "other-uri", Some(Refusal::MalformedRequest), true;
    /// The body is larger than the shell takes.
    BodyTooLarge => 413, "body-too-large", Some(Refusal::MalformedRequest), true;
    /// A header is larger than is read.
    HeaderTooLarge => 431, "header-too-large", Some(Refusal::MalformedRequest), true;
    /// Another path than `/`.
    OtherPath => 404, "other-path", None, false;
    /// Another method than GET.
    OtherMethod => 405, "other-method", None, false;
    /// The peer was too slow.
    TooSlow => 408, "too-slow", None, false;
    /// Too many requests of one source.
    SourceLimited => 429, "source-limited", Some(Refusal::Limited), true;
    /// No Resource Server answers.
    Unreachable => 503, "unreachable", Some(Refusal::ResourceServerUnreachable), true;
    /// The Resource Server sent a vector that must not be used on RPB: wrong sizes, or the AMF separation bit set.
    UnsuitableVector => 503, "unsuitable-vector", Some(Refusal::ResourceServerUnreachable), true;
    /// The store failed; nothing was given out.
    StorageFailed => 503, "storage-failed", Some(Refusal::StorageFailed), true;
    /// The HLR where the subscriber lives is away, or gives nothing that may be used.
    HlrUnavailable => 503, "hlr-unavailable", Some(Refusal::HlrUnavailable), true;
    /// No room for more work.
    Overloaded => 503, "overloaded", Some(Refusal::Overloaded), true;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_distinct_and_a_401_tells_nothing() {
        for (index, outcome) in Outcome::ALL.iter().enumerate() {
            assert!(!Outcome::ALL[..index].iter().any(|other| other.label() == outcome.label()));
            assert!(outcome.status() != 401 || outcome.told().is_none(), "{outcome:?}");
        }
    }
}
