//! The slow lane of programs: events that take longer than the thread of their tenant can wait.
//!
//! Such an event is undone there, and made again here, on a thread of low priority with instances of its own, from the memory that
//! the tenant had before. The result and the new memory go back to the tenant's thread, which keeps all order: further events of
//! the tenant wait there meanwhile, and those of other tenants do not.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use guest_host::{Instance, InstanceConfig, LoadError};
use guest_tenants::{Image, RedbStoreError, TenantError, call_elsewhere};

use super::batch::Batch;
use super::event::{Error, EventError, Input, checked};
use super::load::Share;
use super::name::key_of;
use super::steps::Step;
use super::worker::{Job, Task, Worker};
use crate::call::{Watch, ran};
use crate::deployment::{Deployment, Pace, ProgramFunctions};
use crate::folder::GuestName;
use crate::lanes::{Lane, SlowOptions, Work};
use crate::registry::{Reader, Registry};

/// An event on its way. Whatever becomes of it, the thread of its tenant is told.
#[derive(Debug)]
pub(super) struct Errand {
    pub(super) number: u64,
    pub(super) deployment: Arc<Deployment>,
    pub(super) tenant: Arc<str>,
    pub(super) connection: i64,
    pub(super) input: Option<Input>,
    /// The memory of the tenant; `None` for one that begins.
    pub(super) image: Option<Image>,
    /// The room that the memory takes.
    pub(super) _share: Share,
    pub(super) home: Sender<Job>,
}

/// An event that is back.
#[derive(Debug)]
pub(super) struct Back {
    pub(super) number: u64,
    pub(super) tenant: Arc<str>,
    pub(super) input: Input,
    /// The actions, and the memory afterwards if it changed.
    pub(super) result: Result<(Vec<u8>, Option<Image>), Error>,
    /// How long the thread ran for it.
    pub(super) took: Duration,
}

/// A tenant whose event is on the slow lane.
#[derive(Debug)]
pub(super) struct Away {
    pub(super) number: u64,
    pub(super) task: Task,
    /// Whether the result does not count, as the memory that the event began with could not be written.
    pub(super) is_void: bool,
    /// Steps that follow when it is back.
    pub(super) waiting: VecDeque<Step>,
}

/// The paces of tenants whose events are slow.
#[derive(Debug, Default)]
pub(super) struct Paces {
    by_tenant: HashMap<Arc<str>, Pace>,
}

/// Tenants that are remembered as slow, at most. Beyond that all are tried again, which costs a slice each.
const SLOW: usize = 4096;

impl Paces {
    /// Whether the tenant's next event goes to the slow lane at once.
    pub(super) fn is_slow(&self, tenant: &str) -> bool {
        self.by_tenant.contains_key(tenant)
    }

    /// An event of the tenant did not end within a slice.
    pub(super) fn was_slow(&mut self, tenant: &Arc<str>) {
        if self.by_tenant.len() >= SLOW && !self.by_tenant.contains_key(tenant) {
            self.by_tenant.clear();
        }
        self.by_tenant.entry(Arc::clone(tenant)).or_default().was_slow();
    }

    /// Tries the next event of the tenant on its thread.
    pub(super) fn forget(&mut self, tenant: &str) {
        self.by_tenant.remove(tenant);
    }

    /// An event of the tenant would have ended within a slice.
    pub(super) fn was_fast(&mut self, tenant: &str) {
        if let Some(pace) = self.by_tenant.get(tenant) {
            pace.was_fast();
            if !pace.is_slow() {
                self.by_tenant.remove(tenant);
            }
        }
    }
}

