//! The sealing keys of the deployment, as this node knows them: drawn at random, shared through the store only wrapped,
//! used for at most ten minutes, then destroyed (WIRES "Sealed challenge").
//!
//! A new key is published [`LEAD`] seconds before anybody seals with it, and every node looks more often than that: a
//! challenge that one node sealed, every other can open.

use crate::{random::draw, vault::Vault};
use obf_rpb::KeyRing;
use obf_store::{
    StoreError,
    auth::{AuthStore, TokenStore, WrappedSealingKey},
};
use obf_token::SealingKey;
use obf_types::{Secret, UnixTime};
use std::{
    cmp::Ordering,
    sync::{Arc, PoisonError, RwLock},
};

/// Age at which a key gets a successor, seconds.
const ROTATE: u64 = 440;
/// Age at which a key is destroyed, seconds: it sealed until `ROTATE + LOOK + LEAD`, and what it sealed lived 60 more.
const LIFE: u64 = 600;
/// How long a key is known before it seals, seconds.
const LEAD: u64 = 40;
/// How often nodes look at the store, seconds.
pub(crate) const LOOK: u64 = 15;

/// The keys, when they were looked at, and where: the store and the vault that opens them.
pub(crate) struct Sealing {
    store: AuthStore,
    vault: Arc<Vault>,
    known: RwLock<KnownRing>,
}

#[derive(Clone)]
struct KnownRing {
    ring: Arc<KeyRing>,
    /// The same keys, newest first, without what they are.
    keys: Vec<SealingKeyFacts>,
    /// Until then nothing has to be asked, if the background task keeps looking.
    good_until: UnixTime,
}

/// What is to be known of a sealing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SealingKeyFacts {
    pub(crate) id: u32,
    pub(crate) created: UnixTime,
    pub(crate) use_now: Use,
}

/// What a sealing key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Known to every node soon, and used by none yet.
    Next,
    /// New challenges are sealed with it.
    Seals,
    /// Challenges that it sealed are still opened with it.
    Opens,
}

/// Why there is no ring.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealingError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys in the store were wrapped under another KEK.
    #[error("the sealing keys in the store do not open: is kek_file the one of this deployment?")]
    OtherKek,
}

impl Sealing {
    /// Looks at the store for the first time.
    pub(crate) async fn open(
        store: AuthStore,
        vault: Arc<Vault>,
        now: UnixTime,
    ) -> Result<Self, SealingError> {
        let known = RwLock::new(look(&store, &vault, now).await?);
        Ok(Self { store, vault, known })
    }

    /// The ring, looked up anew if the clock has moved past what is known.
    pub(crate) async fn ring(&self, now: UnixTime) -> Result<Arc<KeyRing>, SealingError> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).clone();
        if now < known.good_until {
            return Ok(known.ring);
        }
        self.refresh(now).await
    }

    /// What is to be known of the keys, newest first.
    pub(crate) fn keys(&self) -> Vec<SealingKeyFacts> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).keys.clone()
    }

    /// Looks at the store; makes a new key if one is due. Called every [`LOOK`] seconds.
    pub(crate) async fn refresh(&self, now: UnixTime) -> Result<Arc<KeyRing>, SealingError> {
        let fresh = look(&self.store, &self.vault, now).await?;
        // Two at once may come to this in either order. The older look is one that was good a moment ago: every key it lacks
        // is too young to seal, and the next look is less than `LOOK` away.
        let ring = Arc::clone(&fresh.ring);
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(ring)
    }
}

impl std::fmt::Debug for Sealing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealing")
    }
}

