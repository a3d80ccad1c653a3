//! Why a bootstrap ended without an association, ordered by fault.

use crate::body::BodyError;
use obf_digest::ParseError;
use obf_token::Algorithm;
use obf_types::Refusal;

/// Why a bootstrap ended without an association.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BootstrapError {
    /// AUTN does not verify: the challenge is not from somebody who knows the key. Or the server hides that it does not
    /// know the identity, or cannot serve it now.
    #[error("the network is not authentic: its challenge does not verify")]
    NetworkNotAuthentic,
    /// `rspauth` is missing or wrong: whoever answered does not know the keys, or the answer was altered.
    #[error("the server is not authentic: its proof is missing or wrong")]
    ServerNotAuthentic,
    /// Our offer of key schemas did not arrive as sent.
    #[error("the offer of key schemas was altered on the way")]
    OfferAltered,
    /// A schema that was not offered.
    #[error("the server chose a key schema that was not offered")]
    SchemaNotOffered,
    /// The server says another mode than that of its challenge.
    #[error("the server says another mode than the one of its challenge")]
    OtherMode,
    /// The token id names another challenge or domain.
    #[error("the token id is not of this challenge and domain")]
    OtherToken,
    /// The realm is not the server's domain.
    #[error("the challenge's realm is not the server's domain")]
    OtherRealm,
    /// Only weaker algorithms than the minimum.
    #[error("{} is all that server and device have in common, at least {} is required", offered.name(), minimum.name())]
    Downgrade {
        /// The strongest offered that the device can answer.
        offered: Algorithm,
        /// The minimum.
        minimum: Algorithm,
    },
    /// The nonce is not RAND ‖ AUTN.
    #[error("the nonce is no AKA nonce")]
    BadNonce,
    /// AUTN has the AMF separation bit: its CK and IK would open the LTE network (TS 33.102 annex H).
    #[error("the challenge is for network access, not for bootstrapping")]
    SeparationBit,
    /// A header is malformed.
    #[error(transparent)]
    Header(#[from] ParseError),
    /// The body is malformed.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// A status that does not belong here.
    #[error("unexpected HTTP status {status}")]
    UnexpectedStatus {
        /// The status.
        status: u16,
    },
    /// No AKA challenge with `auth-int` that the secure element can answer.
    #[error("the server offers no AKA algorithm that this device can answer")]
    NothingUsableOffered,
    /// Our response was not accepted.
    #[error("the server did not accept the response")]
    Rejected,
    /// The server says why not (the reason is not authenticated).
    #[error("the server refused{}", .0.map_or("", |_| " and gave a reason"))]
    Refused(Option<Refusal>),
    /// SQN was still not fresh after resynchronisation.
    #[error("resynchronisation did not help")]
    ResynchronisationFailed,
    /// More challenges than are answered.
    #[error("the server challenged more than {} times", super::MAX_CHALLENGES)]
    TooManyChallenges,
    /// The server cannot serve anybody now; try again later.
    #[error("the server is unavailable (HTTP status {status})")]
    Unavailable {
        /// 429 or 503.
        status: u16,
    },
    /// The secure element's answer has impossible sizes.
    #[error("the secure element's answer has an impossible size")]
    BadSecureElement,
    /// The user name or product cannot stand in a header.
    #[error("the identity cannot stand in a header")]
    BadSettings,
    /// Called in another order than [`super::Bootstrap`] says.
    #[error("bootstrap steps were called out of order")]
    OutOfOrder,
}
