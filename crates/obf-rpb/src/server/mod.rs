//! The Authentication Server's machine: one request in, steps out, no memory after the answer.
//!
//! The shell calls [`Context::begin`] and then does what each [`Step`] says, handing the result to the `resume` of
//! what came with the step, until a [`Step::Reply`]. What it needs of the outside is in the steps: the Resource Server
//! ([`VectorQuery`]) and the store that the deployment's nodes share ([`Spend`], [`Commit`]).

mod aka;
mod begin;
mod challenge;
mod commit;

pub use aka::AwaitSpend;
pub use challenge::AwaitVector;
pub use commit::AwaitCommit;

use crate::{http::Reply, sealed::KeyRing};
use alloc::{boxed::Box, vec::Vec};
use core::fmt;
use obf_aka::AkaVector;
use obf_token::{Algorithm, Ks, Technology, TokenFacts, TokenId};
use obf_types::{Domain, Epoch, GlobalIdentity, Lifetime, Refusal, UnixTime};
use zeroize::{ZeroizeOnDrop, Zeroizing};

/// What stays the same for every request at one Authentication Server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The server's domain: the realm, and the tail of every token id.
    pub domain: Domain,
    /// The AMF in decoy challenges: the registry's default, so that they look like others.
    pub amf: [u8; 2],
    /// How long a challenge can be answered, seconds; at most [`Settings::MAX_CHALLENGE_LIFE`].
    pub challenge_life: u32,
    /// The longest life of a token.
    pub max_lifetime: Lifetime,
    /// Offers `AKAv1-MD5` as well. Without it only UEs that know AKAv2 can bootstrap.
    pub offer_akav1: bool,
}

impl Settings {
    /// WIRES "RPB": a challenge lives at most 60 seconds.
    pub const MAX_CHALLENGE_LIFE: u32 = 60;

    /// The defaults for a domain: AMF `0000`, 60 seconds, 8 hours, both algorithms.
    pub const fn new(domain: Domain) -> Self {
        Self {
            domain,
            amf: [0, 0],
            challenge_life: Self::MAX_CHALLENGE_LIFE,
            max_lifetime: Lifetime::DEFAULT,
            offer_akav1: true,
        }
    }

    /// The algorithms of the challenges, the strongest first.
    pub const fn offered(&self) -> &'static [Algorithm] {
        if self.offer_akav1 {
            &[Algorithm::AkaV2Sha256, Algorithm::AkaV1Md5]
        } else {
            &[Algorithm::AkaV2Sha256]
        }
    }

    pub(crate) fn challenge_life(&self) -> u64 {
        u64::from(self.challenge_life.min(Self::MAX_CHALLENGE_LIFE))
    }
}

/// The machine's fixed part, shared by all requests.
#[derive(Clone, Debug)]
pub struct Authenticator {
    pub(crate) settings: Settings,
}

impl Authenticator {
    /// A machine with these settings.
    pub const fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// Its settings.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }
}

/// What is the same for every step of one request.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The machine.
    pub server: &'a Authenticator,
    /// The deployment's sealing keys, as this node knows them now.
    pub keys: &'a KeyRing,
    /// The present.
    pub now: UnixTime,
}

/// Octets drawn at random for one request.
#[derive(Clone, ZeroizeOnDrop)]
pub struct Draw {
    /// The nonce of the seal.
    pub(crate) seal: [u8; 24],
    // Of a decoy challenge.
    pub(crate) rand: [u8; 16],
    pub(crate) autn: [u8; 16],
    pub(crate) xres: [u8; 16],
    pub(crate) ck: [u8; 16],
    pub(crate) ik: [u8; 16],
}

impl Draw {
    /// How many.
    pub const LEN: usize = 104;

    /// Takes over octets of a cryptographic random source, never used for anything else.
    pub fn new(octets: [u8; Self::LEN]) -> Self {
        let octets = Zeroizing::new(octets);
        let mut rest = octets.iter().copied();
        Self {
            seal: next(&mut rest),
            rand: next(&mut rest),
            autn: next(&mut rest),
            xres: next(&mut rest),
            ck: next(&mut rest),
            ik: next(&mut rest),
        }
    }
}

impl fmt::Debug for Draw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Draw")
    }
}

/// The next octets; [`Draw::LEN`] is those of all fields.
fn next<const N: usize>(from: &mut impl Iterator<Item = u8>) -> [u8; N] {
    core::array::from_fn(|_| from.next().unwrap_or_default())
}

