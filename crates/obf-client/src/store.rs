//! Security associations between connections and, with a file, between runs.

use crate::file::Locked;
use obf_rpb::{SecurityAssociation, client::DeviceKs};
use obf_token::{Algorithm, Method, Technology, TokenId};
use obf_types::{Domain, GlobalIdentity, IdentityKind, KeySchema, UnixTime, hex};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use zeroize::Zeroizing;

/// Why the file of associations cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("associations in {}: {reason}", path.display())]
pub struct StoreError {
    /// The file.
    pub path: PathBuf,
    /// What the system said, or what is wrong with the content (never a value of it).
    pub reason: io::Error,
}

/// One association for each (user name, server), and the least algorithm that each server's domain may still use.
///
/// The file, if there is one, is for its owner only (0600) and holds Ks in clear, unless the secure element keeps it: it is
/// worth as much as the association itself, until that expires. Several processes may share it.
#[derive(Debug, Default)]
pub struct AssociationStore {
    file: Option<PathBuf>,
    content: Mutex<Content>,
}

/// Whose association, with whom.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) username: String,
    /// The server's domain, or its URL's authority where that says no domain.
    pub(crate) server: String,
}

#[derive(Debug, Default)]
struct Content {
    associations: BTreeMap<Key, Arc<SecurityAssociation>>,
    minimum: BTreeMap<Key, Algorithm>,
}

impl AssociationStore {
    /// In memory only.
    pub fn in_memory() -> Self {
        Self::default()
    }

    /// In that file, which is made when there is something to keep.
    ///
    /// # Errors
    /// [`StoreError`] if it is there but cannot be read.
    pub fn in_file(path: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let path = path.into();
        let content = Mutex::new(load(&path, &lock(&path)?)?);
        Ok(Self { file: Some(path), content })
    }

    /// The live association, if there is one.
    pub(crate) fn live(&self, key: &Key, now: UnixTime) -> Option<Arc<SecurityAssociation>> {
        let content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        content.associations.get(key).filter(|association| association.expires > now).cloned()
    }

    /// The least algorithm for the next bootstrap: what has worked before (WIRES "No downgrade").
    pub(crate) fn minimum(&self, key: &Key) -> Algorithm {
        let content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        content.minimum.get(key).copied().unwrap_or(Algorithm::AkaV1Md5)
    }

    /// Takes in what other processes have put into the file. Blocks for as long as a disk takes.
    pub(crate) fn reload(&self) -> Result<(), StoreError> {
        let Some(path) = &self.file else { return Ok(()) };
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        *content = load(path, &lock(path)?)?;
        Ok(())
    }

    /// Puts a new association in the place of the former one and forgets those that have expired. Blocks for as long as
    /// a disk takes.
    pub(crate) fn put(
        &self,
        key: Key,
        association: Arc<SecurityAssociation>,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(path) = &self.file else {
            content.put(key, association, now);
            return Ok(());
        };
        // What other processes have put there meanwhile stays.
        let file = lock(path)?;
        *content = load(path, &file)?;
        content.put(key, association, now);
        let json = content.to_json().map_err(|error| failed(path, error.into()))?;
        file.replace(&json).map_err(|reason| failed(path, reason))
    }
}

impl Content {
    fn put(&mut self, key: Key, association: Arc<SecurityAssociation>, now: UnixTime) {
        let Method::Aka(algorithm) = association.method;
        let minimum = self.minimum.entry(key.clone()).or_insert(algorithm);
        *minimum = algorithm.max(*minimum);
        self.associations.retain(|_, association| association.expires > now);
        self.associations.insert(key, association);
    }

