//! Data keys in clear, lent for a time: between the key-encryption keys and the subscriber keys.
//!
//! A data key is unwrapped once and then used from memory, so that no vector waits for an HSM. What an HSM unwrapped is
//! lent for [`Settings::lease`] and renewed long before that; if the HSM stays away, the leases run out, the keys are
//! erased and nothing opens any more until it is back.

use crate::{
    KmsError, drawn,
    kek::{DataKeySecret, Kek, KekError},
    rotation_state,
};
use obf_net::Clock;
use obf_store::resource::{Change, DataKey, ResourceDb};
use obf_token::SealingKey;
use obf_types::Secret;
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::{Duration, Instant},
};
use tokio::{sync::Semaphore, time::timeout};

/// How long an HSM may take for one data key.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a failed HSM is left alone.
const BACKOFF: Duration = Duration::from_secs(1);

/// How data keys are used.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long a data key that an HSM unwrapped may be used without asking it again.
    pub lease: Duration,
    /// Subscriber keys that one process wraps under one data key.
    pub records_per_key: u64,
}

/// Locks: `current` may be held while `looking` is taken, never the other way round; `unwrapped` and `failed` are taken alone, and
/// not across an `.await`.
pub(crate) struct Ring {
    pub store: ResourceDb,
    pub clock: Arc<dyn Clock>,
    /// The current one first, then those that data keys may still be wrapped under.
    keks: Vec<Arc<dyn Kek>>,
    settings: Settings,
    unwrapped: RwLock<HashMap<u32, UnwrappedKey>>,
    /// One look-up at a time: the others find its result.
    looking: tokio::sync::Mutex<()>,
    current: tokio::sync::Mutex<Option<Current>>,
    failed: Mutex<Option<(Instant, KmsError)>>,
    device: Arc<Semaphore>,
}

/// A data key in clear; erased when it is dropped.
struct UnwrappedKey {
    key: Arc<SealingKey>,
    until: Option<Instant>,
}

/// The data key for new records.
struct Current {
    id: u32,
    left: u64,
}

impl Ring {
    /// `keks`: the current one first; at least one.
    pub fn new(
        store: ResourceDb,
        clock: Arc<dyn Clock>,
        keks: Vec<Arc<dyn Kek>>,
        settings: Settings,
    ) -> Self {
        Self {
            store,
            clock,
            keks,
            settings,
            unwrapped: RwLock::default(),
            looking: tokio::sync::Mutex::default(),
            current: tokio::sync::Mutex::default(),
            failed: Mutex::default(),
            device: Arc::new(Semaphore::new(1)),
        }
    }

    /// The data key of that number. Nothing waits for an HSM while its lease lasts.
    pub async fn key(&self, id: u32) -> Result<Arc<SealingKey>, KmsError> {
        match self.cached(id) {
            Some(key) => Ok(key),
            None => self.look_up(id).await,
        }
    }

    /// The data key for so many new records.
    pub async fn for_new(&self, records: u64) -> Result<Arc<SealingKey>, KmsError> {
        let mut current = self.current.lock().await;
        if let Some(Current { id, left }) = current.as_mut()
            && *left >= records
        {
            *left -= records;
            let id = *id;
            return self.key(id).await;
        }
        let key = self.make().await?;
        let left = self.settings.records_per_key.saturating_sub(records);
        *current = Some(Current { id: key.id(), left });
        Ok(key)
    }

    /// New records go under a new data key from here on.
    pub async fn begin_anew(&self) -> Result<(), KmsError> {
        let mut current = self.current.lock().await;
        let key = self.make().await?;
        *current = Some(Current { id: key.id(), left: self.settings.records_per_key });
        Ok(())
    }

