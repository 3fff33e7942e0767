//! Applies events of tenants: each once and in order, also if several processes try.
//!
//! For the events of one tenant:
//!
//! 1. Load the record. Publish its outputs: the process that wrote it may have ended before it did so.
//! 2. Leave out the events that it says were applied. If none is left, that is all.
//! 3. Call the program for the rest, on memory alone.
//! 4. Write the new record in the place of the one that was loaded. If another one was written meanwhile, begin again.
//! 5. Publish the outputs, and begin again.
//!
//! The caller acknowledges the events then. A process that ends in between leaves either the old record or the new one, and
//! the next owner of the events goes on from there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use guest_serve::folder::GuestName;
use guest_serve::registry::Registry;
use lru::LruCache;

use crate::error::Unavailable;
use crate::executor::{Event, Executor, Stopped};
use crate::names::Tenant;
use crate::outputs::Outputs;
use crate::record::{Body, Output, Place, Record};
use crate::records::{LoadError, Records, SaveError};
use crate::told::Told;
use crate::versions::Versions;

/// Between two attempts while NATS does not answer.
const PAUSE: Duration = Duration::from_millis(200);

/// Applies events of tenants. Cheap to share.
#[derive(Debug)]
pub struct Applier<R> {
    records: R,
    outputs: Outputs,
    executor: Executor,
    registry: Registry,
    versions: Versions,
    /// Guests of which this process has an earlier version than others, with the number of that version, or 0 if it has none: people were
    /// told.
    behind: Mutex<HashMap<GuestName, u64>>,
    told: Told,
    cache: Mutex<Cache>,
}

/// Records that were read or written last, so that they need not be read again. One that is not the last any more costs an attempt.
#[derive(Debug)]
struct Cache {
    records: LruCache<Tenant, Known>,
    bytes: usize,
    most: usize,
}

/// A record, and its revision.
#[derive(Debug, Clone)]
struct Known {
    record: Arc<Record>,
    revision: u64,
}

/// Whether events were applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// They were, now or before.
    All,
    /// Some were not: this process has an earlier version of the guest than others, or none.
    Behind,
    /// The events up to this sequence were applied. The time was over for the rest; some of it may be applied, too.
    UpTo(u64),
}