    fn to_json(&self) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
        let associations = self.associations.iter();
        let associations = associations.map(|(key, association)| AssociationRecord::of(key, association));
        let minimum = self.minimum.iter().map(|(key, algorithm)| MinimumRecord {
            username: key.username.clone(),
            server: key.server.clone(),
            algorithm: *algorithm as u8,
        });
        let file = StoreFile { associations: associations.collect(), minimum: minimum.collect() };
        let mut json = Zeroizing::new(Vec::with_capacity(1024 * (1 + self.associations.len())));
        serde_json::to_writer_pretty(&mut *json, &file)?;
        json.push(b'\n');
        Ok(json)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoreFile {
    associations: Vec<AssociationRecord>,
    minimum: Vec<MinimumRecord>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MinimumRecord {
    username: String,
    server: String,
    algorithm: u8,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AssociationRecord {
    server: String,
    token: String,
    /// `null` where the secure element keeps it.
    ks: Option<Zeroizing<String>>,
    schema: String,
    expires: u64,
    username: String,
    identity: Option<(u8, String)>,
    counter: u64,
    domain: String,
    technology: u8,
    mode: u8,
    algorithm: u8,
}

impl AssociationRecord {
    fn of(key: &Key, association: &SecurityAssociation) -> Self {
        let identity = association.identity.as_ref();
        let [mode, algorithm] = association.method.octets();
        Self {
            server: key.server.clone(),
            token: association.id.to_string(),
            ks: association.ks.expose().map(|ks| Zeroizing::new(hex::encode(ks.expose()))),
            schema: association.schema.name().into(),
            expires: association.expires.0,
            username: association.username.clone().into(),
            identity: identity.map(|identity| (identity.kind() as u8, identity.value().into())),
            counter: association.counter,
            domain: association.domain.as_str().into(),
            technology: association.technology as u8,
            mode,
            algorithm,
        }
    }

    /// `None` if a value is not one of its kind.
    fn restore(self) -> Option<(Key, Arc<SecurityAssociation>)> {
        let identity = match self.identity {
            None => None,
            Some((kind, value)) => Some(GlobalIdentity::new(IdentityKind::from_number(kind)?, &value).ok()?),
        };
        let ks = match &self.ks {
            Some(ks) => DeviceKs::held(hex::secret(ks)?),
            None => DeviceKs::IN_ELEMENT,
        };
        let schema = KeySchema::from_name(&self.schema)?;
        // `obf-1` has the identity in it.
        if schema == KeySchema::Obf1 && identity.is_none() {
            return None;
        }
        let key = Key { username: self.username.clone(), server: self.server };
        let association = SecurityAssociation {
            id: TokenId::parse(&self.token).ok()?,
            ks,
            schema,
            expires: UnixTime(self.expires),
            username: self.username.into(),
            identity,
            counter: self.counter,
            domain: Domain::new(&self.domain).ok()?,
            technology: Technology::from_number(self.technology)?,
            method: Method::from_octets([self.mode, self.algorithm])?,
        };
        Some((key, Arc::new(association)))
    }
}

fn lock(path: &Path) -> Result<Locked, StoreError> {
    Locked::wait(path).map_err(|reason| failed(path, reason))
}

fn load(path: &Path, file: &Locked) -> Result<Content, StoreError> {
    let Some(json) = file.read().map_err(|reason| failed(path, reason))? else {
        return Ok(Content::default());
    };
    let bad = |what| failed(path, io::Error::new(io::ErrorKind::InvalidData, what));
    let stored: StoreFile = serde_json::from_slice(&json).map_err(|_| bad("not a file of associations"))?;
    let associations: Option<_> = stored.associations.into_iter().map(AssociationRecord::restore).collect();
    let minimum: Option<_> = stored
        .minimum
        .into_iter()
        .map(|stored| {
            let key = Key { username: stored.username, server: stored.server };
            Some((key, Algorithm::from_number(stored.algorithm)?))
        })
        .collect();
    match (associations, minimum) {
        (Some(associations), Some(minimum)) => Ok(Content { associations, minimum }),
        _ => Err(bad("a value is not one of its kind")),
    }
}

fn failed(path: &Path, reason: io::Error) -> StoreError {
    StoreError { path: path.into(), reason }
}
