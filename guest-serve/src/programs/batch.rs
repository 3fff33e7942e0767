//! Events that share a write to the disk, and what programs want done when it has succeeded.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use guest_abi::program::{Action, CONNECTED, actions};
use tokio::sync::oneshot;

use super::name::key_of;
use super::outbox::Closing;
use super::worker::Worker;
use crate::deployment::Deployment;
use crate::monitor::Ended;

/// An event that the program has had, and what it wants done.
#[derive(Debug)]
pub(super) struct Effect {
    pub(super) deployment: Arc<Deployment>,
    pub(super) tenant: Arc<str>,
    pub(super) connection: i64,
    pub(super) function: &'static str,
    pub(super) actions: Vec<u8>,
}

/// Events whose effects wait until the memory of their programs is on the disk.
#[derive(Debug)]
pub(super) struct Batch {
    /// How often the store had been opened when it began.
    pub(super) opened: u64,
    pub(super) effects: Vec<Effect>,
    /// Dropped when the effects have been carried out.
    pub(super) done: Vec<oneshot::Sender<()>>,
    /// Whether connections changed.
    pub(super) moved: bool,
}

impl Batch {
    /// An empty batch. The store had been opened `opened` times.
    pub(super) fn new(opened: u64) -> Self {
        Self { opened, effects: Vec::new(), done: Vec::new(), moved: false }
    }
}

impl Worker {
    /// Writes the memory of the programs to the disk, in one transaction, and then carries out what they want.
    pub(super) fn commit(&mut self, batch: Batch) {
        let Batch { opened, effects, done, moved } = batch;
        let changed: BTreeSet<&Arc<str>> = effects.iter().map(|effect| &effect.tenant).collect();
        let records = &mut self.records;
        if changed.is_empty() && !moved && !records.is_changed() {
            records.end(Ok(()));
        } else {
            let names = changed.iter().map(|tenant| &***tenant);
            // Without effects and records that wait, the disk need not be waited for either.
            let waits = !changed.is_empty() || records.waits();
            let written = self.tenants.save_by(names, |store, images| match waits {
                true => store.commit_with(images, |transaction| records.write(transaction, waits)),
                false => store.save_with(images, |transaction| records.write(transaction, waits)),
            });
            let error = written.as_ref().err().map(ToString::to_string);
            self.monitor.store(error.as_deref().map_or(Ok(()), Err));
            self.records.end(error.as_deref().map_or(Ok(()), Err));
            match written {
                // Images that have left memory went to the store before, and are on the disk with this transaction.
                Ok(saved) if saved == changed.len() || self.tenants.store().opened() == opened => {}
                Ok(_) => return self.undo(&effects, "the file was opened again"),
                Err(error) => return self.undo(&effects, &error.to_string()),
            }
        }
        effects.iter().for_each(|effect| self.carry_out(effect));
        // Connections that wait for it may go on now.
        drop(done);
    }

    /// Goes back to what is on the disk, as events whose memory could not be written have not happened.
    #[cold]
    fn undo(&mut self, effects: &[Effect], error: &str) {
        for Effect { deployment, tenant, connection, function, .. } in effects {
            let error = format!("the memory of the program cannot be written: {error}");
            let ended =
                Ended { tenant: key_of(tenant), function, status: 500, took: Duration::ZERO, slow: false, error: None };
            deployment.monitor.ended(&Ended { error: Some(("store", &error)), ..ended });
            match &deployment.program {
                Some(program) if self.open.contains_key(tenant) => {
                    self.tenants.go_back(tenant);
                    self.reserve_again(tenant, &program.program);
                }
                _ => self.tenants.discard(tenant),
            }
            self.tenants.store_mut().unset_note(tenant);
            self.fail(tenant, *connection, Closing::Failed);
            if *function == CONNECTED {
                self.close(tenant, *connection);
            }
            self.undone.insert(Arc::clone(tenant));
            if let Some(away) = self.away.get_mut(tenant) {
                away.is_void = true;
            }
        }
    }

    /// Carries out actions. Connections that are closed, and those of other tenants, are left out.
    pub(super) fn carry_out(&self, effect: &Effect) {
        let Effect { deployment, tenant, actions: wanted, .. } = effect;
        let own = |connection: i64| self.connections.get(&connection).filter(|open| open.tenant == *tenant);
        for action in actions(wanted).map_while(Result::ok) {
            match action {
                Action::Write { to, bytes } => {
                    let bytes: Arc<[u8]> = bytes.into();
                    for open in to.iter().filter_map(own).filter(|_| !bytes.is_empty()) {
                        if open.outbox.write(&bytes) {
                            deployment
                                .monitor
                                .limited(key_of(tenant), "a client reads too slowly, and was disconnected");
                        }
                    }
                }
                Action::Close { connections } => {
                    connections.iter().filter_map(own).for_each(|open| open.outbox.close(Closing::Asked));
                }
                _ => {}
            }
        }
    }
}

/// Whether answers of the program wait for the disk.
pub(super) fn is_durable(deployment: &Deployment) -> bool {
    deployment.config.program.as_ref().is_some_and(|program| program.durable)
}
