//! Why something was refused. One enum for all wires; each wire has one table from it to what the peer sees.

use core::fmt;

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// A refusal with its stable code (`OBF-nnn` in Reply-Message, problem documents and CLI output).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Refusal {
            $($(#[$doc])* $name,)*
        }

        impl Refusal {
            /// Every refusal, by code.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The stable number.
            pub const fn code(self) -> u16 {
                match self { $(Self::$name => $code),* }
            }

            /// The code as text, `OBF-nnn`.
            pub const fn tag(self) -> &'static str {
                match self { $(Self::$name => concat!("OBF-", $code)),* }
            }

            /// The words that stand behind the code.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

refusals! {
    /// Unknown or foreign token: one code for both, so that nobody can probe for tokens (WIRES "Errors").
    UnknownToken = 101, "unknown token";
    /// The token's lifetime is over.
    TokenExpired = 102, "token expired";
    /// The token was ended before its time.
    TokenRevoked = 103, "token revoked";
    /// The device is not provisioned for this application.
    NotPermitted = 110, "device is not permitted for this application";
    /// The asking certificate is not registered for this application.
    ApplicationNotRegistered = 111, "no such application for this certificate";
    /// The application is not registered for this security protocol.
    ProtocolNotRegistered = 112, "security protocol is not registered for this application";
    /// The application is suspended.
    ApplicationSuspended = 113, "application is suspended";
    /// The application asks for more than was verified of the device's custodian.
    KycLevelTooLow = 114, "the custodian's KYC level is too low for this application";
    /// An operator denied the device this application, whatever it is granted.
    Denied = 115, "device is denied this application";
    /// A message lacks something or has it malformed.
    MalformedRequest = 120, "malformed request";
    /// The operation is not one that the peer serves.
    UnsupportedOperation = 121, "unsupported operation";
    /// No such subscriber.
    UnknownIdentity = 201, "unknown identity";
    /// The device is suspended.
    DeviceSuspended = 202, "device is suspended";
    /// The custodian's KYC has expired.
    KycExpired = 203, "KYC has expired";
    /// The identity bootstraps in another mode.
    WrongMode = 204, "identity uses another bootstrapping mode";
    /// Too many unanswered challenges, or too many requests.
    Limited = 205, "too many attempts";
    /// The resynchronisation token does not verify.
    BadResynchronisation = 206, "resynchronisation refused";
    /// The wrong response to a challenge.
    WrongResponse = 207, "wrong response";
    /// The challenge was used, has expired, or is not ours.
    StaleChallenge = 208, "stale challenge";
    /// An algorithm below the device's minimum or not offered.
    AlgorithmNotAllowed = 209, "algorithm not allowed";
    /// The asking node is not registered.
    NodeNotRegistered = 301, "node is not registered";
    /// The Resource Server cannot be reached, or was not heard for too long.
    ResourceServerUnreachable = 302, "Resource Server unreachable";
    /// The other end is overloaded; try again later.
    Overloaded = 303, "overloaded, try again later";
    /// Storage failed: nothing was changed.
    StorageFailed = 304, "storage failed, nothing was changed";
    /// The HLR where the subscriber lives is away, or gives nothing that may be used.
    HlrUnavailable = 305, "the subscriber's HLR gives no vectors, try again later";
}

impl Refusal {
    /// The refusal of that code.
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.iter().copied().find(|refusal| refusal.code() == code)
    }

    /// Reads the code out of a Reply-Message (`OBF-nnn words`).
    pub fn from_reply_message(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("OBF-")?.get(..3)?;
        Self::from_code(digits.parse().ok()?)
    }
}

/// `OBF-nnn words`, as Reply-Message and the CLI show it.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OBF-{:03} {}", self.code(), self.text())
    }
}

impl core::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn codes_are_distinct_and_read_back() {
        for refusal in Refusal::ALL {
            assert_eq!(Refusal::from_code(refusal.code()), Some(*refusal));
            assert_eq!(Refusal::from_reply_message(&format!("{refusal}")), Some(*refusal));
            assert_eq!(format!("{refusal}"), format!("{} {}", refusal.tag(), refusal.text()));
        }
        assert_eq!(Refusal::from_reply_message("OBF-999 x"), None);
        assert_eq!(Refusal::from_reply_message("no"), None);
    }
}
