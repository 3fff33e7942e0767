//! Calls of functions on instances that belong to one thread.

mod share;
mod watch;

use std::sync::Arc;
use std::time::{Duration, Instant};

use guest_functions::{Caller, FunctionError, Value};
use guest_host::{Cause, InstanceConfig, MemoryState};
use rustc_hash::FxHashMap;

use crate::deployment::{Deployment, Loaded, RouteFunction, SLICES_TO_START};
use crate::monitor::CountedInstance;
use crate::records::CallState;
use crate::registry::Table;
pub(crate) use share::Shares;
pub(crate) use watch::Watch;
pub use watch::{Stop, ran};

/// The instances of a thread: one of each deployment that was called, made when it is first called. Those that were not
/// called for longest are dropped where there are too many.
#[derive(Debug)]
pub struct Instances {
    most: usize,
    kind: Kind,
    held: FxHashMap<u64, Held>,
    uses: u64,
    /// The shares of a fast thread's time.
    shares: Option<Shares>,
    /// Ends the calls of a slow thread.
    watch: Option<Arc<Watch>>,
}

/// The instances of a lane.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A call may take so long at most, or as long as the guest's deadline says where that is shorter.
    Fast {
        /// How long.
        slice: Duration,
    },
    /// A call may run for as long as the guest's deadline says.
    Slow {
        /// Ends calls when the server stops.
        stop: Stop,
        /// How much longer than the guest's deadline a call may take all in all: a thread of low priority waits for others.
        longer: Duration,
    },
}

/// A call of a function of a route.
#[derive(Debug)]
pub struct Call {
    /// The version of the guest.
    pub deployment: Arc<Deployment>,
    /// Its module.
    pub loaded: Arc<Loaded>,
    /// The route, among those of the deployment.
    pub route: usize,
    /// The tenant.
    pub tenant: Box<str>,
    /// What its function gets.
    pub input: Input,
}

/// What a function gets, by its kind.
#[derive(Debug)]
pub enum Input {
    /// The arguments of a typed function.
    Arguments(Vec<Value>),
    /// What an extension function reads.
    State(CallState),
}

/// What a function gives, by its kind.
#[derive(Debug)]
pub enum Output {
    /// The result of a typed function.
    Value(Value),
    /// The intents of an extension function, in their wire form.
    Intents(Vec<u8>),
}

/// How an attempt to make a call went.
#[derive(Debug)]
pub enum Attempt {
    /// The call ended.
    Ended(Result<Output, FunctionError>),
    /// The call did not end within the slice, and left nothing.
    TooSlow,
    /// The call was not made: the guest has used its share of the thread's time.
    NoTime,
}

/// Whether a call failed at a limit of its guest. The next call of its function may, too, and goes to the slow lane.
#[must_use]
pub const fn is_at_limit(error: &FunctionError) -> bool {
    let FunctionError::Call(failure) = error else { return false };
    matches!(failure.cause, Cause::OutOfMemory { .. } | Cause::DeadlineExceeded { .. })
}

/// An instance, and its part of what is known of its guest.
#[derive(Debug)]
struct Held {
    caller: Caller,
    deployment: Arc<Deployment>,
    loaded: Arc<Loaded>,
    last_used: u64,
    count: CountedInstance,
}

impl Instances {
    /// No instance, and at most so many later on; with 0 each call has an instance of its own.
    #[must_use]
    pub fn new(most: usize, kind: Kind) -> Self {
        let (shares, watch) = match &kind {
            Kind::Fast { .. } => (Some(Shares::default()), None),
            Kind::Slow { stop, .. } => (None, Some(Watch::new(stop.clone()))),
        };
        Self { most, kind, held: FxHashMap::default(), uses: 0, shares, watch }
    }

    /// Makes a call, at the time `now`. The log lines of a call that ended go to the guest's monitor, those of one that was too slow nowhere.
    pub fn call(&mut self, call: &Call, now: Instant) -> Attempt {
        let deployment = &call.deployment;
        let is_cut = matches!(&self.kind, Kind::Fast { slice } if *slice < deployment.config.limits.deadline);
        let is_fast = matches!(self.kind, Kind::Fast { .. });
        if let Some(shares) = &self.shares
            && !shares.has_time(deployment.version, now)
        {
            return Attempt::NoTime;
        }
        let watch = self.watch.clone();
        let mut fresh = None;
        let held = match self.held(call, &mut fresh) {
            Ok(held) => held,
            // The slow lane has the time that starting takes, and says why it cannot.
            Err(_) if is_fast => return Attempt::TooSlow,
            Err(error) => return Attempt::Ended(Err(error)),
        };
        held.loaded.touch();
        // Of the module that the instance has: it may have been loaded again since.
        let function = &held.loaded.functions[call.route];
        let mut make = || make(&mut held.caller, function, &call.input);
        let result = match watch {
            Some(watch) => watch.call(deployment.config.limits.deadline, make),
            None => make(),
        };
        held.count.measure(held.caller.instance().physical_pages());
        let took = now.elapsed();
        if let Err(FunctionError::Call(failure)) = &result
            && is_cut
            && matches!(failure.cause, Cause::DeadlineExceeded { .. })
        {
            self.used(deployment, took);
            return Attempt::TooSlow;
        }
        let function = &deployment.config.routes[call.route].function;
        deployment.monitor.log(&call.tenant, function, held.caller.instance());
        self.used(deployment, took);
        Attempt::Ended(result)
    }

