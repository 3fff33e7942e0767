//! What people ask about tenants of programs, and do with them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use guest_tenants::{Found, Listed};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::outbox::Closing;
use super::worker::{Job, Worker};
use super::{Entrance, prefix_of, tenant_of};
use crate::deployment::Deployment;
use crate::folder::GuestName;

/// Work for the thread of a tenant, between two transactions.
#[derive(Debug)]
pub(super) enum Manage {
    /// Names of tenants that are not on the disk, which begin with a prefix and are behind a name.
    Fresh { prefix: String, after: Option<String>, most: usize, reply: oneshot::Sender<Vec<String>> },
    /// Where tenants are.
    States { names: Vec<String>, reply: oneshot::Sender<Vec<State>> },
    /// Whether a tenant may have its first connection.
    Admit { deployment: Arc<Deployment>, tenant: Arc<str>, reply: oneshot::Sender<bool> },
    /// Forgets a tenant, and says whether there was one.
    Forget { tenant: Arc<str>, reply: oneshot::Sender<Result<bool, String>> },
    /// Forgets the tenants of a guest that are in memory. Events of versions up to this one change nothing any more.
    ForgetAll { guest: GuestName, version: u64, reply: oneshot::Sender<()> },
}

/// Where a tenant is.
#[derive(Debug)]
pub(super) struct State {
    name: String,
    found: Option<Found>,
    connections: usize,
}

/// A tenant of a program.
#[derive(Debug)]
pub(crate) struct TenantStatus {
    /// Its key.
    pub(crate) key: String,
    /// `awake`, `asleep` or `disk`.
    pub(crate) state: &'static str,
    /// Bytes of its image.
    pub(crate) bytes: u64,
    /// Events that changed its memory, or `None` if its image is damaged.
    pub(crate) changes: Option<u64>,
    /// Connections that are open.
    pub(crate) connections: usize,
}

/// Some tenants of a guest, in order.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) tenants: Vec<TenantStatus>,
    /// The key of the last one, if there are more.
    pub(crate) after: Option<String>,
}

/// Where the tenants of a guest's program are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Places {
    /// On an instance.
    pub(crate) awake: u64,
    /// Asleep in memory.
    pub(crate) asleep: u64,
    /// On the disk alone.
    pub(crate) disk: u64,
    /// Bytes of images in memory.
    pub(crate) memory_bytes: u64,
    /// Bytes of images on the disk.
    pub(crate) disk_bytes: u64,
}

/// Why a thread of programs gave no answer, or a store none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManageError {
    #[error("the threads of programs are busy; try again later")]
    Busy,
    #[error("the server stops")]
    Stopping,
    #[error("the file of sleeping programs cannot be used: {0}")]
    Store(String),
}

/// How long a thread of programs may take for an answer: it may be waiting for the disk.
const LONGEST: Duration = Duration::from_secs(10);

impl Entrance {
    /// Tenants of a guest, behind a key. Nothing but one page of them is ever held, however many there are.
    ///
    /// # Errors
    /// [`ManageError`].
    pub(crate) async fn tenants(
        &self,
        guest: &GuestName,
        after: Option<&str>,
        most: usize,
    ) -> Result<Page, ManageError> {
        let prefix = prefix_of(guest);
        let after = after.map(|key| format!("{prefix}{key}"));
        // The disk is read afterwards, so it has the tenants that go there meanwhile.
        let ask = |reply| Manage::Fresh { prefix: prefix.clone(), after: after.clone(), most: most + 1, reply };
        let fresh = self.ask_all(|_| Some(&ask)).await?;
        let mut named: BTreeMap<String, Option<Listed>> =
            fresh.into_iter().flatten().map(|name| (name, None)).collect();
        let (reader, of_store, behind) = (self.shared.records.clone(), prefix.clone(), after.clone());
        let read = move || reader.list(&of_store, behind.as_deref(), most + 1);
        let stored = tokio::task::spawn_blocking(read).await.map_err(|_| ManageError::Stopping)?;
        for listed in stored.map_err(|error| ManageError::Store(error.to_string()))? {
            named.insert(listed.tenant.clone(), Some(listed));
        }
        let has_more = named.len() > most;
        let mut by_worker: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for name in named.keys().take(most) {
            by_worker.entry(self.number_of(name)).or_default().push(name.clone());
        }
        let states = self.ask_all(|number| {
            let names = by_worker.remove(&number)?;
            Some(move |reply| Manage::States { names, reply })
        });
        let mut states: BTreeMap<String, State> =
            states.await?.into_iter().flatten().map(|state| (state.name.clone(), state)).collect();
        let status = |(name, listed): (String, Option<Listed>)| {
            let state = states.remove(&name)?;
            let (place, bytes, changes) = match (state.found, &listed) {
                (Some(found), _) => (if found.is_awake { "awake" } else { "asleep" }, found.bytes, Some(found.number)),
                (None, Some(listed)) => ("disk", listed.bytes, listed.number),
                // Its first event is on the way.
                (None, None) => ("asleep", 0, Some(0)),
            };
            let key = name[prefix.len()..].to_owned();
            Some(TenantStatus { key, state: place, bytes, changes, connections: state.connections })
        };
        let tenants: Vec<TenantStatus> = named.into_iter().take(most).filter_map(status).collect();
        let after = tenants.last().filter(|_| has_more).map(|last| last.key.clone());
        Ok(Page { tenants, after })
    }