    /// Takes the newest data key for new records, as other nodes do; `false` if there is none under the current KEK.
    pub async fn adopt_newest(&self) -> Result<bool, KmsError> {
        let name = self.current_kek()?.name().to_owned();
        // Read before the keys: one that a rotation began with is then among them.
        let retired = self.store.rotation().await?.map(|document| rotation_state::retired(&document));
        let retired = retired.unwrap_or_default();
        let keys = self.store.data_keys().await?;
        let usable = |key: &&DataKey| key.kek == name && !retired.contains(&key.id);
        let newest = keys.iter().rev().find(usable).map(|key| key.id);
        let mut current = self.current.lock().await;
        if let Some(id) = newest
            && current.as_ref().is_none_or(|current| current.id != id)
        {
            *current = Some(Current { id, left: self.settings.records_per_key });
        }
        // Nothing new goes under a key that is being replaced, or under a KEK that is not the current one.
        if newest.is_none() {
            *current = None;
        }
        Ok(newest.is_some())
    }

    /// Unwraps every data key once more, for another lease, and erases those whose lease is over.
    pub async fn renew(&self) -> Result<(), KmsError> {
        let renewed = self.renew_all().await;
        let now = Instant::now();
        self.write().retain(|_, key| key.until.is_none_or(|until| now < until));
        renewed
    }

    async fn renew_all(&self) -> Result<(), KmsError> {
        let mut first_failure = Ok(());
        for wrapped in self.store.data_keys().await? {
            match self.take(&wrapped).await {
                // An HSM that is away is away for the others too, and each question may take its time.
                Err(error) if error.is_temporary() => return Err(error),
                Err(error) => first_failure = first_failure.and(Err(error)),
                Ok(_) => {}
            }
        }
        first_failure
    }

    /// Wraps a data key of the store under the current KEK; `None` if it is already.
    pub async fn rewrapped(&self, key: &DataKey) -> Result<Option<DataKey>, KmsError> {
        let current = self.current_kek()?;
        if key.kek == current.name() {
            return Ok(None);
        }
        let opened = self.unwrap(key).await?;
        let wrapped = self.wrap(key.id, opened).await?;
        Ok(Some(DataKey { kek: current.name().to_owned(), wrapped, ..key.clone() }))
    }

    pub fn current_kek(&self) -> Result<&Arc<dyn Kek>, KmsError> {
        self.keks.first().ok_or_else(|| KmsError::UnknownKek { kek: "none".into(), id: 0 })
    }

    /// Whether leases run out.
    pub fn is_leased(&self) -> bool {
        self.keks.iter().any(|kek| kek.is_remote())
    }

    pub const fn settings(&self) -> Settings {
        self.settings
    }

    pub fn change(&self, reason: &str) -> Change {
        Change { actor: "kms".into(), reason: reason.into(), addressees: Arc::new([]), at: self.clock.now() }
    }

    fn cached(&self, id: u32) -> Option<Arc<SealingKey>> {
        let unwrapped = self.unwrapped.read().unwrap_or_else(PoisonError::into_inner);
        let found = unwrapped.get(&id)?;
        found.until.is_none_or(|until| Instant::now() < until).then(|| found.key.clone())
    }

    async fn look_up(&self, id: u32) -> Result<Arc<SealingKey>, KmsError> {
        let _one = self.looking.lock().await;
        // Whoever held the lock before may have looked the same key up.
        if let Some(key) = self.cached(id) {
            return Ok(key);
        }
        if let Some((at, error)) = self.failure().as_ref()
            && at.elapsed() < BACKOFF
        {
            return Err(error.clone());
        }
        let keys = self.store.data_keys().await?;
        let wrapped = keys.iter().find(|key| key.id == id).ok_or(KmsError::UnknownDataKey(id))?;
        let taken = self.take(wrapped).await;
        let failed = taken.as_ref().err().map(|error| (Instant::now(), error.clone()));
        *self.failure() = failed;
        taken
    }