/// Why events were not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// NATS did not answer. Events may be applied, and trying again finds out.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The record was written by a later version of the guest than this process has.
    #[error("the guest `{0}` has a later version on other processes: put that into the folder")]
    Behind(GuestName),
    /// The tenant has a record, so another process has the guest.
    #[error(
        "the guest `{0}` is not in the folder, and other processes have served it: put it there, or remove its tenants"
    )]
    Missing(GuestName),
    /// The process stops.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl<R: Records> Applier<R> {
    /// Applies events with the guests of a registry. Keeps at most `cache` bytes of records in memory.
    #[must_use]
    pub fn new(
        records: R,
        outputs: Outputs,
        executor: Executor,
        registry: Registry,
        versions: Versions,
        cache: usize,
    ) -> Self {
        let cache = Cache { records: LruCache::unbounded(), bytes: 0, most: cache };
        let (behind, told, cache) = (Mutex::default(), Told::default(), Mutex::new(cache));
        Self { records, outputs, executor, registry, versions, behind, told, cache }
    }

    /// Applies events of a tenant, in the order of their sequences, and publishes what they write. Tries again while NATS does not answer.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn apply(&self, tenant: &Tenant, events: &[Event]) -> Result<Applied, Stopped> {
        self.apply_until(tenant, events, None).await
    }

    /// As [`Applier::apply`]; but what is not done at `end` is left: after a record is written, or where NATS does not answer.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn apply_until(
        &self,
        tenant: &Tenant,
        events: &[Event],
        end: Option<Instant>,
    ) -> Result<Applied, Stopped> {
        loop {
            match self.rounds(tenant, events, end).await {
                Ok(applied) => {
                    self.told.works(tenant.token());
                    return Ok(applied);
                }
                Err(ApplyError::Stopped(stopped)) => return Err(stopped),
                Err(ApplyError::Unavailable(error)) => {
                    self.told.fault(tenant.token(), &format!("events wait, and are tried again: {error}"));
                    if end.is_some_and(|end| Instant::now() >= end) {
                        return Ok(Applied::UpTo(0));
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                Err(ApplyError::Behind(_) | ApplyError::Missing(_)) => return Ok(Applied::Behind),
            }
        }
    }

    /// As [`Applier::apply`], once.
    ///
    /// # Errors
    /// [`ApplyError`].
    pub async fn try_apply(&self, tenant: &Tenant, events: &[Event]) -> Result<(), ApplyError> {
        self.rounds(tenant, events, None).await.map(|_| ())
    }

    /// Writes records until no event is left, or the time is over.
    async fn rounds(&self, tenant: &Tenant, events: &[Event], end: Option<Instant>) -> Result<Applied, ApplyError> {
        let mut has_written = false;
        loop {
            let mut known = match self.known(tenant).await {
                Ok(known) => known,
                Err(LoadError::Unavailable(error)) => return Err(error.into()),
                Err(LoadError::Record(error)) => {
                    // It stays as it is, for people to look at.
                    for Event { sequence, bytes, .. } in events {
                        let reason = format!("the record of the tenant cannot be used: {error}");
                        self.outputs
                            .refuse(tenant.token(), *sequence, "damaged-record", &reason, bytes.clone())
                            .await?;
                    }
                    return Ok(Applied::All);
                }
            };
            if !known.record.outputs.is_empty() {
                let mut chain = known.record.chain;
                self.outputs.publish(tenant, &known.record.outputs, &mut chain).await?;
                // Once is enough, as long as this process has it.
                let record = Arc::make_mut(&mut known.record);
                (record.outputs, record.chain) = (Vec::new(), chain);
            }
            let rest: Vec<Event> =
                events.iter().filter(|event| event.sequence > known.record.applied).cloned().collect();
            let is_over = has_written && end.is_some_and(|end| Instant::now() >= end);
            if rest.is_empty() || is_over {
                let applied = known.record.applied;
                self.cache().put(tenant, known);
                return Ok(if rest.is_empty() { Applied::All } else { Applied::UpTo(applied) });
            }
            let record = self.next(tenant, &known.record, rest).await?;
            match self.records.save(tenant, &record, known.revision).await {
                Ok(revision) => {
                    has_written = true;
                    self.cache().put(tenant, Known { record: Arc::new(record), revision });
                }
                // The next round reads what was written.
                Err(SaveError::Newer) => {}
                Err(SaveError::Unavailable(error)) => return Err(error.into()),
            }
        }
    }

    /// The record after some of the events, at least one.
    async fn next(&self, tenant: &Tenant, record: &Arc<Record>, events: Vec<Event>) -> Result<Record, ApplyError> {
        let deployment = self.registry.table().get(tenant.guest()).cloned();
        if let Some(deployment) = deployment {
            let version = self.versions.number(&deployment).await?;
            if version < record.version {
                return Err(self.behind(version, ApplyError::Behind(tenant.guest().clone()), tenant.guest()));
            }
            // Other tenants of the same version may be behind still.
            self.behinds().retain(|guest, told| guest != tenant.guest() || *told == version);
            let record = self.executor.apply(&deployment, tenant, record, events).await?;
            return Ok(Record { version, ..record });
        }
        if record.version > 0 {
            return Err(self.behind(0, ApplyError::Missing(tenant.guest().clone()), tenant.guest()));
        }
        let mut record = Record::clone(record);
        let message = format!("there is no guest `{}` in the folder", tenant.guest());
        for Event { sequence, bytes, .. } in events.into_iter().take(1) {
            let body = Body::Failed { kind: "no-guest".to_owned(), message: message.clone(), event: bytes };
            record.outputs.push(Output { place: Place { event: sequence, index: 0 }, body });
            record.applied = sequence;
        }
        Ok(record)
    }

    /// Tells people that events wait for another version of a guest than this one: once for each version.
    fn behind(&self, version: u64, error: ApplyError, guest: &GuestName) -> ApplyError {
        if self.behinds().insert(guest.clone(), version) != Some(version) {
            eprintln!("{error}; its events wait");
        }
        error
    }

    fn behinds(&self) -> std::sync::MutexGuard<'_, HashMap<GuestName, u64>> {
        self.behind.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The faults of which people were told.
    #[must_use]
    pub const fn told(&self) -> &Told {
        &self.told
    }

    /// Takes note of the versions that this process has, so that others know which are the latest.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn note_versions(&self) -> Result<(), Unavailable> {
        for deployment in self.registry.table().deployments().filter(|deployment| deployment.program.is_some()) {
            self.versions.number(deployment).await?;
        }
        Ok(())
    }

    /// Publishes an event that names no tenant among those that failed.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn refuse(&self, subject: &str, event: Event) -> Result<(), Unavailable> {
        let reason = "guest and tenant are not names: see \"Subjects\" in the documentation";
        self.outputs.refuse(&plain(subject), event.sequence, "invalid-tenant", reason, event.bytes).await
    }

    /// The last record of a tenant, as far as this process knows. It is taken out of the cache.
    async fn known(&self, tenant: &Tenant) -> Result<Known, LoadError> {
        if let Some(known) = self.cache().take(tenant) {
            return Ok(known);
        }
        let (record, revision) = self.records.load(tenant).await?;
        Ok(Known { record: Arc::new(record), revision })
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cache {
    fn take(&mut self, tenant: &Tenant) -> Option<Known> {
        let known = self.records.pop(tenant)?;
        self.bytes -= known.record.resident_bytes();
        Some(known)
    }

    fn put(&mut self, tenant: &Tenant, known: Known) {
        self.take(tenant);
        self.bytes += known.record.resident_bytes();
        self.records.put(tenant.clone(), known);
        while self.bytes > self.most
            && let Some((_, known)) = self.records.pop_lru()
        {
            self.bytes -= known.record.resident_bytes();
        }
    }
}

/// Two words that a subject can have, of whatever words there are.
fn plain(words: &str) -> String {
    let (guest, tenant) = words.split_once('.').unwrap_or((words, "unknown"));
    let word = |word: &str| -> String {
        let of = |byte: char| if byte.is_ascii_alphanumeric() || "-_=".contains(byte) { byte } else { '_' };
        word.chars().take(128).map(of).collect()
    };
    format!("{}.{}", word(guest), word(tenant))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_subject_says_there_are_two_words() {
        for (words, plain_words) in
            [("Chat.blue", "Chat.blue"), ("*.a/b", "_.a_b"), ("chat", "chat.unknown"), ("a.b.c", "a.b_c")]
        {
            assert_eq!(plain(words), plain_words);
        }
        assert_eq!(plain(&format!("a.{}", "ä".repeat(200))).len(), 130);
    }

    #[test]
    fn the_cache_keeps_to_its_bytes_and_forgets_what_was_used_longest_ago() {
        let tenant = |number: usize| Tenant::new("chat".parse().unwrap(), &number.to_string()).unwrap();
        let known = || Known { record: Arc::default(), revision: 1 };
        let each = Record::default().resident_bytes();
        let mut cache = Cache { records: LruCache::unbounded(), bytes: 0, most: 3 * each };
        (0..3).for_each(|number| cache.put(&tenant(number), known()));
        let again = cache.take(&tenant(0)).unwrap();
        cache.put(&tenant(0), again);
        cache.put(&tenant(3), known());
        assert_eq!((cache.bytes, cache.records.len()), (3 * each, 3));
        assert!(cache.take(&tenant(1)).is_none() && cache.take(&tenant(0)).is_some());
        assert_eq!(cache.bytes, 2 * each);
    }
}
