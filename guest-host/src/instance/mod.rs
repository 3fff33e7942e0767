//! An instance: invoking its functions, and keeping it pristine.
//!
//! `config` says how it is to be kept, `choice` what is picked where that is left open, `make` finds the mechanism, `start`
//! leads to the snapshot, `live` is what exists in the engine, `counting` knows what it allocates, `keep` says when to
//! replace what could be restored, and `observe` has what can be seen of it.

mod choice;
mod config;
mod counting;
mod keep;
mod live;
mod make;
mod observe;
mod start;

use std::sync::Arc;
use std::time::Instant;

use wasmtime::Store;

use crate::contract::Data;
use crate::failure::{Cause, Failure};
use crate::guest::error::LoadError;
use crate::guest::{Compiled, Function, Guest};
use crate::host::outcome::{CallStats, Outcome, Replaced};
use crate::host::window;
use crate::metrics::Tally;
use crate::restore::policy::{RestorePolicy, RestoreStrategy};
use crate::restore::{Restore, RestoreError, Restored, Target};
use crate::state::State;

pub use choice::Choice;
use choice::Trial;
pub use config::{InstanceConfig, Retention, Status};
use live::{Failed, Live};
use make::host_data;
use start::start;

/// A guest in memory, with its snapshot.
#[derive(Debug)]
pub struct Instance {
    guest: Guest,
    /// With the strategy that was picked, where that was left open.
    config: InstanceConfig,
    choice: Choice,
    mechanism: Mechanism,
    /// The guest's module as it is prepared for the mechanism.
    compiled: Arc<Compiled>,
    /// Ticks of the engine's clock that a call may take.
    deadline_ticks: u64,
    /// Whether the engine counts instructions.
    fuel: bool,
    status: Status,
    /// Whether nothing was called since it was made or restored.
    pristine: bool,
    /// `None` only while the instance is being replaced, or after that failed.
    live: Option<Live>,
    /// The state, while there is no live instance to hold it.
    orphan: Option<Box<Data>>,
    /// Figures of the last call, also of one that failed.
    last_stats: CallStats,
    /// Why the last restore could not be done in place; boxed, as it is hardly ever there.
    restore_error: Option<Box<RestoreError>>,
    /// Whether another strategy would serve better, while that is still being found out.
    trial: Option<Box<Trial>>,
    /// Bytes up to which its memory is never too large.
    retained: usize,
    /// Restores in a row after calls that needed less memory than there is, see [`Retention`].
    idle: u32,
    /// Where its calls are counted, if they are.
    tally: Option<Box<Tally>>,
}

/// How the instance returns to its snapshot.
#[derive(Debug)]
enum Mechanism {
    Replace,
    InPlace {
        restore: Box<dyn Restore>,
        /// Whether calls go through the entrances that put globals back, which is one of the harness's own ways.
        entrances: bool,
    },
}

/// Ticks that never pass.
const NO_DEADLINE: u64 = u64::MAX >> 1;

impl Instance {
    /// The guest.
    #[must_use]
    pub fn guest(&self) -> &Guest {
        &self.guest
    }

    /// How the instance was configured.
    #[must_use]
    pub fn config(&self) -> &InstanceConfig {
        &self.config
    }

    /// Whether it may be invoked.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// The strategy that was asked for or picked, and why. Where [`RestoreStrategy::Auto`] picked it, the first calls may
    /// show that another serves the guest better; it is that one from then on.
    #[must_use]
    pub fn strategy(&self) -> Choice {
        self.choice
    }

    /// Whether the guest is as its snapshot has it. Under a lazy policy it is not after a call that was not followed by a
    /// restore.
    #[must_use]
    pub fn is_pristine(&self) -> bool {
        self.status == Status::Ready && self.pristine
    }

    /// Name of the strategy by which it is restored.
    #[must_use]
    pub fn strategy_name(&self) -> &str {
        match &self.mechanism {
            Mechanism::Replace => RestoreStrategy::Reinstantiate.name(),
            Mechanism::InPlace { restore, .. } => restore.name(),
        }
    }