async fn look(store: &AuthStore, vault: &Vault, now: UnixTime) -> Result<KnownRing, SealingError> {
    let id = u32::from_be_bytes(draw());
    let wrapped = vault.wrap_sealing_key(id, &Secret::new(draw()));
    let kept =
        store.rotate_sealing_keys(WrappedSealingKey { id, wrapped, created: now }, ROTATE, LIFE).await?;
    let mut keys = Vec::with_capacity(kept.len());
    for key in kept {
        let opened = vault.unwrap_sealing_key(key.id, &key.wrapped).ok_or(SealingError::OtherKek)?;
        keys.push((SealingKey::new(key.id, &opened), key.created));
    }
    // Newest first; the newest that every node knows seals. Of a single one every node has just learnt.
    let ripe = keys.iter().position(|(_, created)| created.0.saturating_add(LEAD) <= now.0);
    let place = ripe.unwrap_or(keys.len().saturating_sub(1));
    let facts = keys.iter().enumerate().map(|(at, (key, created))| SealingKeyFacts {
        id: key.id(),
        created: *created,
        use_now: match at.cmp(&place) {
            Ordering::Less => Use::Next,
            Ordering::Equal => Use::Seals,
            Ordering::Greater => Use::Opens,
        },
    });
    let facts = facts.collect();
    let (current, created) = keys.remove(place);
    let others = keys.into_iter().map(|(key, _)| key).collect();
    let good_until = UnixTime((now.0 + 2 * LOOK).min(created.0 + LIFE));
    Ok(KnownRing { ring: Arc::new(KeyRing::new(current, others)), keys: facts, good_until })
}

#[cfg(test)]
mod tests {
    use super::*;
    use obf_store::Options;

    const START: u64 = 1_800_000_000;

    /// The id of the key that seals is in clear in `Debug`.
    fn current(ring: &KeyRing) -> String {
        let text = format!("{ring:?}");
        text.split("former").next().unwrap().to_owned()
    }

    #[tokio::test]
    async fn every_key_that_seals_was_known_to_both_nodes_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("auth.db");
        let vault = Arc::new(Vault::new(&Secret::new([1; 32])));
        let [one, other] = [(); 2].map(|()| AuthStore::open(&Options::new(&path)).unwrap());
        let at = UnixTime;
        let one = Sealing::open(one, Arc::clone(&vault), at(START)).await.unwrap();
        let other = Sealing::open(other, vault, at(START + 5)).await.unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for step in 1..400 {
            let now = START + 5 * step;
            // Each looks at times of its own; a request comes in between.
            if step % 3 == 0 {
                one.refresh(at(now)).await.unwrap();
            }
            if step % 3 == 1 {
                other.refresh(at(now)).await.unwrap();
            }
            let rings = [one.ring(at(now)).await.unwrap(), other.ring(at(now)).await.unwrap()];
            for (mine, theirs) in [(0, 1), (1, 0)] {
                let id = current(&rings[mine]);
                let id = id.split("id ").nth(1).unwrap().split(')').next().unwrap().to_owned();
                assert!(format!("{:?}", rings[theirs]).contains(&format!("id {id})")), "at {step}: {id}");
                seen.insert(id);
            }
        }
        // 2,000 seconds: a key seals for less than ten minutes.
        assert!((4..=6).contains(&seen.len()), "{}", seen.len());
    }

    #[tokio::test]
    async fn a_clock_that_jumps_gets_a_new_key_at_once_and_another_kek_none() {
        let directory = tempfile::tempdir().unwrap();
        let store = AuthStore::open(&Options::new(directory.path().join("auth.db"))).unwrap();
        let vault = Arc::new(Vault::new(&Secret::new([1; 32])));
        let sealing = Sealing::open(store.clone(), vault, UnixTime(START)).await.unwrap();
        let first = current(&sealing.ring(UnixTime(START)).await.unwrap());
        let later = current(&sealing.ring(UnixTime(START + 8 * 3600)).await.unwrap());
        assert_ne!(first, later);
        let other = Arc::new(Vault::new(&Secret::new([2; 32])));
        let opened = Sealing::open(store, other, UnixTime(START + 8 * 3600)).await;
        assert_eq!(opened.err(), Some(SealingError::OtherKek));
    }
}
