//! Rotation (SPEC R8): wraps everything anew while the node serves.
//!
//! Every rotation wraps the data keys under the current key-encryption key. A *full* one also wraps every subscriber key
//! under a new data key, a chunk at a time. Where it stands is noted in the transaction of each chunk, so that whoever
//! starts next goes on from there; a chunk changes an envelope only if it still is the one that was read, so that two
//! who work at once do no harm. Data keys that nothing needs any more go an hour later, when every node has long taken
//! up the new one.

use crate::{
    Kms, KmsError, drawn,
    kms::{associated, name_of},
};

pub use crate::rotation_state::{Rotation, State};

use obf_net::Running;
use obf_store::resource::{Change, DeviceId, Rewrapped, WrappedKey};
use obf_token::{SealingKey, envelope::NONCE_LEN};
use serde::Serialize;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Subscriber keys wrapped anew in one transaction.
const CHUNK: u32 = 2000;
/// The most that are wrapped anew in a second: a million in 40 s.
const PACE: f64 = 25_000.0;
/// At least this part of a chunk's time is left to others after it.
const REST: f64 = 0.25;
/// How often a node that has nothing else to do looks for a newer data key, or for a rotation to go on with.
const TICK: Duration = Duration::from_secs(20);
/// A rotation that noted nothing for so long has nobody who works at it, seconds.
const ABANDONED: u64 = 15;
/// Data keys without envelopes are kept for so long, seconds: a node may still be about to use one.
const GRACE: u64 = 3600;
/// Passes over all devices before giving up on nodes that go on using old data keys.
const PASSES: u32 = 10;

/// The key-encryption and data keys, as an operator sees them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The current key-encryption key.
    pub kek: String,
    /// The data keys, oldest first.
    pub data_keys: Vec<DataKeyStatus>,
}

/// A data key, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DataKeyStatus {
    /// Its number.
    pub id: u32,
    /// The key-encryption key that it is wrapped under.
    pub kek: String,
    /// Subscriber keys under it.
    pub records: u64,
    /// When it was made, seconds since 1970.
    pub created_at: u64,
}

impl Kms {
    /// Starts a rotation; if one is under way already, that one goes on (and becomes full, if this one is to be).
    /// [`Kms::run`] does the work.
    ///
    /// # Errors
    /// [`KmsError`].
    pub async fn rotate(&self, full: bool, change: Change) -> Result<Rotation, KmsError> {
        let ring = &self.ring;
        let own = ring.current_kek()?.name();
        let under_way = self.rotation().await?.filter(|rotation| rotation.state == State::Running);
        if let Some(rotation) = under_way.as_ref().filter(|rotation| rotation.kek != own) {
            // This node would wrap everything back under the KEK that is being left.
            return Err(KmsError::OtherKek { kek: rotation.kek.clone(), own: own.to_owned() });
        }
        if let Some(rotation) = under_way.filter(|rotation| rotation.full || !full) {
            self.rotating.notify_one();
            return Ok(rotation);
        }
        // What this node cannot unwrap it cannot wrap anew either: another KEK came into use without it.
        for key in ring.store.data_keys().await? {
            ring.kek_of(&key)?;
        }
        let counts = ring.store.envelopes_by_data_key().await?;
        let old = match full {
            true => ring.store.data_keys().await?.iter().map(|key| key.id).collect(),
            false => Vec::new(),
        };
        if full {
            ring.begin_anew().await?;
        }
        let now = ring.clock.now().0;
        let rotation = Rotation {
            full,
            state: State::Running,
            kek: own.to_owned(),
            data_keys_done: 0,
            records_total: if full { counts.values().sum() } else { 0 },
            records_done: 0,
            started_at: now,
            updated_at: 0,
            finished_at: None,
            problem: None,
            old,
            after: None,
            pass: 0,
        };
        let what = if full { "data keys and subscriber keys" } else { "data keys" };
        ring.store.set_rotation(rotation.to_document(), Some((what, change))).await?;
        self.rotating.notify_one();
        Ok(rotation)
    }

    /// Where the last rotation stands, if there ever was one.
    ///
    /// # Errors
    /// [`KmsError::Store`].
    pub async fn rotation(&self) -> Result<Option<Rotation>, KmsError> {
        let document = self.ring.store.rotation().await?;
        Ok(document.and_then(|document| serde_json::from_str(&document).ok()))
    }

