//! A thread that runs programs, one event after the other, and calls of extension functions beside them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use guest_abi::program::{Action, ActionError, CLOSED, CONNECTED, READ, actions};
use guest_functions::FunctionError;
use guest_host::guest_image::ImageError;
use guest_host::{Instance, ResumeError};
use guest_tenants::{RedbStore, RedbStoreError, TenantError, Tenants, TenantsConfig};
use tokio::sync::oneshot;

use super::calls::{CallJob, Home};
use super::outbox::{Closing, Outbox};
use crate::deployment::{Deployment, ProgramFunctions};
use crate::folder::GuestName;
use crate::monitor::{Ended, Event as MonitorEvent, Monitor};

/// Work for the thread.
#[derive(Debug)]
pub(super) enum Job {
    /// An event of a connection.
    Event { deployment: Arc<Deployment>, tenant: Arc<str>, connection: i64, event: Event },
    /// A call of an extension function.
    Call(CallJob),
    /// Keeps what tenants have, and ends.
    Stop,
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

/// Why an event was undone.
#[derive(Debug, thiserror::Error)]
enum EventError {
    #[error(transparent)]
    Call(#[from] FunctionError),
    #[error("the program's result is not a list of actions: {0}")]
    Actions(#[from] ActionError),
}

impl EventError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Call(FunctionError::Call(failure)) => failure.cause.kind(),
            Self::Call(_) => "call",
            Self::Actions(_) => "invalid-guest-data",
        }
    }
}

type Error = TenantError<RedbStoreError, EventError>;

/// A connection that is open.
#[derive(Debug)]
struct Open {
    tenant: Arc<str>,
    outbox: Outbox,
}

/// An event that the program has had, and what it wants done.
struct Effect {
    deployment: Arc<Deployment>,
    tenant: Arc<str>,
    connection: i64,
    function: &'static str,
    actions: Vec<u8>,
}

/// Events whose effects wait until the memory of their programs is on the disk.
struct Batch {
    /// How often the store had been opened when it began.
    opened: u64,
    effects: Vec<Effect>,
    /// Dropped when the effects have been carried out.
    done: Vec<oneshot::Sender<()>>,
    /// Whether connections changed.
    moved: bool,
}

/// Events and calls that share a write to the disk, at most.
const TOGETHER: usize = 256;

/// How long the thread waits for something to do before it tidies.
const REST: Duration = Duration::from_secs(1);

/// A thread that runs programs.
#[derive(Debug)]
pub(super) struct Worker {
    tenants: Tenants<RedbStore>,
    /// The records of the tenants.
    records: Home,
    monitor: Monitor,
    connections: HashMap<i64, Open>,
    /// The connections of each tenant that has some.
    open: HashMap<Arc<str>, BTreeSet<i64>>,
    /// The latest version of each guest that had an event.
    versions: HashMap<GuestName, u64>,
    /// Tenants whose program may know of connections that are closed: events were undone.
    undone: HashSet<Arc<str>>,
}

impl Worker {
    pub(super) fn new(config: TenantsConfig, store: RedbStore, records: Home, monitor: Monitor) -> Self {
        Self {
            tenants: Tenants::new(config, store),
            records,
            monitor,
            connections: HashMap::new(),
            open: HashMap::new(),
            versions: HashMap::new(),
            undone: HashSet::new(),
        }
    }

    /// Runs events until it is stopped.
    pub(super) fn run(mut self, jobs: &mpsc::Receiver<Job>) {
        let mut goes_on = true;
        while goes_on {
            let mut job = match jobs.recv_timeout(REST) {
                Ok(job) => job,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    self.rest();
                    continue;
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            };
            let opened = self.tenants.store().opened();
            let mut batch = Batch { opened, effects: Vec::new(), done: Vec::new(), moved: false };
            // Those that came while the last ones were written.
            for _ in 0..TOGETHER {
                match job {
                    Job::Event { deployment, tenant, connection, event } => {
                        self.take(&deployment, &tenant, connection, event, &mut batch);
                    }
                    Job::Call(job) => self.records.take(job),
                    Job::Stop => {
                        goes_on = false;
                        break;
                    }
                }
                match jobs.try_recv() {
                    Ok(next) if !self.records.is_full() => job = next,
                    _ => break,
                }
            }
            self.commit(batch);
        }
        let saved = self.tenants.save_all().map_err(|error| error.to_string());
        let synced = saved.and_then(|()| self.tenants.store_mut().sync().map_err(|error| error.to_string()));
        if let Err(error) = synced {
            eprintln!("the memory of programs was not kept: {error}");
        }
    }

    /// Tidies while there is nothing to do.
    fn rest(&mut self) {
        if self.records.rest() {
            // If it fails, the next transaction tells.
            let _ = self.tenants.store_mut().sync();
        }
    }