    /// The strategy, where it restores in place.
    #[must_use]
    pub fn in_place(&self) -> Option<&dyn Restore> {
        match &self.mechanism {
            Mechanism::Replace => None,
            Mechanism::InPlace { restore, .. } => Some(restore.as_ref()),
        }
    }

    /// Lets the guest read another state from now on; what it read before is dropped. The snapshot stays as it is: what
    /// the guest made of the earlier state while it was initialised remains.
    pub fn set_state(&mut self, state: impl State + 'static) {
        match (&mut self.live, &mut self.orphan) {
            (Some(live), _) => live.store.data_mut().state = Box::new(state),
            (None, Some(orphan)) => orphan.state = Box::new(state),
            // It went down with a panic of the embedder's own code: the instance can be made again with this one.
            (None, None) => self.orphan = Some(Box::new(host_data(&self.config, Box::new(state)))),
        }
    }

    /// The state that the guest reads.
    pub fn state_mut(&mut self) -> Option<&mut dyn State> {
        let data = match (&mut self.live, &mut self.orphan) {
            (Some(live), _) => live.store.data_mut(),
            (None, Some(orphan)) => orphan.as_mut(),
            (None, None) => return None,
        };
        Some(data.state.as_mut())
    }

    /// Figures of the last call, also of one that failed.
    #[must_use]
    pub fn last_stats(&self) -> &CallStats {
        &self.last_stats
    }

    /// Why the last restore could not be done in place. The instance was replaced then, and what the call before it left
    /// was kept.
    #[must_use]
    pub fn last_restore_error(&self) -> Option<&RestoreError> {
        self.restore_error.as_deref()
    }