    /// The keys, and how many records are under each. Reads every credential.
    ///
    /// # Errors
    /// [`KmsError::Store`].
    pub async fn status(&self) -> Result<Status, KmsError> {
        let counts = self.ring.store.envelopes_by_data_key().await?;
        let keys = self.ring.store.data_keys().await?;
        let data_keys = keys.into_iter().map(|key| DataKeyStatus {
            records: counts.get(&key.id).copied().unwrap_or(0),
            id: key.id,
            kek: key.kek,
            created_at: key.created_at.0,
        });
        Ok(Status { kek: self.ring.current_kek()?.name().to_owned(), data_keys: data_keys.collect() })
    }

    /// Renews leases, takes up newer data keys, and works at rotations, until the node stops.
    pub async fn run(self, running: Running) {
        tokio::join!(self.renew_leases(&running), self.work_at_rotations(&running));
    }

    async fn renew_leases(&self, running: &Running) {
        let lease = self.ring.settings().lease;
        let mut healthy = true;
        loop {
            tokio::select! {
                () = tokio::time::sleep((lease / 4).min(TICK)) => {}
                () = running.stopping() => return,
            }
            let renewed = match self.ring.is_leased() {
                true => self.ring.renew().await,
                false => Ok(()),
            };
            let kept = renewed.and(self.ring.adopt_newest().await.map(|_| ()));
            match (&kept, healthy) {
                (Err(error), true) => tracing::error!(
                    %error, lease_s = lease.as_secs(),
                    "data keys cannot be renewed: nothing opens any more when their leases have run out"
                ),
                (Ok(()), false) => tracing::info!("data keys are renewed again"),
                _ => {}
            }
            healthy = kept.is_ok();
        }
    }