    /// Takes an event. What the program wants done waits in `batch`, or is done at once where nothing has to be durable.
    fn take(
        &mut self,
        deployment: &Arc<Deployment>,
        tenant: &Arc<str>,
        connection: i64,
        event: Event,
        batch: &mut Batch,
    ) {
        let Some(program) = &deployment.program else { return };
        let newest = self.versions.entry(deployment.name.clone()).or_default();
        *newest = (*newest).max(deployment.version);
        match event {
            Event::Connected { peer, outbox, done } => {
                self.reconcile(deployment, tenant, batch);
                if self.open(deployment, tenant, connection, outbox) {
                    if let Some(function) = &program.connected {
                        self.event(deployment, tenant, connection, CONNECTED, batch, |instance| {
                            function.call_on(instance, (connection, peer.as_str()))
                        });
                    }
                    self.note(tenant, batch);
                }
                batch.done.push(done);
            }
            Event::Read { bytes, done } => {
                if self.connections.contains_key(&connection) {
                    self.reconcile(deployment, tenant, batch);
                    self.event(deployment, tenant, connection, READ, batch, |instance| {
                        program.read.call_on(instance, (connection, bytes.as_slice()))
                    });
                    batch.done.push(done);
                }
            }
            Event::Closed => {
                if self.close(tenant, connection) {
                    self.closed(deployment, tenant, connection, batch);
                    self.note(tenant, batch);
                }
            }
        }
    }

    /// Tells a program that a connection was closed, if it wants to know.
    fn closed(&mut self, deployment: &Arc<Deployment>, tenant: &Arc<str>, connection: i64, batch: &mut Batch) {
        if let Some(function) = deployment.program.as_ref().and_then(|program| program.closed.as_ref()) {
            self.event(deployment, tenant, connection, CLOSED, batch, |instance| {
                function.call_on(instance, (connection,))
            });
        }
    }

    /// Tells a program of connections that it knows of and that are closed: those of a process that was killed, and those whose end was
    /// undone.
    fn reconcile(&mut self, deployment: &Arc<Deployment>, tenant: &Arc<str>, batch: &mut Batch) {
        let was_undone = self.undone.remove(tenant);
        if self.open.contains_key(tenant) && !was_undone {
            return;
        }
        // What cannot be read is told by the call that follows.
        let note = self.tenants.store().note(tenant).unwrap_or_default();
        let (known, _) = note.as_chunks();
        let is_open = |connection: &i64| self.open.get(tenant).is_some_and(|open| open.contains(connection));
        let gone: Vec<i64> =
            known.iter().map(|bytes| i64::from_le_bytes(*bytes)).filter(|connection| !is_open(connection)).collect();
        for connection in &gone {
            self.closed(deployment, tenant, *connection, batch);
        }
        if !gone.is_empty() {
            self.note(tenant, batch);
        }
    }

    /// Keeps the tenant's connections, in the same transaction as its memory: a program may have to be told of them by a later process.
    fn note(&mut self, tenant: &Arc<str>, batch: &mut Batch) {
        let open = self.open.get(tenant).into_iter().flatten();
        let note = open.flat_map(|connection| connection.to_le_bytes()).collect();
        self.tenants.store_mut().set_note(tenant, note);
        batch.moved = true;
    }

    /// Takes note of a connection, unless its tenant has as many as it may have.
    fn open(&mut self, deployment: &Deployment, tenant: &Arc<str>, connection: i64, outbox: Outbox) -> bool {
        let most = deployment.config.program.as_ref().map_or(0, |program| program.connections as usize);
        let open = self.open.entry(Arc::clone(tenant)).or_default();
        if open.len() >= most {
            deployment.monitor.limited(tenant, "it has as many connections as it may have");
            outbox.close(Closing::TooMany);
            return false;
        }
        open.insert(connection);
        self.connections.insert(connection, Open { tenant: Arc::clone(tenant), outbox });
        true
    }

    /// Forgets a connection. Says whether its program knows of it.
    fn close(&mut self, tenant: &Arc<str>, connection: i64) -> bool {
        if self.connections.remove(&connection).is_none() {
            return false;
        }
        if let Some(open) = self.open.get_mut(tenant) {
            open.remove(&connection);
            if open.is_empty() {
                self.open.remove(tenant);
            }
        }
        true
    }