/// What the shell does next.
#[derive(Debug)]
pub enum Step {
    /// Send this. The request is over.
    Reply(Reply),
    /// Ask the Resource Server.
    NeedVector(VectorQuery, AwaitVector),
    /// Spend a challenge that was answered by `auts`, durably.
    Spend(Spend, AwaitSpend),
    /// Spend a challenge that was answered right, and keep the token: one durable, atomic write.
    Commit(Box<Commit>, Box<AwaitCommit>),
}

/// A question to the Resource Server: operation Vector, or Resynchronise where [`VectorQuery::resynchronise`] is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VectorQuery {
    /// User-Name: the identity as the UE wrote it, at most 253 octets.
    pub username: Box<str>,
    /// Resynchronise first.
    pub resynchronise: Option<Resynchronise>,
}

/// RAND of the challenge and AUTS of the UE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resynchronise {
    /// RAND.
    pub rand: [u8; 16],
    /// AUTS.
    pub auts: [u8; 14],
}

/// What the Resource Server said.
#[derive(Debug)]
pub enum VectorAnswer {
    /// A vector and whose it is.
    Vector(Box<Vector>),
    /// It refused. Refusals about the identity stay hidden from the peer; the others ([`Refusal::Overloaded`],
    /// [`Refusal::StorageFailed`], [`Refusal::NodeNotRegistered`], [`Refusal::ResourceServerUnreachable`], malformed or
    /// unsupported requests) are the deployment's fault and become `503`.
    Refused(Refusal),
    /// No answer from any.
    Unreachable,
}

/// What a device authenticates with, by mode. A mode is added here with the code that serves it.
#[derive(Clone, Debug)]
pub enum AuthenticationData {
    /// AKA.
    Aka {
        /// The vector: XRES of 4 to 16 octets, CK and IK of 16.
        vector: AkaVector,
        /// The least algorithm the device may still use.
        minimum: Algorithm,
    },
}

/// Authentication data with the device it is for.
#[derive(Clone, Debug)]
pub struct Vector {
    /// What the device authenticates with.
    pub data: AuthenticationData,
    /// The technology that its credential is of.
    pub technology: Technology,
    /// The device's registered primary identity.
    pub identity: GlobalIdentity,
    /// The device's revocation epoch.
    pub epoch: Epoch,
    /// From when on the device gets no token (KYC), if there is such a time.
    pub not_after: Option<UnixTime>,
    /// The Resource Server's label in token ids: one DNS label or more, at most 63 octets.
    pub rs: Box<str>,
    /// What the shell wants back at the commit (rights in a form of its own); see [`crate::sealed::VARIABLE_LEN`] for how
    /// much fits beside label and identity. It comes back as `None` if it did not fit.
    pub carried: Vec<u8>,
}

/// Asks the store to note a RAND as used, if it was not. Nothing else changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spend {
    /// RAND of the challenge.
    pub rand: [u8; 16],
    /// The note may be forgotten from then on: the challenge is over for every node.
    pub until: UnixTime,
    /// The device; `None` for a challenge that belongs to none (spend it all the same).
    pub identity: Option<GlobalIdentity>,
    /// Only if the device's epoch is still this.
    pub epoch: Epoch,
}

/// What the store said to [`Spend`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpendAnswer {
    /// It was not used before, and now is; durably.
    Fresh,
    /// It was used before.
    Used,
    /// The device's epoch is another.
    Revoked,
    /// The store failed; nothing changed.
    Failed,
}

/// Asks the store to spend a RAND and keep the token, atomically.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The challenge. Its identity is always there.
    pub spend: Spend,
    /// The token.
    pub token: NewToken,
}

/// What the store said to [`Commit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitAnswer {
    /// Done, durably; this is the device's bootstrap counter now (it rises by one with every commit).
    Committed {
        /// The counter, from 1.
        counter: u64,
    },
    /// The RAND was used before.
    Used,
    /// The device's epoch is another.
    Revoked,
    /// The device's minimum algorithm has risen above the token's since the challenge.
    BelowMinimum,
    /// The store failed; nothing changed.
    Failed,
}

/// A token as bootstrapped; the counter comes from the store.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Its id.
    pub id: TokenId,
    /// Its key.
    pub ks: Ks,
    /// P1 of `gba-me`: the user name, octet for octet as the UE sent it.
    pub username: Box<str>,
    /// The device's registered primary identity.
    pub identity: GlobalIdentity,
    /// How it came about and when it expires; the counter in it is 0. After an AKAv2 success the device's minimum is AKAv2
    /// for good.
    pub facts: TokenFacts,
    /// What came with the vector; `None` if it did not fit into the challenge.
    pub carried: Option<Vec<u8>>,
}