    /// Unwraps a data key and keeps it.
    async fn take(&self, wrapped: &DataKey) -> Result<Arc<SealingKey>, KmsError> {
        let until = self.lease_of(&wrapped.kek);
        let key = Arc::new(self.unwrap(wrapped).await?.sealing_key(wrapped.id));
        self.write().insert(wrapped.id, UnwrappedKey { key: key.clone(), until });
        Ok(key)
    }

    async fn make(&self) -> Result<Arc<SealingKey>, KmsError> {
        loop {
            let id = u32::from_be_bytes(drawn()?);
            let secret = DataKeySecret::new(Secret::new(drawn()?));
            let key = Arc::new(secret.sealing_key(id));
            let kek = self.current_kek()?.name().to_owned();
            let until = self.lease_of(&kek);
            let wrapped = self.wrap(id, secret).await?;
            let made = DataKey { id, kek, wrapped, created_at: self.clock.now() };
            // Numbers are drawn at random: one that was removed does not come back as another key.
            if self.store.add_data_key(made, self.change("")).await? {
                self.write().insert(id, UnwrappedKey { key: key.clone(), until });
                return Ok(key);
            }
        }
    }

    /// Counted from before the HSM was asked.
    fn lease_of(&self, kek: &str) -> Option<Instant> {
        let remote = self.keks.iter().find(|known| known.name() == kek).is_some_and(|kek| kek.is_remote());
        remote.then(|| Instant::now() + self.settings.lease)
    }

    /// The KEK that a data key is under.
    pub fn kek_of(&self, key: &DataKey) -> Result<&Arc<dyn Kek>, KmsError> {
        let kek = self.keks.iter().find(|kek| kek.name() == key.kek);
        kek.ok_or_else(|| KmsError::UnknownKek { kek: key.kek.clone(), id: key.id })
    }

    /// A key, unwrapped by whichever KEK it is under.
    pub async fn unwrap(&self, key: &DataKey) -> Result<DataKeySecret, KmsError> {
        let kek = self.kek_of(key)?.clone();
        let (id, wrapped) = (key.id, key.wrapped.clone());
        self.ask(kek, move |kek| kek.unwrap(id, &wrapped)).await
    }

    /// A key, wrapped under the current KEK.
    pub async fn wrap(&self, id: u32, key: DataKeySecret) -> Result<Vec<u8>, KmsError> {
        let kek = self.current_kek()?.clone();
        self.ask(kek, move |kek| kek.wrap(id, &key)).await
    }

    /// Asks a KEK away from the async threads, one question at a time: an HSM that hangs holds up one thread, not many.
    async fn ask<T: Send + 'static>(
        &self,
        kek: Arc<dyn Kek>,
        question: impl FnOnce(&dyn Kek) -> Result<T, KekError> + Send + 'static,
    ) -> Result<T, KmsError> {
        if !kek.is_remote() {
            return Ok(question(kek.as_ref())?);
        }
        let gone = |reason: &str| KekError::Gone { token: kek.name().to_owned(), reason: reason.to_owned() };
        let device = self.device.clone();
        let asked = kek.clone();
        let answer = async move {
            let turn = device.acquire_owned().await.ok()?;
            let work = tokio::task::spawn_blocking(move || {
                // The thread keeps the turn, not the future: given up after `PATIENCE`, the question is still with the HSM, and the
                // next one must not be put to it beside.
                let _turn = turn;
                question(asked.as_ref())
            });
            work.await.ok()
        };
        let seconds = PATIENCE.as_secs();
        let answer = timeout(PATIENCE, answer).await;
        let answer = answer.map_err(|_| gone(&format!("no answer within {seconds} s")))?;
        Ok(answer.ok_or_else(|| gone("the question was not put to it"))??)
    }

    fn failure(&self) -> MutexGuard<'_, Option<(Instant, KmsError)>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<u32, UnwrappedKey>> {
        self.unwrapped.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unwrapped = self.unwrapped.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Ring").field("keks", &self.keks).field("data_keys", &unwrapped.len()).finish()
    }
}
