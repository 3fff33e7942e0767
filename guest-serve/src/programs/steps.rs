//! The order of what happens to a tenant, and the account of its connections.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use guest_tenants::Program;

use super::away::Away;
use super::batch::Batch;
use super::event::Input;
use super::name::key_of;
use super::outbox::{Closing, Outbox};
use super::worker::{Event, Open, Task, Worker};
use crate::deployment::Deployment;

/// A step for a tenant. Steps are taken in order.
#[derive(Debug)]
pub(super) struct Step {
    deployment: Arc<Deployment>,
    connection: i64,
    what: What,
    /// Whether its program was told of connections that are gone.
    reconciled: bool,
}

impl Step {
    /// An event of a connection.
    pub(super) fn new(deployment: Arc<Deployment>, connection: i64, event: Event) -> Self {
        Self { deployment, connection, what: What::Event(event), reconciled: false }
    }

    /// Gives up what was to be done. A connection that waits to come in is closed.
    pub(super) fn turn_away(self, why: Closing) {
        if let What::Event(Event::Connected { outbox, .. }) = self.what {
            outbox.close(why);
        }
    }
}

#[derive(Debug)]
enum What {
    Event(Event),
    /// The program knows of a connection that is closed.
    Gone,
}

impl Worker {
    /// Does what is to be done for a tenant, until one of its events is on the slow lane.
    pub(super) fn proceed(&mut self, tenant: &Arc<str>, first: Step, mut waiting: VecDeque<Step>, batch: &mut Batch) {
        let mut next = Some(first);
        while let Some(step) = next {
            let begun = self.step(tenant, step, &mut waiting, batch);
            if let Some((task, input)) = begun
                && let Some((number, task)) = self.begin(task, input, &waiting, batch)
            {
                self.away.insert(Arc::clone(tenant), Away { number, task, is_void: false, waiting });
                return;
            }
            next = waiting.pop_front();
        }
    }

    /// Keeps account of connections, and says which event the program has to have.
    fn step(
        &mut self,
        tenant: &Arc<str>,
        mut step: Step,
        waiting: &mut VecDeque<Step>,
        batch: &mut Batch,
    ) -> Option<(Task, Input)> {
        if self.ended.get(&step.deployment.name).is_some_and(|ended| *ended >= step.deployment.version) {
            step.turn_away(Closing::GoingAway);
            return None;
        }
        let newest = self.versions.entry(step.deployment.name.clone()).or_default();
        *newest = (*newest).max(step.deployment.version);
        let is_known = match &step.what {
            What::Event(Event::Connected { .. }) => true,
            What::Event(Event::Read { .. }) => self.connections.contains_key(&step.connection),
            What::Event(Event::Closed) | What::Gone => false,
        };
        if is_known && !step.reconciled {
            let gone = self.gone(tenant);
            if !gone.is_empty() {
                step.reconciled = true;
                let deployment = Arc::clone(&step.deployment);
                waiting.push_front(step);
                for connection in gone.into_iter().rev() {
                    let deployment = Arc::clone(&deployment);
                    waiting.push_front(Step { deployment, connection, what: What::Gone, reconciled: true });
                }
                return None;
            }
        }
        let Step { deployment, connection, what, .. } = step;
        let (input, moves, done) = match what {
            What::Event(Event::Connected { peer, outbox, done }) => {
                if !self.open(&deployment, tenant, connection, outbox) {
                    batch.done.push(done);
                    return None;
                }
                (Input::Connected { peer }, true, Some(done))
            }
            What::Event(Event::Read { bytes, done }) => {
                if !self.connections.contains_key(&connection) {
                    return None;
                }
                (Input::Read(bytes), false, Some(done))
            }
            What::Event(Event::Closed) => {
                if !self.close(tenant, connection) {
                    return None;
                }
                (Input::Closed, true, None)
            }
            What::Gone => (Input::Closed, true, None),
        };
        let (tenant, function) = (Arc::clone(tenant), input.function());
        Some((Task { deployment, tenant, connection, function, moves, done }, input))
    }

