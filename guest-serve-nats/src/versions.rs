//! Which of two versions of a guest is the later one, for processes whose folders change at different times.
//!
//! A version has a number: the revision of its entry, which the first process that has it writes. A record has the number of the
//! version that wrote it, and a process with an earlier version leaves it alone. One that changes back to an earlier version, while it
//! runs, writes the entry again: then that is the latest.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use async_nats::jetstream::kv::{Store, UpdateErrorKind};
use guest_serve::deployment::Deployment;
use guest_serve::folder::GuestName;
use sha2::{Digest as _, Sha256};

use crate::error::Unavailable;

/// Where the key of a version's entry begins.
const VERSION: &str = "version.";

/// The numbers of versions.
#[derive(Debug)]
pub struct Versions {
    owners: Store,
    /// The version of each guest that this process had last.
    known: Mutex<HashMap<GuestName, Known>>,
}

#[derive(Debug, Clone)]
struct Known {
    key: String,
    number: u64,
}

impl Versions {
    /// Numbers are in this bucket.
    #[must_use]
    pub fn new(owners: Store) -> Self {
        Self { owners, known: Mutex::default() }
    }

    /// The number of a version. Later versions have higher ones.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn number(&self, deployment: &Deployment) -> Result<u64, Unavailable> {
        let key = key(deployment);
        let before = self.known().get(&deployment.name).cloned();
        if let Some(known) = before.as_ref().filter(|known| known.key == key) {
            return Ok(known.number);
        }
        let number = loop {
            let found = self.owners.entry(&key).await.map_err(Unavailable::of)?.map_or(0, |entry| entry.revision);
            let is_latest = before.as_ref().is_none_or(|before| before.number < found);
            if found > 0 && is_latest {
                break found;
            }
            match self.owners.update(&key, "".into(), found).await {
                Ok(number) => break number,
                // Another process has the same version, and was faster.
                Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => {}
                Err(error) => return Err(Unavailable::of(error)),
            }
        };
        self.known().insert(deployment.name.clone(), Known { key, number });
        Ok(number)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<GuestName, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The key of a version: of everything on which it depends whether a program can go on with its memory.
fn key(deployment: &Deployment) -> String {
    let message = deployment.config.program.as_ref().map_or(0, |program| program.message);
    let mut digest = Sha256::new();
    digest.update(deployment.hash);
    digest.update((message as u64).to_le_bytes());
    let hash: String = digest.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{VERSION}{}.{hash}", deployment.name)
}
