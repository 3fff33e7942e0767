//! A thread that runs programs, one event after the other, and calls of extension functions beside them.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use guest_abi::program::{CLOSED, CONNECTED};
use guest_tenants::{RedbStore, TenantError, Tenants, TenantsConfig};
use tokio::sync::oneshot;

use super::away::{Away, Back, Errand, Paces};
use super::batch::{Batch, Effect, is_durable};
use super::calls::{CallJob, Home};
use super::event::{self, Error, EventError, Input, belongs_elsewhere, checked, is_too_slow};
use super::load::Load;
use super::manage::Manage;
use super::name::key_of;
use super::outbox::{Closing, Outbox};
use super::steps::Step;
use crate::call::Shares;
use crate::deployment::{Deployment, ProgramFunctions};
use crate::folder::GuestName;
use crate::lanes::Entrance;
use crate::monitor::{Ended, Event as MonitorEvent, Monitor};

/// Work for the thread.
#[derive(Debug)]
pub(super) enum Job {
    /// An event of a connection.
    Event { deployment: Arc<Deployment>, tenant: Arc<str>, connection: i64, event: Event },
    /// A call of an extension function.
    Call(CallJob),
    /// An event is back from the slow lane.
    Back(Back),
    /// Something that people ask for.
    Manage(Manage),
    /// Keeps what tenants have, and ends: when no event is on the slow lane, and after so long at the latest.
    Stop { within: Duration },
}

/// An event of a connection.
#[derive(Debug)]
pub(super) enum Event {
    /// It was opened.
    Connected {
        /// Address of the client.
        peer: String,
        /// Where to put what is sent to it.
        outbox: Outbox,
        /// Is dropped when the program knows of it.
        done: oneshot::Sender<()>,
    },
    /// Bytes have arrived.
    Read {
        bytes: Vec<u8>,
        /// Is dropped when the program has had them, so that the next may be read.
        done: oneshot::Sender<()>,
    },
    /// It was closed.
    Closed,
}

/// A connection that is open.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) tenant: Arc<str>,
    pub(super) outbox: Outbox,
}

/// An event that a program has.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) deployment: Arc<Deployment>,
    pub(super) tenant: Arc<str>,
    pub(super) connection: i64,
    pub(super) function: &'static str,
    /// Whether connections changed.
    pub(super) moves: bool,
    /// Dropped when the effects have been carried out.
    pub(super) done: Option<oneshot::Sender<()>>,
}

/// The way to the slow lane, and back.
#[derive(Debug)]
pub(super) struct SlowLane {
    /// Where events come back.
    pub(super) jobs: mpsc::Sender<Job>,
    /// The slow lane.
    pub(super) entrance: Entrance<Errand>,
    /// The memory that images there take.
    pub(super) load: Arc<Load>,
    /// How long an event may hold up those of other tenants.
    pub(super) slice: Duration,
}

/// Events and calls that share a write to the disk, at most.
const TOGETHER: usize = 256;

/// How often the thread tidies.
const REST: Duration = Duration::from_secs(1);

/// A thread that runs programs.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) tenants: Tenants<RedbStore>,
    /// The records of the tenants.
    pub(super) records: Home,
    pub(super) monitor: Monitor,
    pub(super) slow: SlowLane,
    pub(super) connections: HashMap<i64, Open>,
    /// The connections of each tenant that has some.
    pub(super) open: HashMap<Arc<str>, BTreeSet<i64>>,
    /// Tenants whose event is on the slow lane.
    pub(super) away: HashMap<Arc<str>, Away>,
    /// Events that there were on the slow lane.
    pub(super) sent: u64,
    /// Tenants whose events go to the slow lane at once.
    pub(super) paces: Paces,
    /// The shares of the thread's time, the same as those of calls.
    shares: Shares,
    /// Versions of guests whose tenants were forgotten: they and those before are over.
    pub(super) ended: HashMap<GuestName, u64>,
    /// The latest version of each guest that had an event.
    pub(super) versions: HashMap<GuestName, u64>,
    /// Tenants whose program may know of connections that are closed: events were undone.
    pub(super) undone: HashSet<Arc<str>>,
    /// When the thread tidied last.
    rested: Instant,
}

