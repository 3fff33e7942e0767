//! A thread that runs programs, one event after the other.

use std::collections::HashMap;
use std::sync::{Arc, mpsc};
use std::time::Instant;

use guest_abi::program::{Action, ActionError, CLOSED, CONNECTED, READ, actions};
use guest_functions::{Function, FunctionError};
use guest_host::guest_image::ImageError;
use guest_host::{Instance, ResumeError};
use guest_tenants::{RedbStore, RedbStoreError, TenantError, Tenants, TenantsConfig};
use tokio::sync::oneshot;

use super::outbox::{Closing, Outbox};
use crate::deployment::{Deployment, ProgramFunctions};
use crate::monitor::{Ended, Event as MonitorEvent, Monitor};

/// Work for the thread.
#[derive(Debug)]
pub(super) enum Job {
    /// An event of a connection.
    Event {
        deployment: Arc<Deployment>,
        tenant: Arc<str>,
        connection: i64,
        event: Event,
    },
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
    },
    /// Bytes have arrived.
    Read {
        bytes: Vec<u8>,
        /// Is dropped when the program has had them, so that the next may be read.
        _done: oneshot::Sender<()>,
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

/// A thread that runs programs.
#[derive(Debug)]
pub(super) struct Worker {
    tenants: Tenants<RedbStore>,
    monitor: Monitor,
    connections: HashMap<i64, Open>,
    /// How many each tenant has.
    open: HashMap<Arc<str>, u32>,
}

impl Worker {
    pub(super) fn new(config: TenantsConfig, store: RedbStore, monitor: Monitor) -> Self {
        Self { tenants: Tenants::new(config, store), monitor, connections: HashMap::new(), open: HashMap::new() }
    }

    /// Runs events until it is stopped.
    pub(super) fn run(mut self, jobs: &mpsc::Receiver<Job>) {
        while let Ok(Job::Event { deployment, tenant, connection, event }) = jobs.recv() {
            let Some(program) = &deployment.program else { continue };
            match event {
                Event::Connected { peer, outbox } => {
                    if self.open(&deployment, &tenant, connection, outbox)
                        && let Some(function) = &program.connected
                    {
                        self.event(&deployment, &tenant, connection, CONNECTED, |instance| {
                            function.call_on(instance, (connection, peer.as_str()))
                        });
                    }
                }
                Event::Read { bytes, _done } => {
                    if self.connections.contains_key(&connection) {
                        let read = |instance: &mut Instance| program.read.call_on(instance, (connection, bytes.as_slice()));
                        self.event(&deployment, &tenant, connection, READ, read);
                    }
                }
                Event::Closed => {
                    if self.close(&tenant, connection)
                        && let Some(function) = &program.closed
                    {
                        self.event(&deployment, &tenant, connection, CLOSED, |instance| closed(function, instance, connection));
                    }
                }
            }
        }
        let saved = self.tenants.save_all().map_err(|error| error.to_string());
        let synced = saved.and_then(|()| self.tenants.store_mut().sync().map_err(|error| error.to_string()));
        if let Err(error) = synced {
            eprintln!("the memory of programs was not kept: {error}");
        }
    }

    /// Takes note of a connection, unless its tenant has as many as it may have.
    fn open(&mut self, deployment: &Deployment, tenant: &Arc<str>, connection: i64, outbox: Outbox) -> bool {
        let most = deployment.config.program.as_ref().map_or(0, |program| program.connections);
        let open = self.open.entry(Arc::clone(tenant)).or_default();
        if *open >= most {
            deployment.monitor.limited(tenant, "it has as many connections as it may have");
            outbox.close(Closing::TooMany);
            return false;
        }
        *open += 1;
        self.connections.insert(connection, Open { tenant: Arc::clone(tenant), outbox });
        true
    }

    /// Forgets a connection. Says whether its program knows of it.
    fn close(&mut self, tenant: &Arc<str>, connection: i64) -> bool {
        if self.connections.remove(&connection).is_none() {
            return false;
        }
        if let Some(open) = self.open.get_mut(tenant) {
            *open -= 1;
            if *open == 0 {
                self.open.remove(tenant);
            }
        }
        true
    }

    /// Lets the program have an event, and carries out what it wants.
    fn event(
        &mut self,
        deployment: &Arc<Deployment>,
        tenant: &Arc<str>,
        connection: i64,
        function: &'static str,
        call: impl Fn(&mut Instance) -> Result<Vec<u8>, FunctionError>,
    ) {
        let Some(program) = &deployment.program else { return };
        let began = Instant::now();
        let mut called = self.call(program, deployment, tenant, function, &call);
        if let Err(TenantError::Resume(ResumeError::Image(ImageError::OtherModule { .. } | ImageError::OtherSnapshot))) = &called
            && self.tenants.forget(tenant).is_ok()
        {
            let reason = "it kept memory of another version of its program, and begins anew";
            self.monitor.event(&MonitorEvent::Begun { guest: deployment.name.as_str(), tenant, reason });
            called = self.call(program, deployment, tenant, function, &call);
        }
        let took = began.elapsed();
        match called {
            Ok(result) => {
                deployment.monitor.ended(&Ended { tenant, function, status: 200, took, slow: false, error: None });
                self.carry_out(deployment, tenant, &result);
            }
            Err(error) => {
                let (kind, message) = (kind(&error), error.to_string());
                let error = Some((kind, message.as_str()));
                deployment.monitor.ended(&Ended { tenant, function, status: 500, took, slow: false, error });
                // Its client would wait for an answer that never comes.
                if let Some(open) = self.connections.get(&connection) {
                    open.outbox.close(Closing::Failed);
                }
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

    /// Carries out actions. Connections that are closed, and those of other tenants, are left out.
    fn carry_out(&self, deployment: &Deployment, tenant: &Arc<str>, result: &[u8]) {
        let own = |connection: i64| self.connections.get(&connection).filter(|open| open.tenant == *tenant);
        for action in actions(result).map_while(Result::ok) {
            match action {
                Action::Write { to, bytes } => {
                    let bytes: Arc<[u8]> = bytes.into();
                    for open in to.iter().filter_map(own).filter(|_| !bytes.is_empty()) {
                        if !open.outbox.write(&bytes) {
                            deployment.monitor.limited(tenant, "a client reads too slowly, and was disconnected");
                            open.outbox.close(Closing::TooSlow);
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

fn closed(function: &Function, instance: &mut Instance, connection: i64) -> Result<Vec<u8>, FunctionError> {
    function.call_on(instance, (connection,))
}

fn kind(error: &Error) -> &'static str {
    match error {
        TenantError::Failed(error) => error.kind(),
        TenantError::Store(_) => "store",
        _ => "no-instance",
    }
}