    /// Where the tenants of a guest's program are.
    ///
    /// # Errors
    /// [`ManageError::Store`].
    pub(crate) fn places(&self, guest: &GuestName, counts: guest_tenants::Counts) -> Result<Places, ManageError> {
        let usage = self.shared.records.usage(guest.as_str());
        let usage = usage.map_err(|error| ManageError::Store(error.to_string()))?;
        let in_memory = counts.awake + counts.asleep;
        Ok(Places {
            awake: counts.awake,
            asleep: counts.asleep,
            disk: (usage.tenants + counts.fresh).saturating_sub(in_memory),
            memory_bytes: counts.asleep_bytes,
            disk_bytes: usage.bytes,
        })
    }

    /// Whether a tenant may have a connection: there is such a tenant, or there may be another one.
    ///
    /// # Errors
    /// [`ManageError`] if the thread of the tenant does not say.
    pub(crate) async fn admits(&self, deployment: &Arc<Deployment>, key: &str) -> Result<bool, ManageError> {
        if self.has_room(deployment) {
            return Ok(true);
        }
        let tenant = tenant_of(&deployment.name, key);
        let (deployment, of_tenant) = (Arc::clone(deployment), Arc::clone(&tenant));
        self.ask(&tenant, |reply| Manage::Admit { deployment, tenant: of_tenant, reply }).await
    }

    /// Whether the guest may have another tenant. If the store cannot be read, the call says why.
    fn has_room(&self, deployment: &Deployment) -> bool {
        has_room(deployment, |guest| self.shared.records.usage(guest).map(|usage| usage.tenants))
    }

    /// Forgets a tenant: closes its connections, and forgets its memory and its rate. Says whether there was one.
    ///
    /// # Errors
    /// [`ManageError`].
    pub(crate) async fn forget(&self, guest: &GuestName, key: &str) -> Result<bool, ManageError> {
        let tenant = tenant_of(guest, key);
        let of_tenant = Arc::clone(&tenant);
        let forgotten = self.ask(&tenant, |reply| Manage::Forget { tenant: of_tenant, reply }).await?;
        self.shared.rate.forget(guest, key);
        forgotten.map_err(ManageError::Store)
    }

    /// Forgets all tenants of a guest that is not served any more. `version` is that of its last deployment. Returns how many images
    /// there were on the disk.
    ///
    /// # Errors
    /// [`ManageError`]; some of them may be forgotten.
    pub(crate) async fn forget_all(&self, guest: &GuestName, version: u64) -> Result<u64, ManageError> {
        self.ask_all(|_| Some(|reply| Manage::ForgetAll { guest: guest.clone(), version, reply })).await?;
        let mut store = self.shared.store.clone();
        let prefix = prefix_of(guest);
        let removed = tokio::task::spawn_blocking(move || store.remove_all(&prefix)).await;
        removed.map_err(|_| ManageError::Stopping)?.map_err(|error| ManageError::Store(error.to_string()))
    }

    /// Asks the thread of a tenant, and waits for the answer.
    async fn ask<T>(&self, tenant: &str, ask: impl FnOnce(oneshot::Sender<T>) -> Manage) -> Result<T, ManageError> {
        let (reply, answer) = oneshot::channel();
        self.worker(tenant).send(Job::Manage(ask(reply))).map_err(|_| ManageError::Stopping)?;
        timeout(LONGEST, answer).await.map_err(|_| ManageError::Busy)?.map_err(|_| ManageError::Stopping)
    }

