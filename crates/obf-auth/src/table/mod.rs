//! The live tokens of this node, in memory: found by id, by device and by expiry.
//!
//! Ks lies here wrapped under a key of this process; [`TokenTable::ks`] opens one for one derivation. No lock is held
//! across an `.await`: every method takes its shard's lock, copies at most one record out and lets go.
//! Durable copies are the business of [`obf_store::auth`]; this table forgets with the process.

mod record;
mod rights;
mod shard;

pub use obf_store::auth::RightsSet;
pub use record::MAX_USER_NAME;
pub use rights::RightsInterner;

use obf_token::{Ks, SealingKey, TokenFacts, TokenId, envelope};
use obf_types::{Domain, Epoch, GlobalIdentity, IdentityKind, Secret, UnixTime};
use record::{Head, View, WRAPPED};
use shard::Shard;
use std::{
    hash::RandomState,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
};

/// Shards, a power of two: more than cores, so that two fetches seldom meet.
const SHARDS: usize = 16;

/// A token to be kept.
#[derive(Debug)]
pub struct NewToken<'a> {
    /// Its id.
    pub id: &'a TokenId,
    /// The device's registered primary identity.
    pub identity: &'a GlobalIdentity,
    /// P1 of `gba-me`: the user name as the UE wrote it, at most [`MAX_USER_NAME`] octets.
    pub user_name: &'a [u8],
    /// Its key.
    pub ks: &'a Ks,
    /// How it came about, and when it expires.
    pub facts: &'a TokenFacts,
    /// What the device may do with it; [`TokenTable::intern`] makes equal sets one.
    pub rights: Arc<RightsSet>,
}

/// Why a token was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InsertError {
    /// A token of that id lives already.
    #[error("a token of this id lives already")]
    Duplicate,
    /// The domain of the id is none of this node's.
    #[error("the token's domain is not one of this node")]
    ForeignDomain,
    /// The user name is longer than [`MAX_USER_NAME`].
    #[error("the user name is longer than {MAX_USER_NAME} octets")]
    UserNameTooLong,
}

/// What a look for a token found.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a box would cost each fetch an allocation")]
pub enum Found {
    /// It lives.
    Live(LiveToken),
    /// It is still here, but its time is over.
    Expired,
    /// It is not here; the store may know it.
    Absent,
}

/// A copy of a live token, Ks still wrapped.
#[derive(Clone)]
pub struct LiveToken {
    record: [u8; record::MAX],
    length: usize,
    facts: TokenFacts,
    /// What the device may do with it.
    pub rights: Arc<RightsSet>,
}

impl LiveToken {
    fn copy(record: &[u8], rights: &Arc<RightsSet>) -> Option<Self> {
        let mut copy = [0; record::MAX];
        copy.get_mut(..record.len())?.copy_from_slice(record);
        let facts = View::new(record).facts()?;
        Some(Self { record: copy, length: record.len(), facts, rights: Arc::clone(rights) })
    }

    fn view(&self) -> View<'_> {
        View::new(self.record.get(..self.length).unwrap_or_default())
    }

    /// RAND of its bootstrap, the first half of its id.
    pub fn rand(&self) -> &[u8; 16] {
        self.view().rand()
    }

    /// The device's registered primary identity; allocates.
    pub fn identity(&self) -> Option<GlobalIdentity> {
        identity_of(self.view())
    }

    /// The user name as the UE wrote it.
    pub fn user_name(&self) -> &[u8] {
        self.view().user_name()
    }

    /// How it came about, and when it expires.
    pub const fn facts(&self) -> &TokenFacts {
        &self.facts
    }
}

impl std::fmt::Debug for LiveToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveToken")
            .field("identity", &self.view().identity())
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}

/// The live tokens. Cheap to share behind an `Arc`; every method takes `&self`.
pub struct TokenTable {
    shards: [Mutex<Shard>; SHARDS],
    /// Only ever longer: records say the place of theirs.
    domains: RwLock<Vec<Domain>>,
    seed: RandomState,
    wrap: SealingKey,
    interner: RightsInterner,
}

