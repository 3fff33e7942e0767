//! Calls on the thread of their tenants.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use guest_tenants::RedbReader;
use guest_tenants::redb::{self, WriteTransaction};
use tokio::sync::oneshot;

use super::{CallError, CallJob, Forgotten, Settled, Ticket, Waiting, WriteCall};
use crate::call::{Call, Input, Instances, Kind, Output, Shares};
use crate::lanes::Full;
use crate::records::{Batch, RecordsError, Response, forget, view};
use crate::registry::{Reader, Registry};

/// Why calls left nothing whose file is not the one any more that they have read.
const OPENED_AGAIN: &str = "the file was opened again after an error";

/// How long records that no response waited for may not be on the disk.
const UNSYNCED: Duration = Duration::from_secs(1);

/// The calls of the tenants of one thread. Those that come together share a transaction, which the thread's owner writes.
#[derive(Debug)]
pub(crate) struct Home {
    reader: RedbReader,
    registry: Reader,
    instances: Instances,
    /// How much longer than the guest's deadline a call may wait.
    wait: Duration,
    batch: Option<Batch>,
    /// Calls that ended, and wait for the transaction.
    ended: Vec<(oneshot::Sender<Settled>, Result<Response, CallError>)>,
    /// Calls that are made elsewhere when the transaction is written, so that they read what is in it.
    leaving: Vec<Waiting>,
    /// Tenants that are forgotten with the transaction. Calls in the same transaction count as made before it.
    forgotten: Vec<Forgotten>,
    /// Tenants that were forgotten while a call of theirs was made elsewhere, from records that are removed.
    voided: HashSet<Arc<str>>,
    /// The next calls of tenants that have a call elsewhere.
    parked: HashMap<Arc<str>, VecDeque<Waiting>>,
    /// Since when there are records that may not be on the disk.
    unsynced: Option<Instant>,
    /// Whether the transaction that is being written waits for the disk.
    waits: Option<bool>,
}

impl Home {
    /// For one thread, which keeps at most `instances` instances. A call may hold it up for `slice`.
    pub(crate) fn new(
        reader: RedbReader,
        registry: &Registry,
        instances: usize,
        slice: Duration,
        wait: Duration,
    ) -> Self {
        Self {
            reader,
            registry: registry.reader(),
            instances: Instances::new(instances, Kind::Fast { slice }),
            wait,
            batch: None,
            ended: Vec::new(),
            leaving: Vec::new(),
            forgotten: Vec::new(),
            voided: HashSet::new(),
            parked: HashMap::new(),
            unsynced: None,
            waits: None,
        }
    }

    /// Does a job. Its response waits for the [end](Home::end) of the transaction.
    pub(crate) fn take(&mut self, job: CallJob) {
        match job {
            CallJob::Call(waiting) => match self.parked.get_mut(&waiting.call.request.tenant) {
                None => self.call(waiting),
                Some(queue) if queue.len() < waiting.call.deployment.config.limits.waiting => queue.push_back(waiting),
                Some(_) => refuse(waiting.reply, CallError::Busy(Full::Tenant)),
            },
            CallJob::Ended { waiting: Waiting { call, reply }, intents } => {
                let result = match self.voided.remove(&call.request.tenant) {
                    true => Err(RecordsError::Forgotten.into()),
                    false => self.settle(&call, &intents),
                };
                self.ended.push((reply, result));
                self.go_on(&call.request.tenant);
            }
            CallJob::GivenUp(tenant) => {
                self.voided.remove(&tenant);
                self.go_on(&tenant);
            }
            CallJob::Forget(forgotten) => {
                if self.parked.contains_key(&forgotten.tenant) {
                    self.voided.insert(Arc::clone(&forgotten.tenant));
                }
                self.forgotten.push(forgotten);
            }
        }
    }

    /// Makes the calls that waited for one of their tenant.
    fn go_on(&mut self, tenant: &Arc<str>) {
        let mut queue = self.parked.remove(tenant).unwrap_or_default();
        while let Some(waiting) = queue.pop_front() {
            self.call(waiting);
            if let Some(parked) = self.parked.get_mut(tenant) {
                *parked = queue;
                return;
            }
        }
    }

    /// Makes a call.
    fn call(&mut self, waiting: Waiting) {
        let Waiting { call, reply } = &waiting;
        // Nobody waits for it any more.
        if reply.is_closed() {
            return;
        }
        if call.entered.elapsed() > call.deployment.config.limits.deadline.saturating_add(self.wait) {
            return refuse(waiting.reply, CallError::WaitedTooLong);
        }
        let result = match self.attempt(call) {
            Some(result) => result,
            None => {
                self.parked.entry(Arc::clone(&call.request.tenant)).or_default();
                return self.leaving.push(waiting);
            }
        };
        self.ended.push((waiting.reply, result));
    }