    /// The connections that a program knows of and that are closed: those of a process that was killed, and those whose end was undone.
    fn gone(&mut self, tenant: &Arc<str>) -> Vec<i64> {
        let was_undone = self.undone.remove(tenant);
        if self.open.contains_key(tenant) && !was_undone {
            return Vec::new();
        }
        let Ok(note) = self.tenants.store().note(tenant) else {
            // The call that follows tells why. What the program knows is read again before the event after it.
            self.undone.insert(Arc::clone(tenant));
            return Vec::new();
        };
        let is_open = |connection: &i64| self.open.get(tenant).is_some_and(|open| open.contains(connection));
        connections(&note).filter(|connection| !is_open(connection)).collect()
    }

    /// Keeps the connections that the tenant's program knows of, in the same transaction as its memory: a later process may have to tell
    /// it of their end.
    pub(super) fn note(&mut self, task: &Task, waiting: &VecDeque<Step>, batch: &mut Batch) {
        let tenant = &task.tenant;
        let open = self.open.get(tenant).into_iter().flatten().copied();
        let gone = waiting.iter().filter(|step| matches!(step.what, What::Gone)).map(|step| step.connection);
        let mut known: BTreeSet<i64> = open.chain(gone).collect();
        if self.undone.contains(tenant) {
            // The program must still be told of the end of others. If the store cannot be read, it keeps its note of them.
            let Ok(note) = self.tenants.store().note(tenant) else { return };
            known.extend(connections(&note).filter(|connection| *connection != task.connection));
        }
        self.tenants.store_mut().set_note(tenant, known.into_iter().flat_map(i64::to_le_bytes).collect());
        batch.moved = true;
    }

    /// Takes note of a connection, unless its tenant has as many as it may have.
    fn open(&mut self, deployment: &Deployment, tenant: &Arc<str>, connection: i64, outbox: Outbox) -> bool {
        let most = deployment.config.program.as_ref().map_or(0, |program| program.connections as usize);
        if !self.admits(deployment, tenant) {
            deployment.monitor.limited(key_of(tenant), "the guest has as many tenants as it may have");
            outbox.close(Closing::TooManyTenants);
            return false;
        }
        if let Some(program) = &deployment.program {
            // If the store cannot be read, the call that follows says so.
            let _ = self.tenants.reserve(tenant, &program.program);
        }
        let open = self.open.entry(Arc::clone(tenant)).or_default();
        if open.len() >= most {
            deployment.monitor.limited(key_of(tenant), "it has as many connections as it may have");
            outbox.close(Closing::TooMany);
            return false;
        }
        open.insert(connection);
        self.connections.insert(connection, Open { tenant: Arc::clone(tenant), outbox });
        true
    }

    /// Counts a tenant with open connections again, whose reservation ended with what it had in memory.
    pub(super) fn reserve_again(&mut self, tenant: &Arc<str>, program: &Program) {
        if self.open.contains_key(tenant) {
            // If the store cannot be read, the next call says so.
            let _ = self.tenants.reserve(tenant, program);
        }
    }

    /// Forgets a connection. Says whether its program knows of it.
    pub(super) fn close(&mut self, tenant: &Arc<str>, connection: i64) -> bool {
        if self.connections.remove(&connection).is_none() {
            return false;
        }
        if let Some(open) = self.open.get_mut(tenant) {
            open.remove(&connection);
            if open.is_empty() {
                self.open.remove(tenant);
                self.tenants.release(tenant);
            }
        }
        true
    }
}

/// The connections of a note.
fn connections(note: &[u8]) -> impl Iterator<Item = i64> {
    let (known, _) = note.as_chunks();
    known.iter().map(|bytes| i64::from_le_bytes(*bytes))
}
