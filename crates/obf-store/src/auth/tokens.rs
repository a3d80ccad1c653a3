//! Tokens as they come into the store and out of it.

use super::RightsSet;
use obf_token::{Algorithm, TokenFacts, TokenId};
use obf_types::{AppId, Domain, GlobalIdentity, UnixTime};
use std::sync::Arc;

/// A successful bootstrap, to be committed.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    /// The token's id.
    pub id: TokenId,
    /// The device's registered primary identity.
    pub device: GlobalIdentity,
    /// The user name as the UE wrote it.
    pub user_name: Vec<u8>,
    /// How it came about; the counter is chosen by the store and ignored here.
    pub facts: TokenFacts,
    /// Ks, wrapped.
    pub wrapped_ks: Vec<u8>,
    /// What the device may do with the token.
    pub rights: Arc<RightsSet>,
    /// Tokens that the device had before live until then at most.
    pub former_until: UnixTime,
}

/// What became of a bootstrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// Committed.
    Done {
        /// How many bootstraps of the device that makes, from 1: P6 of `obf-1`.
        counter: u64,
    },
    /// The challenge was used before.
    AlreadyUsed,
    /// The device's tokens were ended since the challenge was made.
    Revoked,
    /// The device has bootstrapped with a better algorithm before.
    BelowMinimum {
        /// The least it may use now.
        minimum: Algorithm,
    },
}

/// What became of a challenge answered by `auts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// It is spent now, and was not before.
    Fresh,
    /// It was used before.
    AlreadyUsed,
    /// The device's tokens were ended since the challenge was made.
    Revoked,
}

/// A token as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredToken {
    /// Its id.
    pub id: TokenId,
    /// The device's registered primary identity.
    pub device: GlobalIdentity,
    /// The user name as the UE wrote it.
    pub user_name: Vec<u8>,
    /// How it came about, and when it expires.
    pub facts: TokenFacts,
    /// Ks, wrapped.
    pub wrapped_ks: Vec<u8>,
    /// What the device may do with it.
    pub rights: RightsSet,
}

/// What the store knows of a token id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// It lives.
    Live(StoredToken),
    /// Its time is over.
    Expired,
    /// It was ended.
    Revoked,
    /// Never heard of, or forgotten since.
    Unknown,
}

/// Which tokens to list; where all is `None`, every one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenFilter {
    /// Of this device.
    pub device: Option<GlobalIdentity>,
    /// With a right for this application that came with the token.
    pub app: Option<AppId>,
    /// Of one of these domains, and so of certain Resource Servers.
    pub domains: Option<Vec<Domain>>,
}
