//! Packet codes (RFC 2865 3, RFC 5176 2.1, RFC 5997 1).

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Code {
    /// A request for access.
    AccessRequest = 1,
    /// Granted.
    AccessAccept = 2,
    /// Refused.
    AccessReject = 3,
    /// Accounting; never sent by us, and answered only with a refusal (RFC 6614 2.5).
    AccountingRequest = 4,
    /// The answer to accounting.
    AccountingResponse = 5,
    /// Another round is needed.
    AccessChallenge = 11,
    /// Are you there (RFC 5997).
    StatusServer = 12,
    /// End a session (RFC 5176).
    DisconnectRequest = 40,
    /// It is ended.
    DisconnectAck = 41,
    /// It was not.
    DisconnectNak = 42,
    /// Change a session's authorisation (RFC 5176).
    CoaRequest = 43,
    /// Changed.
    CoaAck = 44,
    /// Not changed.
    CoaNak = 45,
}

impl Code {
    /// Every code that we know.
    pub const ALL: [Self; 13] = [
        Self::AccessRequest,
        Self::AccessAccept,
        Self::AccessReject,
        Self::AccountingRequest,
        Self::AccountingResponse,
        Self::AccessChallenge,
        Self::StatusServer,
        Self::DisconnectRequest,
        Self::DisconnectAck,
        Self::DisconnectNak,
        Self::CoaRequest,
        Self::CoaAck,
        Self::CoaNak,
    ];

    /// The code of that number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|code| *code as u8 == number)
    }

    /// Whether it asks something.
    pub const fn is_request(self) -> bool {
        matches!(
            self,
            Self::AccessRequest
                | Self::AccountingRequest
                | Self::StatusServer
                | Self::DisconnectRequest
                | Self::CoaRequest
        )
    }

    /// Whether the Request Authenticator is a hash instead of random octets (RFC 5176 2.3).
    pub const fn has_hashed_authenticator(self) -> bool {
        matches!(self, Self::AccountingRequest | Self::DisconnectRequest | Self::CoaRequest)
    }

    /// Whether a packet of code `reply` may answer one of this code.
    pub const fn is_answered_by(self, reply: Self) -> bool {
        match self {
            Self::AccessRequest => {
                matches!(reply, Self::AccessAccept | Self::AccessReject | Self::AccessChallenge)
            }
            Self::StatusServer => matches!(reply, Self::AccessAccept | Self::AccountingResponse),
            Self::AccountingRequest => matches!(reply, Self::AccountingResponse),
            Self::DisconnectRequest => matches!(reply, Self::DisconnectAck | Self::DisconnectNak),
            Self::CoaRequest => matches!(reply, Self::CoaAck | Self::CoaNak),
            _ => false,
        }
    }
}