impl TokenTable {
    /// An empty table for tokens of these domains (`<rs>.<as domain>`, one for each Resource Server). `key` wraps Ks:
    /// 32 random octets, drawn by each process anew.
    pub fn new(domains: Vec<Domain>, key: &Secret<32>) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::new(Shard::new())),
            domains: RwLock::new(domains),
            seed: RandomState::new(),
            wrap: SealingKey::new(0, key),
            interner: RightsInterner::default(),
        }
    }

    /// Takes tokens of this domain in, too, from now on.
    pub fn serve(&self, domain: &Domain) {
        let mut domains = self.domains.write().unwrap_or_else(PoisonError::into_inner);
        if !domains.contains(domain) {
            domains.push(domain.clone());
        }
    }

    /// The shared copy of a set of rights.
    pub fn intern(&self, rights: RightsSet) -> Arc<RightsSet> {
        self.interner.intern(rights)
    }

    /// Live tokens, expired ones not yet erased included.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a token in.
    ///
    /// # Errors
    /// [`InsertError`]; nothing is changed then.
    pub fn insert(&self, token: &NewToken<'_>) -> Result<(), InsertError> {
        let domain = self.domain(token.id.domain()).ok_or(InsertError::ForeignDomain)?;
        let rand = token.id.rand();
        let mut wrapped = [0; WRAPPED];
        let (ciphertext, tag) = wrapped.split_at_mut(32);
        ciphertext.copy_from_slice(token.ks.expose());
        let made = self.wrap.seal_detached(
            &nonce(rand, token.facts.bootstrapped_at),
            &associated(rand, domain),
            ciphertext,
        );
        tag.copy_from_slice(&made);
        let head = Head {
            rand,
            domain,
            identity: token.identity,
            user_name: token.user_name,
            wrapped: &wrapped,
            facts: token.facts,
        };
        let record = record::encode(&head).ok_or(InsertError::UserNameTooLong)?;
        let hash = shard::rand_hash_of(&self.seed, rand);
        self.shard(hash)
            .insert(hash, &self.seed, record, Arc::clone(&token.rights))
            .map_err(|_| InsertError::Duplicate)
    }

    /// Looks a token up.
    pub fn find(&self, id: &TokenId, now: UnixTime) -> Found {
        let Some(domain) = self.domain(id.domain()) else { return Found::Absent };
        let hash = shard::rand_hash_of(&self.seed, id.rand());
        let shard = self.shard(hash);
        let Some((record, rights)) = shard.find(hash, id.rand(), domain) else { return Found::Absent };
        if View::new(record).expires() <= now {
            return Found::Expired;
        }
        LiveToken::copy(record, rights).map_or(Found::Absent, Found::Live)
    }

    /// Opens a token's Ks, for one derivation. `None` if the record does not open: memory was altered.
    pub fn ks(&self, token: &LiveToken) -> Option<Ks> {
        let view = token.view();
        let mut wrapped = zeroize::Zeroizing::new(view.wrapped());
        let (ks, tag) = wrapped.split_first_chunk_mut::<32>()?;
        let tag: [u8; envelope::TAG_LEN] = (&*tag).try_into().ok()?;
        let associated = associated(view.rand(), view.domain());
        let nonce = nonce(view.rand(), view.bootstrapped_at());
        self.wrap.open_detached(&nonce, &associated, ks, &tag).ok()?;
        Some(Ks::new(*ks))
    }

    /// Ends one token; false if it is not here.
    pub fn end(&self, id: &TokenId) -> bool {
        let Some(domain) = self.domain(id.domain()) else { return false };
        let hash = shard::rand_hash_of(&self.seed, id.rand());
        self.shard(hash).remove(hash, &self.seed, id.rand(), domain)
    }

    /// Ends every token of a device that was bootstrapped under an epoch before `epoch`; returns how many.
    pub fn end_device(&self, device: &GlobalIdentity, epoch: Epoch) -> usize {
        let hash = shard::device_hash(&self.seed, device.kind() as u8, device.value());
        let older = |record: &[u8]| View::new(record).epoch_and_counter().0 < epoch;
        self.shards.iter().map(|shard| lock(shard).remove_of_device(hash, &self.seed, device, older)).sum()
    }

    /// After the device's bootstrap number `counter`: every token from before it lives until `until` at most (WIRES
    /// "Lifetime"). Those that came later are left alone: word of a bootstrap may come when the next has been made.
    /// Returns how many the device has.
    pub fn supersede(&self, device: &GlobalIdentity, counter: u64, until: UnixTime) -> usize {
        let hash = shard::device_hash(&self.seed, device.kind() as u8, device.value());
        self.shards.iter().map(|shard| lock(shard).shorten_device(hash, device, counter, until)).sum()
    }

    /// Ends all tokens of a device but the `most` that were bootstrapped last.
    pub fn keep_last(&self, device: &GlobalIdentity, most: usize) {
        let hash = shard::device_hash(&self.seed, device.kind() as u8, device.value());
        let mut counters = Vec::with_capacity(most + 1);
        for shard in &self.shards {
            lock(shard).each_of_device(hash, device, |record| {
                counters.push(View::new(record).epoch_and_counter().1);
            });
        }
        let Some(surplus) = counters.len().checked_sub(most + 1) else { return };
        let (_, last_to_go, _) = counters.select_nth_unstable(surplus);
        let last_to_go = *last_to_go;
        for shard in &self.shards {
            lock(shard).remove_of_device(hash, &self.seed, device, |record| {
                View::new(record).epoch_and_counter().1 <= last_to_go
            });
        }
    }

    /// The ids of a device's tokens that live at `now`.
    pub fn of_device(&self, device: &GlobalIdentity, now: UnixTime) -> Vec<TokenId> {
        let hash = shard::device_hash(&self.seed, device.kind() as u8, device.value());
        let mut ids = Vec::new();
        for shard in &self.shards {
            lock(shard).each_of_device(hash, device, |record| {
                let view = View::new(record);
                if view.expires() > now {
                    ids.extend(self.id_of(view));
                }
            });
        }
        ids
    }

    /// Erases what has expired by `now`; returns how many. To be called every few seconds.
    pub fn erase_expired(&self, now: UnixTime) -> usize {
        self.shards.iter().map(|shard| lock(shard).erase(now, &self.seed)).sum()
    }

    fn domain(&self, domain: &Domain) -> Option<u16> {
        let place = self.domains().iter().position(|known| known == domain)?;
        u16::try_from(place).ok()
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        // The tables inside use the lowest and the highest bits.
        let place = (hash >> 32) as usize % SHARDS;
        #[expect(clippy::indexing_slicing, reason = "taken modulo the array's length")]
        lock(&self.shards[place])
    }

    fn id_of(&self, view: View<'_>) -> Option<TokenId> {
        let domain = self.domains().get(usize::from(view.domain()))?.clone();
        Some(TokenId::new(*view.rand(), domain))
    }

    /// Taken after a shard's lock, where both are.
    fn domains(&self) -> RwLockReadGuard<'_, Vec<Domain>> {
        self.domains.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for TokenTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenTable").field("len", &self.len()).finish_non_exhaustive()
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // A shard is consistent between its methods' calls, and none of them panics halfway.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn identity_of(view: View<'_>) -> Option<GlobalIdentity> {
    GlobalIdentity::new(IdentityKind::from_number(view.kind())?, view.identity()).ok()
}

/// RAND ‖ bootstrap time. A RAND is in the table once, so under one process's key no nonce serves two keys, unless the
/// same RAND came twice in one second with the first token already ended.
fn nonce(rand: &[u8; 16], bootstrapped_at: UnixTime) -> [u8; envelope::NONCE_LEN] {
    let mut nonce = [0; envelope::NONCE_LEN];
    let (head, tail) = nonce.split_at_mut(16);
    head.copy_from_slice(rand);
    tail.copy_from_slice(&bootstrapped_at.0.to_be_bytes());
    nonce
}

/// The token id, as the table knows it.
fn associated(rand: &[u8; 16], domain: u16) -> [u8; 18] {
    let mut id = [0; 18];
    let (head, tail) = id.split_at_mut(16);
    head.copy_from_slice(rand);
    tail.copy_from_slice(&domain.to_be_bytes());
    id
}

#[cfg(test)]
mod tests;
