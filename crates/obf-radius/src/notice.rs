//! What RPR's and RPO's notices have in common (RFC 5176): a window against replays, ACK, NAK.

use crate::{
    Code, Malformed, Packet, Request, dictionary::ERROR_CAUSE, dictionary::EVENT_TIMESTAMP,
    dictionary::ErrorCause,
};
use obf_types::UnixTime;

/// How far a notice's Event-Timestamp may be from our clock, seconds either way (RFC 5176 6.3).
pub const WINDOW: u64 = 300;

/// Why a notice is not acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoticeError {
    /// A packet of another code.
    #[error("not a notice")]
    NotANotice,
    /// Event-Timestamp is missing or more than [`WINDOW`] seconds away: perhaps a replay.
    #[error("it was not made within {WINDOW} s of now: a replay, or the clocks of the servers differ")]
    Stale,
    /// It does not say whom it is about.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl NoticeError {
    /// The Error-Cause to answer with (RFC 5176 3.5).
    pub const fn cause(self) -> ErrorCause {
        match self {
            Self::NotANotice => ErrorCause::UnsupportedExtension,
            Self::Stale => ErrorCause::InvalidRequest,
            Self::Malformed(_) => ErrorCause::MissingAttribute,
        }
    }
}

/// Nothing if the packet was made within [`WINDOW`] seconds of `now`.
///
/// # Errors
/// [`NoticeError::Stale`].
pub fn check_fresh(packet: &Packet<'_>, now: UnixTime) -> Result<(), NoticeError> {
    let sent = packet.integer(EVENT_TIMESTAMP).map(|seconds| UnixTime(seconds.into()));
    let fresh = sent.is_some_and(|sent| sent.since(now).max(now.since(sent)) <= WINDOW);
    if fresh { Ok(()) } else { Err(NoticeError::Stale) }
}

/// Writes the ACK to a Disconnect- or CoA-Request into `out`, which is emptied: what it asks for has been done durably.
pub fn acknowledge(request: &Request, out: &mut Vec<u8>) {
    let code = if request.code() == Code::CoaRequest { Code::CoaAck } else { Code::DisconnectAck };
    request.reply(code, out).finish();
}

/// Writes the NAK to a Disconnect- or CoA-Request into `out`, which is emptied.
pub fn refuse(request: &Request, cause: ErrorCause, out: &mut Vec<u8>) {
    let code = if request.code() == Code::CoaRequest { Code::CoaNak } else { Code::DisconnectNak };
    let mut reply = request.reply(code, out);
    // Proxy-State can fill a packet; then the NAK alone is told.
    let _ = reply.attributes().put_integer(ERROR_CAUSE, cause as u32);
    reply.finish();
}
