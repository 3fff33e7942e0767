//! Calling an instance, and the restore that follows.

use std::time::Instant;

use super::Instance;
use super::keep::Due;
use super::live::{Live, UnnamedFailure};
use super::phase::{Phase, Standing};
use super::plan::Mechanism;
use crate::contract::{CallError, blocks};
use crate::failure::{Cause, Failure};
use crate::guest::error::LoadError;
use crate::guest::{Function, Guest};
use crate::host::mode::{Blocking, Mode, ready};
use crate::host::outcome::{Outcome, Replaced};
use crate::restore::policy::RestorePolicy;
use crate::restore::{Restored, Target};
use crate::spans::{event, span};

impl Instance {
    /// Invokes the function of this name. See [`Instance::invoke`].
    ///
    /// # Errors
    /// As for [`Instance::invoke`], and [`Cause::MissingExport`].
    pub fn invoke_by_name(&mut self, name: &str) -> Result<Outcome<'_>, Failure> {
        let function = self.find(name)?;
        self.invoke(function)
    }

    /// The function of this name. A call of a function that is missing is counted.
    pub(super) fn find(&mut self, name: &str) -> Result<Function, Failure> {
        self.guest.function(name).map_err(|cause| {
            if let Some(tally) = &mut self.tally {
                tally.missing(&cause);
            }
            Failure { function: name.to_owned(), cause, backtrace: Vec::new(), retried: false }
        })
    }

    /// Invokes a function: arms the deadline, calls, collects the outcome and applies the restore policy.
    ///
    /// After a failure the instance is restored whatever the policy. A call that ran out of memory under a lazy
    /// policy is tried once more on the restored instance, since extensions are pure.
    ///
    /// The outcome of a call is never lost with the instance: where the instance can neither be restored nor replaced, the
    /// outcome is returned all the same, and the next call tries to replace the instance again.
    ///
    /// # Errors
    /// [`Failure`] with its cause.
    pub fn invoke(&mut self, function: Function) -> Result<Outcome<'_>, Failure> {
        span!(debug_span, "invoke", guest = self.guest.name(), function = self.guest.function_name(function));
        let began = self.begin_counting(function);
        let mut called = self.attempt(function, false);
        if self.may_retry(&called) {
            called = self.retry(function);
        }
        self.outcome(function, began, called)
    }

    /// Whether a call that failed has a second try.
    #[inline]
    pub(super) fn may_retry(&self, called: &Result<(), Box<UnnamedFailure>>) -> bool {
        matches!(called, Err(failed) if matches!(failed.cause, Cause::OutOfMemory { .. }))
            && self.config.policy.is_lazy()
            && !self.resumed
            && self.phase.is_ready()
    }

    /// The time at which a call begins, if calls are counted.
    #[inline]
    pub(super) fn begin_counting(&mut self, function: Function) -> Option<Instant> {
        self.tally.as_mut().map(|tally| tally.begin(function))
    }

    /// The embedder's result of a call. `began` is the time of its beginning, if calls are counted.
    #[inline]
    pub(super) fn outcome(
        &mut self,
        function: Function,
        began: Option<Instant>,
        called: Result<(), Box<UnnamedFailure>>,
    ) -> Result<Outcome<'_>, Failure> {
        self.ended(function, began, called)?;
        match self.phase.data() {
            Some(data) => Ok(Outcome { call: &data.call, stats: &self.last_stats }),
            None => Err(self.failure(function, *lost())),
        }
    }

    /// Counts a call that ended, and names a failure.
    #[inline]
    pub(super) fn ended(
        &mut self,
        function: Function,
        began: Option<Instant>,
        called: Result<(), Box<UnnamedFailure>>,
    ) -> Result<(), Failure> {
        if let Some(began) = began {
            self.count_call(began, called.as_ref().err().map(|failed| &failed.cause));
        }
        match called {
            Ok(()) => Ok(()),
            Err(failed) => {
                #[cfg(feature = "tracing")]
                tracing::debug!(kind = failed.cause.kind(), cause = %failed.cause, "the call failed");
                Err(self.failure(function, *failed))
            }
        }
    }

    #[inline(never)]
    fn count_call(&mut self, began: Instant, failed: Option<&Cause>) {
        self.count_restored();
        if let Some(tally) = &mut self.tally {
            tally.end(began, self.last_stats.retried, failed);
        }
    }

    /// Counts what the restore after an attempt wrote, before the next attempt forgets it.
    pub(super) fn count_restored(&mut self) {
        if let (Some(tally), Some(bytes)) = (&mut self.tally, self.last_stats.restored_bytes) {
            tally.restored(bytes);
        }
    }

    #[cold]
    pub(super) fn failure(&self, function: Function, failed: UnnamedFailure) -> Failure {
        let function = self.guest.function_name(function).to_owned();
        Failure { function, cause: failed.cause, backtrace: failed.backtrace, retried: self.last_stats.retried }
    }

    #[cold]
    #[inline(never)]
    fn retry(&mut self, function: Function) -> Result<(), Box<UnnamedFailure>> {
        self.count_restored();
        self.attempt(function, true)
    }

    /// One call and the restore that follows it.
    // A function of its own would save and restore all registers for every call.
    #[inline(always)]
    fn attempt(&mut self, function: Function, retried: bool) -> Result<(), Box<UnnamedFailure>> {
        let mut globals_restored = self.plan.uses_entrances();
        self.attempt_with(function, retried, &mut globals_restored, Invoke { function })
    }

    /// One call, as `body` makes it, and the restore that follows it. `globals_restored` says whether globals are back after a
    /// call that succeeded; `body` may change it.
    #[inline(always)]
    pub(super) fn attempt_with(
        &mut self,
        function: Function,
        retried: bool,
        globals_restored: &mut bool,
        body: impl Body,
    ) -> Result<(), Box<UnnamedFailure>> {
        self.last_stats.begin(retried);
        if !self.phase.is_ready() {
            self.replace_before_call()?;
        }
        let called = self.call(function, globals_restored, body);
        let policy = self.config.policy;
        // Only a policy by heap has a question that takes a call.
        let by_heap = matches!(policy, RestorePolicy::OnHeapAbove(_));
        let restore = called.is_err() || policy == RestorePolicy::EveryCall || by_heap && self.wants_restore_blocking();
        if restore {
            let began = self.config.count.then(Instant::now);
            if let Some(due) = self.restore_after(called.is_ok(), called.is_ok() && *globals_restored) {
                self.carry_out_blocking(due);
            }
            self.last_stats.restore_time = began.map(|began| began.elapsed());
        } else {
            self.leave_used();
        }
        called
    }

    #[cold]
    #[inline(never)]
    fn replace_before_call(&mut self) -> Result<(), Box<UnnamedFailure>> {
        ready(self.replace_uncalled::<Blocking>(self.why_replaced())).map_err(|error| self.not_replaced(&error))
    }

    #[inline(never)]
    fn wants_restore_blocking(&mut self) -> bool {
        ready(self.wants_restore::<Blocking>())
    }

    #[cold]
    #[inline(never)]
    fn carry_out_blocking(&mut self, due: Due) {
        ready(self.carry_out::<Blocking>(due));
    }

    /// Why there is no instance to call.
    #[cold]
    pub(super) fn not_replaced(&mut self, error: &LoadError) -> Box<UnnamedFailure> {
        // The log lines of the call before are not this one's.
        if let Some(data) = self.phase.data_mut() {
            data.call.begin();
        }
        let reasons = self.restore_error.iter().map(ToString::to_string).chain([error.to_string()]).collect();
        UnnamedFailure::boxed(Cause::NotRestorable { reasons })
    }

    /// Calls the function. The restore after it is still to come.
    #[inline(always)]
    fn call(
        &mut self,
        function: Function,
        globals_restored: &mut bool,
        body: impl Body,
    ) -> Result<(), Box<UnnamedFailure>> {
        let pristine = self.begin_call(function)?;
        let Some(live) = self.phase.live_mut() else {
            return Err(lost());
        };
        let called = body.run(live, &self.guest, globals_restored);
        self.end_call(called)?;
        if self.asks_guest() {
            ready(self.ask_guest::<Blocking>(pristine));
            return self.check_blocks();
        }
        Ok(())
    }

    /// Checks blocks again, after functions of the guest's own were asked.
    #[cold]
    #[inline(never)]
    pub(super) fn check_blocks(&mut self) -> Result<(), Box<UnnamedFailure>> {
        let Some(live) = self.phase.live_mut().filter(|_| self.attended) else { return Ok(()) };
        let Err(fault) = blocks::end_call(&mut live.store) else { return Ok(()) };
        // Nobody knows what else the guest has done.
        live.store.data_mut().dirty_ranges.call_begins();
        Err(live.failed(CallError::from(fault), &self.guest, &self.config))
    }

    /// Makes the instance ready for a call of the function: its deadline runs from here. Returns whether the call begins at the
    /// snapshot.
    #[inline(always)]
    pub(super) fn begin_call(&mut self, function: Function) -> Result<bool, Box<UnnamedFailure>> {
        let Phase::Live { live, standing } = &mut self.phase else {
            return Err(lost());
        };
        let pristine = std::mem::replace(standing, Standing::Running) == Standing::Pristine;
        if !matches!(live.functions.get(function.index), Some(Some(_))) {
            let name = self.guest.function_name(function);
            let entrances = &self.plan.compiled.prepared.entrances;
            let uses = self.plan.uses_entrances();
            let entrance = entrances.iter().find(|entrance| uses && entrance.function == name);
            let name = entrance.map_or(name, |entrance| &entrance.export_name);
            live.resolve(&self.guest, name, function, &self.config.arguments)?;
        }
        if live.store.data_mut().begin_call() {
            live.forget_refused_allocation();
        }
        Blocking::arm(&mut live.store, self.deadline);
        if self.config.count {
            live.begin_counting();
        }
        if self.fuel {
            // Cannot fail: the engine was configured to count.
            let _ = live.store.set_fuel(self.config.max_instructions.unwrap_or(u64::MAX));
        }
        Ok(pristine)
    }

    /// Takes the figures of a call that ended, and finds out why it failed.
    #[inline(always)]
    pub(super) fn end_call(&mut self, called: Result<(), CallError>) -> Result<(), Box<UnnamedFailure>> {
        let stats = &mut self.last_stats;
        let Some(live) = self.phase.live_mut() else {
            return Err(lost());
        };
        let mut called = called;
        if self.attended {
            if self.fuel {
                let given = self.config.max_instructions.unwrap_or(u64::MAX);
                stats.instructions = live.store.get_fuel().ok().map(|left| given - left);
                // Functions of the guest's that are asked after the call count as none of it. Cannot fail, as above.
                let _ = live.store.set_fuel(u64::MAX);
            }
            called = called.and_then(|()| Ok(blocks::end_call(&mut live.store)?));
        }
        if self.config.count {
            stats.allocations = live.counted_since_begin();
            stats.pages = live.handles.memory.size(&live.store);
        }
        stats.crossings = live.store.data().call.crossings;
        match called {
            Ok(()) => {
                live.store.data_mut().dirty_ranges.call_succeeded();
                Ok(())
            }
            Err(error) => Err(live.failed(error, &self.guest, &self.config)),
        }
    }

    /// Whether functions of the guest's own are to be asked what a call allocated that succeeded.
    #[inline]
    pub(super) fn asks_guest(&self) -> bool {
        self.config.count && self.last_stats.allocations.is_none()
    }

    /// Asks functions of the guest's own what the call allocated. `pristine` says that the call began at the snapshot.
    pub(super) async fn ask_guest<M: Mode>(&mut self, pristine: bool) {
        if let Some(live) = self.phase.live_mut() {
            self.last_stats.allocations = live.guest_counts::<M>(pristine, self.deadline).await;
        }
    }

    /// Whether the policy asks for a restore after a call that succeeded.
    pub(super) async fn wants_restore<M: Mode>(&mut self) -> bool {
        match self.config.policy {
            RestorePolicy::EveryCall => true,
            RestorePolicy::OnError | RestorePolicy::Never => false,
            RestorePolicy::OnHeapAbove(bytes) => match self.phase.live_mut() {
                Some(live) => {
                    let is_above = live.heap_in_use::<M>(self.deadline).await > bytes;
                    // A function of the guest's own may have broken the rules of blocks. That makes a restore necessary, too, and the
                    // restore must know of it.
                    self.check_blocks().is_err() || is_above
                }
                None => true,
            },
        }
    }

    /// The call succeeded, and no restore follows.
    #[inline]
    pub(super) fn leave_used(&mut self) {
        if let Phase::Live { live, standing } = &mut self.phase {
            live.forget_refused_request();
            *standing = Standing::Used;
            // Blocks belong to calls. An instance that cannot give them back is replaced.
            if self.attended && blocks::end_attachments(&mut live.store).is_err() {
                *standing = Standing::Poisoned;
            }
        }
    }

    /// Restores the instance after a call in place, and returns what else is due. `globals_restored` says that an entrance
    /// has put the guest's own globals back. Where that fails, the next call tries it
    /// again and says why it cannot be done; this one has its outcome.
    #[inline(always)]
    pub(super) fn restore_after(&mut self, succeeded: bool, globals_restored: bool) -> Option<Due> {
        if self.holds_idle_memory() {
            return Some(Due::Replace(Replaced::Shrunk));
        }
        let expected = self.expected_of_alternative(succeeded);
        match self.restore_in_place(globals_restored) {
            Some(restored) => {
                self.last_stats.restored_bytes = Some(restored.bytes);
                self.learn(restored.bytes, expected?)
            }
            None => Some(Due::Replace(self.why_replaced())),
        }
    }

    /// Restores the instance now, whatever the policy. `None` when it was replaced rather than restored in place.
    ///
    /// # Errors
    /// [`LoadError`] when it could neither be restored nor replaced; the next call tries to replace it again.
    pub fn restore(&mut self) -> Result<Option<Restored>, LoadError> {
        ready(self.restore_or_replace::<Blocking>())
    }

    pub(super) async fn restore_or_replace<M: Mode>(&mut self) -> Result<Option<Restored>, LoadError> {
        self.resumed = false;
        if !self.is_pristine() && self.holds_idle_memory() {
            return self.replace_for::<M>(Replaced::Shrunk).await.map(|()| None);
        }
        match self.restore_uncalled() {
            Some(restored) => Ok(Some(restored)),
            None => self.replace_uncalled::<M>(self.why_replaced()).await.map(|()| None),
        }
    }

    /// Restores the instance in place at another time than after a call, and counts that.
    #[inline(never)]
    pub(super) fn restore_uncalled(&mut self) -> Option<Restored> {
        let restored = self.restore_in_place(false)?;
        if let Some(tally) = &mut self.tally {
            tally.restored(restored.bytes);
        }
        Some(restored)
    }

    /// Restores the instance, unless it must be replaced; `globals_restored` says that the guest's own globals are back
    /// already.
    #[inline(always)]
    fn restore_in_place(&mut self, globals_restored: bool) -> Option<Restored> {
        let Phase::Live { live, standing } = &mut self.phase else {
            return None;
        };
        span!(trace_span, "restore");
        *standing = Standing::Poisoned;
        let Mechanism::InPlace { restore, .. } = &mut self.plan.mechanism else {
            return None;
        };
        let mut target = Target {
            store: &mut live.store,
            handles: &live.handles,
            snapshot: &live.snapshot,
            always: self.plan.compiled.always(),
            residue: self.config.residue,
        };
        let restored = restore.restore(&mut target).and_then(|restored| {
            live.restore_globals(globals_restored, restore.as_ref())?;
            Ok(restored)
        });
        match restored {
            Ok(restored) => {
                live.store.data_mut().restored();
                *standing = Standing::Pristine;
                if self.restore_error.is_some() {
                    self.restore_error = None;
                }
                event!(trace, bytes = restored.bytes, "restored");
                Some(restored)
            }
            Err(error) => {
                event!(warn, guest = self.guest.name(), %error, "the instance cannot be restored in place");
                self.restore_error = Some(Box::new(error));
                None
            }
        }
    }
}

/// The part of a call between its beginning and its end.
// A trait, as a closure that is used twice is not inlined.
pub(super) trait Body {
    /// Calls the guest. `globals_restored` says whether globals are back if that succeeds, and may be changed.
    fn run(self, live: &mut Live, guest: &Guest, globals_restored: &mut bool) -> Result<(), CallError>;
}

/// The call of a function whose arguments are not the embedder's.
struct Invoke {
    function: Function,
}

impl Body for Invoke {
    #[inline(always)]
    fn run(self, live: &mut Live, _guest: &Guest, _globals_restored: &mut bool) -> Result<(), CallError> {
        // Not cloned: a clone of a typed function counts its type's references, which costs more than the call.
        match &live.functions[self.function.index] {
            Some(function) => function.call(&mut live.store),
            None => Err(unresolved()),
        }
    }
}

/// A call of a function that was not resolved, which begins none.
#[cold]
fn unresolved() -> CallError {
    wasmtime::Error::msg("the function was not resolved").into()
}

/// A call of an instance that a panic took along.
#[cold]
pub(super) fn lost() -> Box<UnnamedFailure> {
    UnnamedFailure::boxed(Cause::NotRestorable { reasons: vec!["it was lost".to_owned()] })
}