    /// Makes a call of a fast thread, and takes note of its pace. `None` if it did not end within the slice, or calls before it did not, or
    /// the guest has used its share of the time: it belongs to the slow lane then.
    pub(crate) fn attempt(&mut self, call: &Call, now: Instant) -> Option<Result<Output, FunctionError>> {
        let pace = &call.deployment.paces[call.route];
        if pace.is_slow() {
            return None;
        }
        match self.call(call, now) {
            Attempt::Ended(result) => {
                if result.as_ref().is_err_and(is_at_limit) {
                    pace.was_slow();
                }
                Some(result)
            }
            Attempt::TooSlow => {
                pace.was_slow();
                None
            }
            Attempt::NoTime => None,
        }
    }

    fn used(&self, deployment: &Deployment, time: Duration) {
        if let Some(shares) = &self.shares {
            shares.add(deployment.version, time);
        }
    }

    /// Drops the instances of deployments that are not current any more, and of modules that are not kept.
    pub fn keep_current(&mut self, table: &Table) {
        let is_current =
            |version: &u64, held: &Held| table.get(&held.deployment.name).is_some_and(|now| now.version == *version);
        self.held.retain(|version, held| held.loaded.is_kept() && is_current(version, held));
    }

    /// The shares of the thread's time, for what it calls beside them.
    pub(crate) fn shares(&self) -> Shares {
        self.shares.clone().unwrap_or_default()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.held.len()
    }

    /// The instance of a deployment, in `fresh` if none is kept.
    fn held<'h>(&'h mut self, call: &Call, fresh: &'h mut Option<Held>) -> Result<&'h mut Held, FunctionError> {
        let deployment = &call.deployment;
        self.uses += 1;
        if self.most == 0 {
            return Ok(fresh.insert(Held::new(call, &self.kind, self.watch.as_ref())?));
        }
        if !self.held.contains_key(&deployment.version) {
            let held = Held::new(call, &self.kind, self.watch.as_ref())?;
            self.make_room(deployment);
            self.held.insert(deployment.version, held);
        }
        let held = self.held.get_mut(&deployment.version).ok_or(FunctionError::Closed)?;
        held.last_used = self.uses;
        Ok(held)
    }

    /// Drops the instances of older versions of a guest, and the one that was not used for longest if there is no room.
    fn make_room(&mut self, deployment: &Deployment) {
        let is_older =
            |held: &Held| held.deployment.name == deployment.name && held.deployment.version < deployment.version;
        self.held.retain(|_, held| !is_older(held));
        if self.held.len() >= self.most {
            let oldest = self.held.iter().min_by_key(|(_, held)| held.last_used).map(|(version, _)| *version);
            oldest.map(|version| self.held.remove(&version));
        }
    }
}

/// Makes a call on an instance.
fn make(caller: &mut Caller, function: &RouteFunction, input: &Input) -> Result<Output, FunctionError> {
    match (function, input) {
        (RouteFunction::Typed(function), Input::Arguments(arguments)) => {
            caller.call::<_, Value>(function, arguments.as_slice()).map(Output::Value)
        }
        (RouteFunction::Extension(function), Input::State(state)) => {
            let instance = caller.instance_mut();
            instance.set_state(state.clone());
            let intents = instance.invoke(*function).map(|outcome| outcome.intent_bytes().to_vec());
            // Between calls the instance has nothing of a tenant, and keeps no view of its records.
            instance.set_state(MemoryState::new());
            Ok(Output::Intents(intents?))
        }
        _ => unreachable!("a call has the input of its function's kind"),
    }
}

impl Held {
    fn new(call: &Call, kind: &Kind, watch: Option<&Arc<Watch>>) -> Result<Self, FunctionError> {
        let Call { deployment, loaded, .. } = call;
        let limits = &deployment.config.limits;
        let limited = |config: InstanceConfig| match kind {
            Kind::Fast { slice } => config
                .with_deadline(Some(limits.deadline.min(*slice)))
                .with_init_deadline(slice.saturating_mul(SLICES_TO_START)),
            Kind::Slow { longer, .. } => config
                .with_deadline(Some(limits.deadline.saturating_add(*longer)))
                .with_supervisor(watch.map(Watch::supervisor)),
        };
        let caller = loaded.module.caller_with(limited)?;
        let count = CountedInstance::new(&deployment.monitor, caller.instance().physical_pages());
        Ok(Self { caller, deployment: Arc::clone(deployment), loaded: Arc::clone(loaded), last_used: 0, count })
    }
}
