//! Where the bytes of modules are: in plans if they are few, otherwise in an object store that client and executors share.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use guest_ballista_plan::{Source, hash, hex};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutPayload};

/// Bytes up to which a module is part of the plan. A plan has it once for each call, and a message of Ballista has at most
/// 16 MiB.
const INLINE_LIMIT: usize = 1 << 20;

/// The modules of a client's functions, and the object store that a client shares with the executors. Cheap to clone.
///
/// Keys in the object store are `HASH.wasm`, with the SHA-256 in hexadecimal digits. What is read is compared with it.
#[derive(Clone)]
pub struct ModuleStore {
    inline_limit: usize,
    objects: Option<Arc<dyn ObjectStore>>,
    known: Arc<Mutex<HashMap<[u8; 32], Source>>>,
}

/// Why the bytes of a module cannot be had, or not be passed on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A module that is too large for plans, without an object store.
    #[error(
        "a module of {size} bytes is larger than plans carry, {limit}; give client and executors an object store, or raise the limit \
         for modules in plans"
    )]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// Bytes up to which a module is part of the plan.
        limit: usize,
    },
    /// A module that the client was not given.
    #[error(
        "the module `{module}` was not registered for remote queries, with the hash {hash}; register it by the RemoteSession"
    )]
    Unregistered {
        /// Its name.
        module: String,
        /// Its hash.
        hash: String,
    },
    /// A module that is in an object store, without one.
    #[error(
        "the bytes of the module {hash} are in an object store, and this executor has none; start it with the client's store"
    )]
    NoStore {
        /// Its hash.
        hash: String,
    },
    /// The object store does not have it.
    #[error("the object store has no module {hash}; register it again")]
    Missing {
        /// Its hash.
        hash: String,
    },
    /// The object store has other bytes under its hash.
    #[error("the object store has other bytes for the module {hash}, with the hash {found}; register it again")]
    Hash {
        /// Its hash.
        hash: String,
        /// The hash of what is there.
        found: String,
    },
    /// The object store failed.
    #[error("the object store failed for the module {hash}: {error}")]
    Objects {
        /// Its hash.
        hash: String,
        /// Why.
        error: object_store::Error,
    },
    /// No thread to read it.
    #[error("the module {hash} cannot be read: {error}")]
    Thread {
        /// Its hash.
        hash: String,
        /// Why.
        error: std::io::Error,
    },
}

impl Default for ModuleStore {
    /// Modules of up to 1 MiB in plans, and no object store.
    fn default() -> Self {
        Self { inline_limit: INLINE_LIMIT, objects: None, known: Arc::default() }
    }
}

impl fmt::Debug for ModuleStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModuleStore")
            .field("inline_limit", &self.inline_limit)
            .field("objects", &self.objects)
            .field("modules", &self.lock().len())
            .finish()
    }
}

impl ModuleStore {
    /// Larger modules go into this object store. The executors need the same.
    #[must_use]
    pub fn with_object_store(self, objects: Arc<dyn ObjectStore>) -> Self {
        Self { objects: Some(objects), ..self }
    }

    /// Sets the bytes up to which a module is part of the plan. A plan has it once for each call.
    #[must_use]
    pub fn with_inline_limit(self, inline_limit: usize) -> Self {
        Self { inline_limit, ..self }
    }

    /// Takes the bytes of a module, so that plans can have its functions, and returns its hash.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] and [`StoreError::Objects`].
    pub async fn put(&self, bytes: &[u8]) -> Result<[u8; 32], StoreError> {
        let hash = hash(bytes);
        let source = match &self.objects {
            _ if bytes.len() <= self.inline_limit => Source::Inline(bytes.to_vec()),
            None => return Err(StoreError::TooLarge { size: bytes.len(), limit: self.inline_limit }),
            Some(objects) => {
                let put = objects.put(&key(&hash), PutPayload::from(bytes.to_vec())).await;
                put.map_err(|error| StoreError::Objects { hash: hex(&hash), error })?;
                Source::Stored
            }
        };
        self.lock().insert(hash, source);
        Ok(hash)
    }

    /// Where plans have the bytes of a module that was [put](Self::put).
    pub(crate) fn source(&self, hash: &[u8; 32]) -> Option<Source> {
        self.lock().get(hash).cloned()
    }

    /// Reads a module from the object store. Plans are read where nothing can be awaited, so a thread of its own does it.
    pub(crate) fn fetch(&self, hash: &[u8; 32]) -> Result<Vec<u8>, StoreError> {
        let thread = |error| StoreError::Thread { hash: hex(hash), error };
        let read = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(thread)?;
            runtime.block_on(self.get(hash))
        };
        std::thread::scope(|scope| {
            let reader = std::thread::Builder::new().name("module-reader".to_owned()).spawn_scoped(scope, read);
            reader.map_err(thread)?.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Reads a module from the object store.
    ///
    /// # Errors
    /// [`StoreError`] if there is no object store, or if it does not have these bytes.
    pub async fn get(&self, hash: &[u8; 32]) -> Result<Vec<u8>, StoreError> {
        let objects = self.objects.as_ref().ok_or_else(|| StoreError::NoStore { hash: hex(hash) })?;
        let failed = |error| match error {
            object_store::Error::NotFound { .. } => StoreError::Missing { hash: hex(hash) },
            error => StoreError::Objects { hash: hex(hash), error },
        };
        let found = objects.get(&key(hash)).await.map_err(failed)?;
        let bytes: Vec<u8> = found.bytes().await.map_err(failed)?.into();
        let of_found = guest_ballista_plan::hash(&bytes);
        if of_found != *hash {
            return Err(StoreError::Hash { hash: hex(hash), found: hex(&of_found) });
        }
        Ok(bytes)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Source>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(hash: &[u8; 32]) -> Path {
    Path::from(format!("{}.wasm", hex(hash)))
}