    /// Asks those threads for whose number there is a question, and waits for all answers.
    async fn ask_all<T, A: FnOnce(oneshot::Sender<T>) -> Manage>(
        &self,
        mut ask: impl FnMut(usize) -> Option<A>,
    ) -> Result<Vec<T>, ManageError> {
        let mut replies = Vec::new();
        for (number, worker) in self.shared.workers.iter().enumerate() {
            let Some(ask) = ask(number) else { continue };
            let (reply, answer) = oneshot::channel();
            worker.send(Job::Manage(ask(reply))).map_err(|_| ManageError::Stopping)?;
            replies.push(answer);
        }
        let all = async {
            let mut answers = Vec::new();
            for reply in replies {
                answers.push(reply.await.map_err(|_| ManageError::Stopping)?);
            }
            Ok(answers)
        };
        timeout(LONGEST, all).await.map_err(|_| ManageError::Busy)?
    }
}

/// Whether a guest may have another tenant beside those of which `stored` are in the store. Where that cannot be read, it may.
fn has_room<E>(deployment: &Deployment, stored: impl FnOnce(&str) -> Result<u64, E>) -> bool {
    let most = deployment.config.program.as_ref().map_or(0, |program| u64::from(program.tenants));
    let fresh = deployment.monitor.meter().counts().fresh;
    stored(deployment.name.as_str()).map_or(true, |stored| stored + fresh < most)
}

impl Worker {
    /// Does work between two transactions.
    pub(super) fn manage(&mut self, job: Manage) {
        // The caller may have gone.
        match job {
            Manage::Fresh { prefix, after, most, reply } => {
                let fresh = self.tenants.fresh(&prefix, after.as_deref()).take(most).map(str::to_owned);
                let _ = reply.send(fresh.collect());
            }
            Manage::States { names, reply } => {
                let state = |name: String| {
                    let connections = self.open.get(&*name).map_or(0, BTreeSet::len);
                    State { found: self.tenants.find(&name), connections, name }
                };
                let _ = reply.send(names.into_iter().map(state).collect());
            }
            Manage::Admit { deployment, tenant, reply } => {
                let _ = reply.send(self.admits(&deployment, &tenant));
            }
            Manage::Forget { tenant, reply } => {
                let _ = reply.send(self.forget(&tenant));
            }
            Manage::ForgetAll { guest, version, reply } => {
                let prefix = prefix_of(&guest);
                let open = self.open.keys().filter(|tenant| tenant.starts_with(&prefix));
                let away = self.away.keys().filter(|tenant| tenant.starts_with(&prefix));
                let tenants: Vec<Arc<str>> = open.chain(away).cloned().collect();
                tenants.iter().for_each(|tenant| self.part(tenant));
                self.tenants.discard_all(&prefix);
                let ended = self.ended.entry(guest).or_default();
                *ended = version.max(*ended);
                let _ = reply.send(());
            }
        }
    }

    /// Whether a tenant may have a connection.
    pub(super) fn admits(&mut self, deployment: &Deployment, tenant: &Arc<str>) -> bool {
        let stored = |guest: &str| self.tenants.store().reader().usage(guest).map(|usage| usage.tenants);
        // If the store cannot be read, the next call reports it.
        self.open.contains_key(tenant) || has_room(deployment, stored) || self.tenants.knows(tenant).unwrap_or(true)
    }

    /// Forgets a tenant. Says whether there was one.
    fn forget(&mut self, tenant: &Arc<str>) -> Result<bool, String> {
        let is_open = self.open.contains_key(tenant) || self.away.contains_key(tenant);
        let is_known = is_open || self.tenants.knows(tenant).map_err(|error| error.to_string())?;
        self.part(tenant);
        self.tenants.forget(tenant).map_err(|error| error.to_string())?;
        self.tenants.store_mut().sync().map_err(|error| error.to_string())?;
        Ok(is_known)
    }

    /// Closes all connections of a tenant. Its program is told of nothing any more: what is on the way is dropped.
    fn part(&mut self, tenant: &Arc<str>) {
        for connection in self.open.remove(tenant).into_iter().flatten() {
            if let Some(open) = self.connections.remove(&connection) {
                open.outbox.close(Closing::Forgotten);
            }
        }
        self.undone.remove(tenant);
        self.paces.forget(tenant);
        if let Some(away) = self.away.remove(tenant) {
            // Connections that wait to open belong to the tenant that begins.
            away.waiting.into_iter().for_each(|step| step.turn_away(Closing::Forgotten));
        }
    }
}