impl Worker {
    /// Sends an event to the slow lane, and returns its number; one that cannot go there is undone.
    pub(super) fn send(
        &mut self,
        task: Task,
        input: Input,
        waiting: &VecDeque<Step>,
        batch: &mut Batch,
    ) -> Option<(u64, Task)> {
        let deployment = Arc::clone(&task.deployment);
        let program = deployment.program.as_ref()?;
        let image = match self.tenants.take_along(&task.tenant, &program.program) {
            Ok(image) => image,
            Err(error) => {
                let error = store_error(error);
                self.settle(task, Err(error), Duration::ZERO, true, waiting, batch);
                return None;
            }
        };
        self.sent += 1;
        let number = self.sent;
        let bytes = image.as_ref().map_or(0, |image| image.delta.resident_bytes());
        let entered = self.slow.load.take(&deployment.name, bytes).and_then(|share| {
            let (deployment, tenant) = (Arc::clone(&deployment), Arc::clone(&task.tenant));
            let (connection, home) = (task.connection, self.slow.jobs.clone());
            let (guest, input) = (deployment.name.clone(), Some(input));
            let errand = Errand { number, deployment, tenant, connection, input, image, _share: share, home };
            // One for each tenant, so its limit is never met.
            self.slow.entrance.enter(&guest, &task.tenant, usize::MAX, errand)
        });
        match entered {
            Ok(()) => Some((number, task)),
            Err(full) => {
                self.tenants.bring_back(&task.tenant, &program.program, None);
                self.reserve_again(&task.tenant, &program.program);
                let error = TenantError::Failed(EventError::Busy(full));
                self.settle(task, Err(error), Duration::ZERO, true, waiting, batch);
                None
            }
        }
    }

    /// Takes an event that is back, and goes on with its tenant.
    pub(super) fn back(&mut self, back: Back, batch: &mut Batch) {
        let Back { number, tenant, input, result, took } = back;
        // One that could not go there, or that nobody waits for any more.
        if self.away.get(&tenant).is_none_or(|away| away.number != number) {
            return;
        }
        let Some(Away { task, is_void, mut waiting, .. }) = self.away.remove(&tenant) else { return };
        let deployment = Arc::clone(&task.deployment);
        let Some(program) = &deployment.program else { return };
        let (called, image) = match result {
            Ok(_) if is_void => (Err(TenantError::Failed(EventError::GivenUp)), None),
            Ok((actions, image)) => (Ok(actions), image),
            Err(error) => (Err(error), None),
        };
        self.tenants.bring_back(&tenant, &program.program, image);
        self.reserve_again(&tenant, &program.program);
        match took < self.slow.slice {
            true => self.paces.was_fast(&tenant),
            false => self.paces.was_slow(&tenant),
        }
        let sent = match called.as_ref().is_err_and(|error| self.begins_anew(&task, error)) {
            true => self.send(task, input, &waiting, batch),
            false => {
                self.settle(task, called, took, true, &waiting, batch);
                None
            }
        };
        if let Some((number, task)) = sent {
            self.away.insert(tenant, Away { number, task, is_void: false, waiting });
        } else if let Some(first) = waiting.pop_front() {
            self.proceed(&tenant, first, waiting, batch);
        }
    }
}

/// The error of a call that failed in the store.
fn store_error(error: TenantError<RedbStoreError>) -> Error {
    match error {
        TenantError::Store(error) => TenantError::Store(error),
        // Nothing else reads or writes there.
        _ => TenantError::Failed(EventError::GivenUp),
    }
}

impl Errand {
    /// Starts the slow lane of programs.
    ///
    /// # Errors
    /// If the system makes no thread.
    pub(super) fn lane(registry: &Registry, options: &SlowOptions) -> io::Result<Lane<Self>> {
        let registry = registry.clone();
        let SlowOptions { threads, waiting, instances, longer, .. } = *options;
        Lane::start(threads, waiting, move |stop| Slow {
            watch: Watch::new(stop.clone()),
            longer,
            most: instances.max(1),
            held: HashMap::new(),
            uses: 0,
            reader: registry.reader(),
        })
    }

    fn end(&mut self, result: Result<(Vec<u8>, Option<Image>), Error>, took: Duration) {
        let Some(input) = self.input.take() else { return };
        let (number, tenant) = (self.number, Arc::clone(&self.tenant));
        // A thread that has ended has kept the memory of before.
        let _ = self.home.send(Job::Back(Back { number, tenant, input, result, took }));
    }
}