impl Worker {
    pub(super) fn new(
        config: TenantsConfig,
        store: RedbStore,
        records: Home,
        slow: SlowLane,
        monitor: Monitor,
    ) -> Self {
        Self {
            tenants: Tenants::new(config, store),
            shares: records.shares(),
            records,
            monitor,
            slow,
            connections: HashMap::new(),
            open: HashMap::new(),
            away: HashMap::new(),
            sent: 0,
            paces: Paces::default(),
            ended: HashMap::new(),
            versions: HashMap::new(),
            undone: HashSet::new(),
            rested: Instant::now(),
        }
    }

    /// Runs events until it is stopped. Says whether none was left on the slow lane.
    pub(super) fn run(mut self, jobs: &mpsc::Receiver<Job>) -> bool {
        let mut until: Option<Instant> = None;
        while until.is_none() || !self.away.is_empty() {
            let rest = until.map_or(REST, |until| until.saturating_duration_since(Instant::now()));
            let job = match jobs.recv_timeout(rest) {
                Ok(job) => job,
                Err(mpsc::RecvTimeoutError::Timeout) if until.is_none() => {
                    self.rest();
                    continue;
                }
                Err(_) => break,
            };
            if let Some(within) = self.turn(job, jobs) {
                let now = Instant::now();
                until = Some(now.checked_add(within).unwrap_or(now));
            }
        }
        let saved = self.tenants.save_all().map_err(|error| error.to_string());
        let synced = saved.and_then(|()| self.tenants.store_mut().sync().map_err(|error| error.to_string()));
        if let Err(error) = synced {
            eprintln!("the memory of programs was not kept: {error}");
        }
        self.away.is_empty()
    }

    /// Does a job, and those that came while the last ones were written: they share a write to the disk. If the thread is to stop,
    /// returns within what time.
    fn turn(&mut self, mut job: Job, jobs: &mpsc::Receiver<Job>) -> Option<Duration> {
        let mut batch = Batch::new(self.tenants.store().opened());
        let (mut manage, mut stop) = (None, None);
        for left in (0..TOGETHER).rev() {
            match job {
                Job::Event { deployment, tenant, connection, event } => {
                    let step = Step::new(deployment, connection, event);
                    match self.away.get_mut(&tenant) {
                        Some(away) => away.waiting.push_back(step),
                        None => self.proceed(&tenant, step, VecDeque::new(), &mut batch),
                    }
                }
                Job::Call(job) => self.records.take(job),
                Job::Back(back) => self.back(back, &mut batch),
                Job::Manage(job) => {
                    manage = Some(job);
                    break;
                }
                Job::Stop { within } => {
                    stop = Some(within);
                    break;
                }
            }
            // Before the next one is received, as nobody else would do it.
            if left == 0 || self.records.is_full() {
                break;
            }
            match jobs.try_recv() {
                Ok(next) => job = next,
                Err(_) => break,
            }
        }
        self.commit(batch);
        if let Some(job) = manage {
            self.manage(job);
        }
        // A thread that always has something to do must tidy, too.
        if self.rested.elapsed() >= REST {
            self.rest();
        }
        stop
    }

    /// Tidies: drops instances that nobody needs, writes to the disk what nothing has waited for, and opens the file again if an error has
    /// closed it.
    fn rest(&mut self) {
        self.rested = Instant::now();
        let is_well = self.tenants.store().is_open() && self.monitor.store_error().is_none();
        if self.records.rest() || !is_well {
            let error = self.tenants.store_mut().sync().err().map(|error| error.to_string());
            self.monitor.store_at_rest(error.as_deref().map_or(Ok(()), Err));
        }
    }