    /// Invokes the function of this name. See [`Instance::invoke`].
    ///
    /// # Errors
    /// As for [`Instance::invoke`], and [`Cause::MissingExport`].
    pub fn invoke_by_name(&mut self, name: &str) -> Result<Outcome<'_>, Failure> {
        match self.guest.function(name) {
            Ok(function) => self.invoke(function),
            Err(cause) => {
                if let Some(tally) = &mut self.tally {
                    tally.missing(&cause);
                }
                Err(Failure { function: name.to_owned(), cause, backtrace: Vec::new(), retried: false })
            }
        }
    }

    /// Invokes a function: arms the deadline, calls, collects the outcome and applies the restore policy.
    ///
    /// After a failure the instance is restored whatever the policy. A call that ran out of memory under a lazy
    /// policy is tried once more on the restored instance, since extensions are pure.
    ///
    /// What a call left is never lost with the instance: where it can neither be restored nor replaced, the outcome is
    /// handed out all the same, and the next call tries to replace the instance again.
    ///
    /// # Errors
    /// [`Failure`] with its cause.
    pub fn invoke(&mut self, function: Function) -> Result<Outcome<'_>, Failure> {
        let began = self.tally.as_mut().map(|tally| tally.begin(function));
        let mut called = self.attempt(function, false);
        if let Err(failed) = &called
            && self.config.policy.is_lazy()
            && matches!(failed.cause, Cause::OutOfMemory { .. })
            && self.status == Status::Ready
        {
            self.count_restored();
            called = self.attempt(function, true);
        }
        if let Some(began) = began {
            self.count_call(began, called.as_ref().err().map(|failed| &failed.cause));
        }
        let call = match (called, &self.live, &self.orphan) {
            (Ok(()), Some(live), _) => &live.store.data().call,
            (Ok(()), None, Some(data)) => &data.call,
            (Ok(()), None, None) => return Err(self.failure(function, *Failed::boxed(not_restorable("it was lost")))),
            (Err(failed), ..) => return Err(self.failure(function, *failed)),
        };
        Ok(Outcome { call, stats: &self.last_stats })
    }

    #[inline(never)]
    fn count_call(&mut self, began: Instant, failed: Option<&Cause>) {
        self.count_restored();
        if let Some(tally) = &mut self.tally {
            tally.end(began, self.last_stats.retried, failed);
        }
    }

    /// Counts what the restore after an attempt wrote, before the next attempt forgets it.
    fn count_restored(&mut self) {
        if let (Some(tally), Some(bytes)) = (&mut self.tally, self.last_stats.restored_bytes) {
            tally.restored(bytes);
        }
    }

    #[cold]
    fn failure(&self, function: Function, failed: Failed) -> Failure {
        let function = self.guest.function_name(function).to_owned();
        Failure { function, cause: failed.cause, backtrace: failed.backtrace, retried: self.last_stats.retried }
    }

    /// One call and the restore that follows it.
    fn attempt(&mut self, function: Function, retried: bool) -> Result<(), Box<Failed>> {
        self.last_stats.begin(retried);
        if self.status != Status::Ready
            && let Err(error) = self.replace_uncalled(self.why_replaced())
        {
            // The log lines of the call before are not this one's.
            if let Some(data) = &mut self.orphan {
                data.call.begin();
            }
            let reasons = self.restore_error.iter().map(ToString::to_string).chain([error.to_string()]).collect();
            return Err(Failed::boxed(Cause::NotRestorable { reasons }));
        }
        self.status = Status::Running;
        let called = self.call(function);
        let restore = called.is_err() || self.config.policy == RestorePolicy::EveryCall || self.wants_restore();
        self.status = Status::Poisoned;
        if restore {
            let began = self.config.count.then(Instant::now);
            self.restore_after(called.is_ok());
            self.last_stats.restore_time = began.map(|began| began.elapsed());
        } else {
            if let Some(live) = &mut self.live {
                live.forget_refused_request();
            }
            self.status = Status::Ready;
            self.pristine = false;
        }
        called
    }

    /// Restores the instance after a call, or replaces it where that is due. Where that fails, the next call tries it
    /// again, and tells why it cannot be; this one has its outcome.
    #[inline]
    fn restore_after(&mut self, succeeded: bool) {
        if self.keeps_too_much() {
            self.give_back();
            return;
        }
        let expected = self.expected_of_rival(succeeded);
        match self.restore_in_place(succeeded && self.uses_entrances()) {
            Some(restored) => {
                self.last_stats.restored_bytes = Some(restored.bytes);
                if let Some(expected) = expected {
                    self.learn(restored.bytes, expected);
                }
            }
            None => drop(self.replace_for(self.why_replaced())),
        }
    }

    /// Whether calls go through entrances that put the guest's own globals back.
    fn uses_entrances(&self) -> bool {
        matches!(self.mechanism, Mechanism::InPlace { entrances: true, .. })
    }

    /// Whether the policy asks for a restore after a call that succeeded.
    fn wants_restore(&mut self) -> bool {
        match self.config.policy {
            RestorePolicy::EveryCall => true,
            RestorePolicy::OnError | RestorePolicy::Never => false,
            RestorePolicy::OnHeapAbove(bytes) => {
                let ticks = self.deadline_ticks;
                self.live.as_mut().is_none_or(|live| live.heap_in_use(ticks) > bytes)
            }
        }
    }

    fn call(&mut self, function: Function) -> Result<(), Box<Failed>> {
        let entrances = self.uses_entrances();
        let stats = &mut self.last_stats;
        let Some(live) = &mut self.live else {
            return Err(Failed::boxed(not_restorable("it was lost")));
        };
        if !matches!(live.functions.get(function.index), Some(Some(_))) {
            let name = self.guest.function_name(function);
            let entrance =
                self.compiled.prepared.entrances.iter().find(|entrance| entrances && entrance.function == name);
            let kind = self.guest.info().contract();
            live.resolve(kind, entrance.map_or(name, |entrance| &entrance.export_name), function)?;
        }
        if live.store.data_mut().begin_call() {
            live.forget_refused_allocation();
        }
        live.store.set_epoch_deadline(self.deadline_ticks);
        let counting = self.config.count;
        let before = if counting { live.counted() } else { None };
        let fuel = self.fuel;
        if fuel {
            // Cannot fail: the engine was configured to count.
            let _ = live.store.set_fuel(u64::MAX);
        }
        // Not cloned: a clone of a typed function counts its type's references, which costs more than the call.
        let called = match &live.functions[function.index] {
            Some(function) => function.call(&mut live.store),
            None => return Err(Failed::boxed(not_restorable("its function was lost"))),
        };
        if fuel {
            stats.instructions = live.store.get_fuel().ok().map(|left| u64::MAX - left);
        }
        if counting {
            stats.allocations = before.and_then(|before| live.counted_since(before));
            stats.pages = live.handles.memory.size(&live.store);
        }
        stats.crossings = live.store.data().call.crossings;
        match called {
            Ok(()) => {
                live.store.data_mut().footprint.call_succeeded();
                if counting && stats.allocations.is_none() {
                    stats.allocations = live.guest_counts(self.pristine, self.deadline_ticks);
                }
                Ok(())
            }
            Err(error) => {
                let failed = live.failed(error, &self.guest, &self.config);
                live.leave_allocator();
                Err(failed)
            }
        }
    }

    /// Restores the instance now, whatever the policy. `None` when it was replaced rather than restored in place.
    ///
    /// # Errors
    /// [`LoadError`] when it could neither be restored nor replaced; the next call tries to replace it again.
    pub fn restore(&mut self) -> Result<Option<Restored>, LoadError> {
        if !self.pristine && self.keeps_too_much() {
            return self.replace_for(Replaced::Shrunk).map(|()| None);
        }
        match self.restore_in_place(false) {
            Some(restored) => {
                if let Some(tally) = &mut self.tally {
                    tally.restored(restored.bytes);
                }
                Ok(Some(restored))
            }
            None => self.replace_uncalled(self.why_replaced()).map(|()| None),
        }
    }

    /// Restores the instance, unless it has to be replaced; `globals_restored` says that the guest's own globals are
    /// back already.
    #[inline]
    fn restore_in_place(&mut self, globals_restored: bool) -> Option<Restored> {
        self.status = Status::Poisoned;
        let (Mechanism::InPlace { restore, .. }, Some(live)) = (&mut self.mechanism, &mut self.live) else {
            return None;
        };
        let mut target = Target {
            store: &mut live.store,
            handles: &live.handles,
            snapshot: &live.snapshot,
            residue: self.config.residue,
            globals_restored,
        };
        match restore.restore(&mut target) {
            Ok(restored) => {
                live.store.data_mut().restored();
                self.status = Status::Ready;
                self.pristine = true;
                if self.restore_error.is_some() {
                    self.restore_error = None;
                }
                Some(restored)
            }
            Err(error) => {
                self.restore_error = Some(Box::new(error));
                None
            }
        }
    }

    /// Makes a new instance in the place of the old one.
    fn replace(&mut self) -> Result<(), LoadError> {
        self.status = Status::Poisoned;
        self.idle = 0;
        let mut data = match (self.live.take(), self.orphan.take()) {
            (Some(live), _) => window::into_data(live.store),
            (None, Some(orphan)) => *orphan,
            // The state went down with a panic of the embedder's own code.
            (None, None) => return Err(LoadError::Instantiate("its state was lost".to_owned())),
        };
        // The last call's outcome outlives the instance that it came from.
        let last_call = std::mem::take(&mut data.call);
        let mut store = Store::new(self.guest.engine().wasmtime(), data);
        let in_place = matches!(self.mechanism, Mechanism::InPlace { .. });
        let started = start(&self.guest, &self.compiled, &self.config, in_place, &mut store);
        store.data_mut().call = last_call;
        match started {
            Ok((instance, handles, counting, snapshot)) => {
                let functions = self.guest.functions().iter().map(|_| None).collect();
                self.live = Some(Live { store, instance, handles, counting, snapshot, functions });
                self.status = Status::Ready;
                self.pristine = true;
                Ok(())
            }
            Err(error) => {
                self.orphan = Some(Box::new(window::into_data(store)));
                Err(error)
            }
        }
    }
}

fn not_restorable(reason: impl ToString) -> Cause {
    Cause::NotRestorable { reasons: vec![reason.to_string()] }
}
