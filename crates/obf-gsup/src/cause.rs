//! Why an HLR refused (TS 24.008 10.5.5.14, GMM cause).

use std::fmt;

/// A cause, as it stands on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cause(pub u8);

impl Cause {
    /// The HLR does not know the IMSI, has no key for it, or (osmo-hlr) AUTS does not verify.
    pub const IMSI_UNKNOWN: Self = Self(2);
    /// The HLR has too much to do.
    pub const CONGESTION: Self = Self(22);

    /// Its words in TS 24.008, if it is one of those that an HLR uses.
    pub const fn text(self) -> Option<&'static str> {
        Some(match self.0 {
            2 => "IMSI unknown in HLR",
            3 => "illegal MS",
            6 => "illegal ME",
            7 => "GPRS services not allowed",
            8 => "GPRS and non-GPRS services not allowed",
            9 => "MS identity cannot be derived by the network",
            10 => "implicitly detached",
            11 => "PLMN not allowed",
            12 => "location area not allowed",
            13 => "roaming not allowed in this location area",
            14 => "GPRS services not allowed in this PLMN",
            15 => "no suitable cells in location area",
            16 => "MSC temporarily not reachable",
            17 => "network failure",
            20 => "MAC failure",
            21 => "synch failure",
            22 => "congestion",
            23 => "GSM authentication unacceptable",
            95 => "semantically incorrect message",
            96 => "invalid mandatory information",
            97 => "message type non-existent or not implemented",
            98 => "message type not compatible with the protocol state",
            99 => "information element non-existent or not implemented",
            100 => "conditional IE error",
            101 => "message not compatible with the protocol state",
            111 => "protocol error, unspecified",
            _ => return None,
        })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cause {} ({})", self.0, self.text().unwrap_or("not in TS 24.008 10.5.5.14"))
    }
}