    /// Makes a call here; `None` if it is to be made elsewhere.
    fn attempt(&mut self, call: &WriteCall) -> Option<Result<Response, CallError>> {
        let batch = match self.batch() {
            Ok(batch) => batch,
            Err(error) => return Some(Err(error.into())),
        };
        if let Some(known) = batch.response(&call.request).transpose() {
            return Some(known.map_err(CallError::from));
        }
        let made = Call {
            deployment: Arc::clone(&call.deployment),
            loaded: Arc::clone(&call.loaded),
            route: call.route,
            tenant: call.key.clone(),
            input: Input::State(batch.state(&call.request)),
        };
        let attempt = self.instances.attempt(&made, Instant::now());
        // With it goes its view of the records.
        drop(made);
        Some(match attempt? {
            Ok(Output::Intents(intents)) => self.settle(call, &intents),
            Ok(Output::Value(_)) => unreachable!("an extension function leaves intents"),
            Err(error) => Err(error.into()),
        })
    }

    /// Takes what a call left.
    fn settle(&mut self, call: &WriteCall, intents: &[u8]) -> Result<Response, CallError> {
        Ok(self.batch()?.take(&call.request, &call.deployment.config, intents)?)
    }

    fn batch(&mut self) -> Result<&mut Batch, RecordsError> {
        match &mut self.batch {
            Some(batch) => Ok(batch),
            none => Ok(none.insert(Batch::open(&self.reader)?)),
        }
    }

    /// The shares of the thread's time, which programs take from, too.
    pub(crate) fn shares(&self) -> Shares {
        self.instances.shares()
    }

    /// Whether no further calls should share the transaction.
    pub(crate) fn is_full(&self) -> bool {
        self.batch.as_ref().is_some_and(Batch::is_full)
    }

    /// Whether there is something to write.
    pub(crate) fn is_changed(&self) -> bool {
        !self.forgotten.is_empty() || self.batch.as_ref().is_some_and(Batch::is_changed)
    }

    /// Whether the transaction must be on the disk before its [end](Home::end).
    pub(crate) fn waits(&self) -> bool {
        !self.forgotten.is_empty()
            || self.batch.as_ref().is_some_and(Batch::waits)
            || self.unsynced.is_some_and(|since| since.elapsed() > UNSYNCED)
    }

    /// Writes what the calls left, in a transaction that waits for the disk or does not.
    pub(crate) fn write(&mut self, transaction: &WriteTransaction, waits: bool) -> Result<(), redb::Error> {
        self.waits = Some(waits);
        if let Some(batch) = self.batch.take().filter(Batch::is_changed) {
            match batch.is_of(self.reader.opened()) {
                true => batch.write(transaction)?,
                // The file is healthy, and takes what else is in the transaction.
                false => self.ended.iter_mut().for_each(|(_, result)| *result = Err(unwritten(OPENED_AGAIN))),
            }
        }
        for forgotten in &mut self.forgotten {
            forgotten.records = forget(transaction, &forgotten.tenant)?;
        }
        Ok(())
    }

    /// Sends the responses when the transaction was written, could not be written, or was not needed.
    pub(crate) fn end(&mut self, written: Result<(), &str>) {
        // Also where there was nothing to write: the next transaction begins with what others have committed.
        self.batch = None;
        let failed = written.err();
        match self.waits.take().filter(|_| failed.is_none()) {
            Some(true) => self.unsynced = None,
            Some(false) => drop(self.unsynced.get_or_insert_with(Instant::now)),
            None => {}
        }
        for (reply, result) in self.ended.drain(..) {
            let result = match failed {
                None => result,
                Some(error) => Err(unwritten(error)),
            };
            // Nobody may wait for it any more.
            let _ = reply.send(Settled::Ended(result));
        }
        for Forgotten { records, reply, .. } in self.forgotten.drain(..) {
            let _ = reply.send(failed.map_or(Ok(records), |error| Err(unwritten(error))));
        }
        for Waiting { call, reply } in std::mem::take(&mut self.leaving) {
            let current = match failed {
                None => view(&self.reader).map_err(|error| error.to_string()),
                Some(error) => Err(error.to_owned()),
            };
            match current {
                // If nobody waits for it, it is dropped, and the next call of the tenant begins.
                Ok(view) => drop(reply.send(Settled::Slow(Ticket::new(call, view)))),
                Err(error) => {
                    refuse(reply, unwritten(&error));
                    // Not here, where the transaction has ended.
                    let tenant = &call.request.tenant;
                    call.entrance.enter_call(tenant, CallJob::GivenUp(Arc::clone(tenant)));
                }
            }
        }
    }

    /// Drops what is not needed any more, where there is nothing to do. Says whether records should go to the disk.
    pub(crate) fn rest(&mut self) -> bool {
        self.instances.keep_current(self.registry.table());
        self.unsynced.take().is_some()
    }
}

fn refuse(reply: oneshot::Sender<Settled>, error: CallError) {
    // Nobody may wait for it any more.
    let _ = reply.send(Settled::Ended(Err(error)));
}

fn unwritten(error: &str) -> CallError {
    RecordsError::Store(error.to_owned()).into()
}

#[cfg(test)]
mod tests;