    async fn work_at_rotations(&self, running: &Running) {
        let mut started = false;
        loop {
            if let Err(error) = self.look_after_rotation(!started, running).await {
                tracing::warn!(%error, "where a rotation stands is not known; it is looked up again by itself");
            }
            started = true;
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                () = self.rotating.notified() => {}
                () = running.stopping() => return,
            }
        }
    }

    /// Goes on with a rotation that nobody works at. A node that starts goes on at once: it may be its own of before.
    async fn look_after_rotation(&self, starting: bool, running: &Running) -> Result<(), KmsError> {
        let Some(rotation) = self.rotation().await? else { return Ok(()) };
        let now = self.ring.clock.now().0;
        let idle = starting || now.abs_diff(rotation.updated_at) >= ABANDONED;
        let own = self.ring.current_kek()?.name();
        match rotation.state {
            // It would wrap everything back under the KEK that is being left.
            State::Running if idle && rotation.kek != own => tracing::warn!(
                kek = rotation.kek,
                own,
                "a rotation is left to the servers whose key-encryption key is the one that it leads to"
            ),
            State::Running if idle => self.work(rotation, running).await,
            State::Done if rotation.finished_at.is_some_and(|at| now.saturating_sub(at) >= GRACE) => {
                self.remove_unused(rotation).await?;
            }
            _ => {}
        }
        Ok(())
    }

    async fn work(&self, mut rotation: Rotation, running: &Running) {
        tracing::info!(full = rotation.full, done = rotation.records_done, "a rotation goes on");
        match self.advance(&mut rotation, running).await {
            Ok(()) if rotation.state == State::Done => {
                tracing::info!(records = rotation.records_done, "a rotation is done");
            }
            Ok(()) => {}
            Err(error) => {
                tracing::error!(%error, "a rotation does not get on; it is tried again by itself");
                rotation.problem = Some(error.to_string());
                // Noted if the store allows it: the log has it anyway.
                let _ = self.ring.store.set_rotation(rotation.to_document(), None).await;
            }
        }
    }

    async fn advance(&self, rotation: &mut Rotation, running: &Running) -> Result<(), KmsError> {
        let store = &self.ring.store;
        self.rewrap_data_keys(rotation).await?;
        while rotation.full && !rotation.old.is_empty() {
            if !self.sweep(rotation, running).await? {
                return Ok(());
            }
            let counts = store.envelopes_by_data_key().await?;
            rotation.pass += 1;
            rotation.after = None;
            let left: u64 = rotation.old.iter().filter_map(|id| counts.get(id)).sum();
            if left == 0 || rotation.pass >= PASSES {
                break;
            }
        }
        // Those that nodes with another KEK have made meanwhile.
        while self.rewrap_data_keys(rotation).await? > 0 {}
        let now = self.ring.clock.now().0;
        (rotation.state, rotation.finished_at, rotation.updated_at) = (State::Done, Some(now), now);
        Ok(store.set_rotation(rotation.to_document(), None).await?)
    }

    /// Wraps every data key under the current KEK that is not; says how many those were.
    async fn rewrap_data_keys(&self, rotation: &mut Rotation) -> Result<usize, KmsError> {
        let mut rewrapped = Vec::new();
        for key in self.ring.store.data_keys().await? {
            rewrapped.extend(self.ring.rewrapped(&key).await?);
        }
        let count = rewrapped.len();
        rotation.data_keys_done += count as u64;
        rotation.problem = None;
        if count > 0 {
            self.ring.store.rewrap_data_keys(rewrapped, self.ring.change("rotation")).await?;
        }
        Ok(count)
    }

    /// One pass over the devices; false if the node stops.
    async fn sweep(&self, rotation: &mut Rotation, running: &Running) -> Result<bool, KmsError> {
        let most = u32::try_from(self.ring.settings().records_per_key).unwrap_or(CHUNK);
        loop {
            let began = Instant::now();
            let after = rotation.after.map(DeviceId::from_cursor);
            let found = self.ring.store.wrapped_keys(after, CHUNK.min(most)).await?;
            let Some(last) = found.last() else { return Ok(true) };
            let read = found.len();
            rotation.after = Some(last.device.to_cursor());
            let old: Vec<_> = found
                .into_iter()
                .filter(|key| SealingKey::id_of(&key.envelope).is_some_and(|id| rotation.old.contains(&id)))
                .collect();
            let opened = opened(&old).map(|devices| (devices, self.ring.change("rotation")));
            let envelopes = self.wrapped_anew(old).await?;
            rotation.records_done += envelopes.len() as u64;
            rotation.updated_at = self.ring.clock.now().0;
            self.ring.store.rewrap(envelopes, rotation.to_document(), opened).await?;
            let took = began.elapsed();
            let pace = Duration::from_secs_f64(read as f64 / PACE).saturating_sub(took);
            // Between chunks only: a chunk and where the rotation stands are one transaction.
            tokio::select! {
                () = tokio::time::sleep(pace.max(took.mul_f64(REST))) => {}
                () = running.stopping() => return Ok(false),
            }
        }
    }

    async fn wrapped_anew(&self, found: Vec<WrappedKey>) -> Result<Vec<Rewrapped>, KmsError> {
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let mut keys: HashMap<u32, Arc<SealingKey>> = HashMap::new();
        for id in found.iter().filter_map(|key| SealingKey::id_of(&key.envelope)) {
            if let std::collections::hash_map::Entry::Vacant(place) = keys.entry(id) {
                place.insert(self.ring.key(id).await?);
            }
        }
        let new = self.ring.for_new(found.len() as u64).await?;
        let work = tokio::task::spawn_blocking(move || {
            found.into_iter().map(|key| wrap_anew(key, &keys, &new)).collect::<Result<Vec<_>, _>>()
        });
        let rewrapped = work.await.map_err(|_| KmsError::Store(obf_store::StoreError::Closed))??;
        Ok(rewrapped.into_iter().flatten().collect())
    }

    async fn remove_unused(&self, rotation: Rotation) -> Result<(), KmsError> {
        if rotation.old.is_empty() {
            return Ok(());
        }
        let store = &self.ring.store;
        let removed =
            store.remove_unused_data_keys(rotation.old.clone(), self.ring.change("rotation")).await?;
        tracing::info!(?removed, "data keys that nothing needs were removed");
        let rotation = Rotation { old: Vec::new(), ..rotation };
        Ok(store.set_rotation(rotation.to_document(), None).await?)
    }
}

/// The devices of a chunk, for the audit: `imsi:001… to imsi:002…`, in the order of their registration.
fn opened(keys: &[WrappedKey]) -> Option<String> {
    let (first, last) = (keys.first()?, keys.last()?);
    Some(format!("{} to {}", first.primary, last.primary))
}

/// `None` for an envelope that does not open: it stays as it is, and the log names it.
fn wrap_anew(
    key: WrappedKey,
    keys: &HashMap<u32, Arc<SealingKey>>,
    new: &SealingKey,
) -> Result<Option<Rewrapped>, KmsError> {
    let associated = associated(&key.primary);
    let opener = SealingKey::id_of(&key.envelope).and_then(|id| keys.get(&id));
    match opener.map(|opener| opener.open(&associated, &key.envelope)) {
        Some(Ok(content)) => {
            let envelope = new.seal(&drawn::<NONCE_LEN>()?, &associated, &content);
            Ok(Some(Rewrapped { device: key.device, old: key.envelope, new: envelope }))
        }
        _ => {
            tracing::error!(
                device = name_of(&key.primary),
                "a subscriber key does not open and stays as it is"
            );
            Ok(None)
        }
    }
}