    /// Lets the program have an event, here or on the slow lane; where it is there, its number and the rest of it are returned.
    pub(super) fn begin(
        &mut self,
        task: Task,
        input: Input,
        waiting: &VecDeque<Step>,
        batch: &mut Batch,
    ) -> Option<(u64, Task)> {
        let deployment = Arc::clone(&task.deployment);
        let program = deployment.program.as_ref()?;
        if !input.is_wanted(program) {
            self.finish(task, true, waiting, batch);
            return None;
        }
        let began = Instant::now();
        if self.paces.is_slow(&task.tenant) || !self.shares.has_time(deployment.version, began) {
            return self.send(task, input, waiting, batch);
        }
        let mut called = self.call(program, &task, &input);
        if called.as_ref().is_err_and(|error| self.begins_anew(&task, error)) {
            called = self.call(program, &task, &input);
        }
        let took = began.elapsed();
        self.shares.add(deployment.version, took);
        if called.as_ref().is_err_and(|error| belongs_elsewhere(error, &deployment)) {
            self.paces.was_slow(&task.tenant);
            return self.send(task, input, waiting, batch);
        }
        self.settle(task, called, took, false, waiting, batch);
        None
    }

    /// Calls a function of the program on this thread.
    fn call(&mut self, program: &ProgramFunctions, task: &Task, input: &Input) -> Result<Vec<u8>, Error> {
        let Task { deployment, tenant, connection, function, .. } = task;
        self.tenants.call(tenant, &program.program, |instance| {
            let result = input.call(program, instance, *connection);
            if !result.as_ref().is_err_and(|error| is_too_slow(error, deployment)) {
                deployment.monitor.log(key_of(tenant), function, instance);
            }
            checked(result?)
        })
    }

    /// Forgets what a tenant kept, if that is why a call failed: memory of another version of its program.
    pub(super) fn begins_anew(&mut self, task: &Task, error: &Error) -> bool {
        let Task { deployment, tenant, .. } = task;
        // An event of an older version does not take the memory of the newer one.
        let is_newest = self.versions.get(&deployment.name).is_none_or(|newest| *newest == deployment.version);
        if !is_newest || !error.is_of_other_version() || self.tenants.forget(tenant).is_err() {
            return false;
        }
        let reason = "it kept memory of another version of its program, and begins anew";
        let tenant = key_of(tenant);
        self.monitor.event(&MonitorEvent::Begun { guest: deployment.name.as_str(), tenant, reason });
        true
    }

    /// Takes the result of an event.
    pub(super) fn settle(
        &mut self,
        task: Task,
        called: Result<Vec<u8>, Error>,
        took: Duration,
        slow: bool,
        waiting: &VecDeque<Step>,
        batch: &mut Batch,
    ) {
        let Task { deployment, tenant, connection, function, .. } = &task;
        let ended = Ended { tenant: key_of(tenant), function, status: 200, took, slow, error: None };
        let mut was_told = true;
        match called {
            Ok(actions) => {
                deployment.monitor.ended(&ended);
                let (deployment, tenant) = (Arc::clone(deployment), Arc::clone(tenant));
                let effect = Effect { deployment, tenant, connection: *connection, function, actions };
                match is_durable(&effect.deployment) {
                    true => batch.effects.push(effect),
                    false => self.carry_out(&effect),
                }
            }
            Err(error) => {
                let ((status, kind), message) = (event::status(&error), error.to_string());
                if event::is_of_disk(&error) {
                    self.monitor.store(Err(&message));
                }
                let error_of = Some((kind, message.as_str()));
                deployment.monitor.ended(&Ended { status, error: error_of, ..ended });
                let is_busy = matches!(error, TenantError::Failed(EventError::Busy(_)));
                self.fail(tenant, *connection, if is_busy { Closing::Busy } else { Closing::Failed });
                if *function == CONNECTED {
                    // The program does not know of it, and so is not told when it is closed.
                    self.close(tenant, *connection);
                }
                if *function == CLOSED && event::was_not_called(&error) {
                    // The program is told before its next event.
                    self.undone.insert(Arc::clone(tenant));
                    was_told = false;
                }
            }
        }
        self.finish(task, was_told, waiting, batch);
    }

    fn finish(&mut self, task: Task, was_told: bool, waiting: &VecDeque<Step>, batch: &mut Batch) {
        if task.moves && was_told {
            self.note(&task, waiting, batch);
        }
        batch.done.extend(task.done);
    }

    /// Closes a connection whose event was undone: its client would wait for an answer that never comes.
    pub(super) fn fail(&self, tenant: &Arc<str>, connection: i64, why: Closing) {
        if let Some(open) = self.connections.get(&connection).filter(|open| open.tenant == *tenant) {
            open.outbox.close(why);
        }
    }
}

#[cfg(test)]
mod tests;