impl Drop for Errand {
    /// One that nobody made, or that met a fault of this program.
    fn drop(&mut self) {
        self.end(Err(TenantError::Failed(EventError::GivenUp)), Duration::ZERO);
    }
}

/// The state of a thread.
struct Slow {
    watch: Arc<Watch>,
    longer: Duration,
    /// Instances that it keeps at most.
    most: usize,
    /// An instance for each version of a guest.
    held: HashMap<u64, Held>,
    uses: u64,
    reader: Reader,
}

struct Held {
    guest: GuestName,
    instance: Instance,
    last_used: u64,
}

impl Slow {
    fn call(
        &mut self,
        deployment: &Arc<Deployment>,
        program: &ProgramFunctions,
        errand: &Errand,
        input: &Input,
    ) -> Result<(Vec<u8>, Option<Image>), Error> {
        let watch = Arc::clone(&self.watch);
        let deadline = deployment.config.limits.deadline;
        let instance = self.instance(deployment, program).map_err(TenantError::Instance)?;
        call_elsewhere(instance, errand.image.as_ref(), |instance| {
            let result = watch.call(deadline, || input.call(program, instance, errand.connection));
            deployment.monitor.log(key_of(&errand.tenant), input.function(), instance);
            checked(result?)
        })
    }

    /// The instance of a version. The one that was not used for longest makes room.
    fn instance(&mut self, deployment: &Deployment, program: &ProgramFunctions) -> Result<&mut Instance, LoadError> {
        self.uses += 1;
        let version = deployment.version;
        if self.held.len() >= self.most && !self.held.contains_key(&version) {
            let oldest = self.held.iter().min_by_key(|(_, held)| held.last_used).map(|(version, _)| *version);
            oldest.map(|version| self.held.remove(&version));
        }
        let held = match self.held.entry(version) {
            Entry::Occupied(held) => held.into_mut(),
            Entry::Vacant(free) => {
                let deadline = deployment.config.limits.deadline.saturating_add(self.longer);
                let instance = program.program.instantiate_with(|config: InstanceConfig| {
                    config
                        .with_deadline(Some(deadline))
                        .with_init_deadline(InstanceConfig::default().init_deadline)
                        .with_supervisor(Some(self.watch.supervisor()))
                })?;
                free.insert(Held { guest: deployment.name.clone(), instance, last_used: 0 })
            }
        };
        held.last_used = self.uses;
        Ok(&mut held.instance)
    }
}

impl Work<Errand> for Slow {
    fn work(&mut self, mut errand: Errand) {
        let deployment = Arc::clone(&errand.deployment);
        let (Some(program), Some(input)) = (&deployment.program, &errand.input) else { return };
        let began = ran();
        let result = self.call(&deployment, program, &errand, input);
        let took = ran().saturating_sub(began);
        errand.end(result, took);
    }

    fn rest(&mut self) {
        let table = self.reader.table();
        let is_current = |version, held: &Held| table.get(&held.guest).is_some_and(|now| now.version == version);
        self.held.retain(|version, held| is_current(*version, held));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_slow_until_some_events_were_fast_and_as_many_as_may_are_remembered() {
        let mut paces = Paces::default();
        let (one, other): (Arc<str>, Arc<str>) = ("a/1".into(), "a/2".into());
        paces.was_fast(&one);
        paces.was_slow(&one);
        assert!(paces.is_slow(&one) && !paces.is_slow(&other));
        let events = (1..).take_while(|_| {
            paces.was_fast(&one);
            paces.is_slow(&one)
        });
        assert_eq!(events.count(), 3);
        assert!(paces.by_tenant.is_empty());
        paces.was_slow(&one);
        paces.forget(&one);
        assert!(!paces.is_slow(&one));
        for tenant in 0..=SLOW {
            paces.was_slow(&format!("b/{tenant}").into());
        }
        assert_eq!(paces.by_tenant.len(), 1);
    }
}