    /// Lets the program have an event.
    fn event(
        &mut self,
        deployment: &Arc<Deployment>,
        tenant: &Arc<str>,
        connection: i64,
        function: &'static str,
        batch: &mut Batch,
        call: impl Fn(&mut Instance) -> Result<Vec<u8>, FunctionError>,
    ) {
        let Some(program) = &deployment.program else { return };
        let began = Instant::now();
        let mut called = self.call(program, deployment, tenant, function, &call);
        // An event of an older version does not take the memory of the newer one.
        let is_newest = self.versions.get(&deployment.name).is_none_or(|newest| *newest == deployment.version);
        if let Err(TenantError::Resume(ResumeError::Image(ImageError::OtherModule { .. } | ImageError::OtherSnapshot))) =
            &called
            && is_newest
            && self.tenants.forget(tenant).is_ok()
        {
            let reason = "it kept memory of another version of its program, and begins anew";
            self.monitor.event(&MonitorEvent::Begun { guest: deployment.name.as_str(), tenant, reason });
            called = self.call(program, deployment, tenant, function, &call);
        }
        let took = began.elapsed();
        match called {
            Ok(actions) => {
                deployment.monitor.ended(&Ended { tenant, function, status: 200, took, slow: false, error: None });
                let (deployment, tenant) = (Arc::clone(deployment), Arc::clone(tenant));
                let effect = Effect { deployment, tenant, connection, function, actions };
                match is_durable(&effect.deployment) {
                    true => batch.effects.push(effect),
                    false => self.carry_out(&effect),
                }
            }
            Err(error) => {
                let (kind, message) = (kind(&error), error.to_string());
                let error = Some((kind, message.as_str()));
                deployment.monitor.ended(&Ended { tenant, function, status: 500, took, slow: false, error });
                self.fail(tenant, connection);
                if function == CONNECTED {
                    // The program does not know of it, and so is not told when it is closed.
                    self.close(tenant, connection);
                }
            }
        }
    }

    /// Calls a function of the program. A result that is no list of actions undoes the call.
    fn call(
        &mut self,
        program: &ProgramFunctions,
        deployment: &Deployment,
        tenant: &str,
        function: &str,
        call: impl Fn(&mut Instance) -> Result<Vec<u8>, FunctionError>,
    ) -> Result<Vec<u8>, Error> {
        self.tenants.call(tenant, &program.program, |instance| {
            let result = call(instance);
            deployment.monitor.log(tenant, function, instance.last_log());
            let result = result?;
            actions(&result).try_for_each(|action| action.map(drop))?;
            Ok(result)
        })
    }

    /// Closes a connection whose event was undone: its client would wait for an answer that never comes.
    fn fail(&self, tenant: &Arc<str>, connection: i64) {
        if let Some(open) = self.connections.get(&connection).filter(|open| open.tenant == *tenant) {
            open.outbox.close(Closing::Failed);
        }
    }

    /// Writes the memory of the programs to the disk, in one transaction, and then carries out what they want.
    fn commit(&mut self, batch: Batch) {
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
            self.records.end(error.as_deref().map_or(Ok(()), Err));
            match written {
                // Those that are not in memory any more went to the store before, and are on the disk with this transaction.
                Ok(saved) if saved == changed.len() || self.tenants.store().opened() == opened => {}
                Ok(_) => return self.undo(&effects, "the file was opened again"),
                Err(error) => return self.undo(&effects, &error.to_string()),
            }
        }
        effects.iter().for_each(|effect| self.carry_out(effect));
        // Who waits for it may go on now.
        drop(done);
    }

    /// Goes back to what is on the disk, as events whose memory could not be written have not happened.
    #[cold]
    fn undo(&mut self, effects: &[Effect], error: &str) {
        for Effect { deployment, tenant, connection, function, .. } in effects {
            let error = format!("the memory of the program cannot be written: {error}");
            let ended = Ended { tenant, function, status: 500, took: Duration::ZERO, slow: false, error: None };
            deployment.monitor.ended(&Ended { error: Some(("store", &error)), ..ended });
            self.tenants.discard(tenant);
            self.tenants.store_mut().unset_note(tenant);
            self.fail(tenant, *connection);
            if *function == CONNECTED {
                self.close(tenant, *connection);
            }
            self.undone.insert(Arc::clone(tenant));
        }
    }

    /// Carries out actions. Connections that are closed, and those of other tenants, are left out.
    fn carry_out(&self, effect: &Effect) {
        let Effect { deployment, tenant, actions: wanted, .. } = effect;
        let own = |connection: i64| self.connections.get(&connection).filter(|open| open.tenant == *tenant);
        for action in actions(wanted).map_while(Result::ok) {
            match action {
                Action::Write { to, bytes } => {
                    let bytes: Arc<[u8]> = bytes.into();
                    for open in to.iter().filter_map(own).filter(|_| !bytes.is_empty()) {
                        if open.outbox.write(&bytes) {
                            deployment.monitor.limited(tenant, "a client reads too slowly, and was disconnected");
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
fn is_durable(deployment: &Deployment) -> bool {
    deployment.config.program.as_ref().is_some_and(|program| program.durable)
}

fn kind(error: &Error) -> &'static str {
    match error {
        TenantError::Failed(error) => error.kind(),
        TenantError::Store(_) => "store",
        _ => "no-instance",
    }
}
