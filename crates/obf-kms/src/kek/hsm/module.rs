//! PKCS#11 modules of this process: each is initialised once, whoever uses it, and used by one thread at a time.

use super::{KekError, reason};
use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error, RvError},
    object::ObjectHandle,
    session::Session,
};
use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

static LOADED: Mutex<BTreeMap<PathBuf, Arc<Module>>> = Mutex::new(BTreeMap::new());

/// A module, behind a lock: `C_Finalize` must not run beside any other call.
pub struct Module(Mutex<Loaded>);

/// A module with its open sessions, by the name of the key that they are for.
pub struct Loaded {
    pub context: Pkcs11,
    sessions: HashMap<String, (Session, ObjectHandle)>,
}

impl Module {
    /// The module of that file.
    pub fn load(path: &Path) -> Result<Arc<Self>, KekError> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = loaded.get(path) {
            return Ok(module.clone());
        }
        let context = Pkcs11::new(path).map_err(|error| unusable(path, &error))?;
        initialise(path, &context)?;
        let module = Arc::new(Self(Mutex::new(Loaded { context, sessions: HashMap::new() })));
        loaded.insert(path.into(), module.clone());
        Ok(module)
    }

    pub fn lock(&self) -> MutexGuard<'_, Loaded> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loaded {
    pub fn session(&self, name: &str) -> Option<&(Session, ObjectHandle)> {
        self.sessions.get(name)
    }

    pub fn keep(&mut self, name: &str, opened: (Session, ObjectHandle)) -> (&Session, ObjectHandle) {
        let (session, key) = self.sessions.entry(name.to_owned()).insert_entry(opened).into_mut();
        (session, *key)
    }

    pub fn close(&mut self, name: &str) {
        self.sessions.remove(name);
    }

    /// Closes every session and initialises the module anew.
    pub fn restart(&mut self, path: &Path) -> Result<(), KekError> {
        self.sessions.clear();
        // A module that has lost its HSM may refuse even this; initialising tells whether it works again.
        let _ = self.context.clone().finalize();
        initialise(path, &self.context)
    }
}

fn initialise(path: &Path, context: &Pkcs11) -> Result<(), KekError> {
    match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(()),
        Err(error) => Err(KekError::Gone { token: path.display().to_string(), reason: reason(&error) }),
    }
}

fn unusable(path: &Path, error: &Error) -> KekError {
    let error = match error {
        _ if !path.exists() => "there is no such file".to_owned(),
        Error::LibraryLoading(error) => error.to_string(),
        other => reason(other),
    };
    KekError::Module { path: path.into(), error }
}
