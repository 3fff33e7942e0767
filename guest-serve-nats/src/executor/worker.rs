//! One thread: wakes a tenant, calls its program for each event, and takes what it keeps and writes.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use guest_abi::program::{Action, ActionError, CLOSED, CONNECTED, READ, actions};
use guest_functions::FunctionError;
use guest_host::{Instance, text};
use guest_serve::deployment::{Deployment, ProgramFunctions};
use guest_serve::folder::GuestName;
use guest_serve::monitor::{Ended, Event as MonitorEvent, Monitor};
use guest_tenants::{Image, Store, TenantError, Tenants, TenantsConfig};

use super::{CONNECTION, Event, Job, Sizes};
use crate::names::Tenant;
use crate::record::{Body, Output, Place, Record};

/// The address of the peer that the program gets.
const PEER: &str = "nats";

/// How long events of a tenant are applied before the record is written. Slow ones need not all be done again.
const LONGEST: Duration = Duration::from_millis(500);

/// Characters of the reason of a failure. A record has room for it beside the outputs.
const REASON: usize = 1000;

/// The image of the tenant whose events are applied.
#[derive(Debug, Default)]
struct Given(Option<Image>);

impl Store for Given {
    type Error = std::convert::Infallible;

    fn load(&mut self, _tenant: &str) -> Result<Option<Image>, Self::Error> {
        Ok(self.0.clone())
    }

    fn save(&mut self, images: &[(&str, &Image)]) -> Result<(), Self::Error> {
        // There is one tenant at a time.
        if let Some((_, image)) = images.last() {
            self.0 = Some((*image).clone());
        }
        Ok(())
    }

    fn remove(&mut self, _tenant: &str) -> Result<(), Self::Error> {
        self.0 = None;
        Ok(())
    }
}

/// Why an event was undone.
#[derive(Debug, thiserror::Error)]
enum EventError {
    #[error(transparent)]
    Call(#[from] FunctionError),
    #[error("the program's result is not a list of actions: {0}")]
    Actions(#[from] ActionError),
    #[error(
        "what the program wrote for one event takes {found} bytes of its record, {} for each message beside its bytes, and at most {most} \
         fit: write less, or raise `max_payload` of the NATS server",
        Output::OVERHEAD
    )]
    Outputs { found: usize, most: usize },
}

type Error = TenantError<std::convert::Infallible, EventError>;

/// The kind and the message of a failure.
struct Fault {
    kind: &'static str,
    message: String,
}

/// Why a call gave nothing.
enum NotCalled {
    /// It failed.
    Fault(Fault),
    /// The program begins anew, as its memory is of another version. It knows of no connection.
    Begun,
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let kind = match &error {
            TenantError::Failed(EventError::Call(FunctionError::Call(failure))) => failure.cause.kind(),
            TenantError::Failed(EventError::Call(_)) => "call",
            TenantError::Failed(EventError::Actions(_)) => "invalid-guest-data",
            TenantError::Failed(EventError::Outputs { .. }) => "outputs-too-large",
            _ => "no-instance",
        };
        Self { kind, message: error.to_string() }
    }
}

/// The actions of a program after an event.
#[derive(Debug, Default)]
struct Wants {
    writes: Vec<Vec<u8>>,
    /// Bytes that a record has for the writes.
    bytes: usize,
    closes: bool,
}

impl Wants {
    fn read(result: &[u8], most: usize) -> Result<Self, EventError> {
        let mut wants = Self::default();
        for action in actions(result) {
            match action? {
                Action::Write { to, bytes }
                    if to.iter().any(|connection| connection == CONNECTION) && !bytes.is_empty() =>
                {
                    wants.bytes += bytes.len() + Output::OVERHEAD;
                    wants.writes.push(bytes.to_vec());
                }
                Action::Close { connections } => {
                    wants.closes |= connections.iter().any(|connection| connection == CONNECTION)
                }
                _ => {}
            }
        }
        wants.within(most)
    }

    /// Itself, if the writes take no more bytes than that.
    fn within(self, most: usize) -> Result<Self, EventError> {
        match self.bytes > most {
            true => Err(EventError::Outputs { found: self.bytes, most }),
            false => Ok(self),
        }
    }
}

/// A thread that applies events.
pub(super) struct Worker {
    tenants: Tenants<Given>,
    sizes: Sizes,
    monitor: Monitor,
    /// The latest version of each guest that had an event.
    versions: HashMap<GuestName, u64>,
}

/// The state to which the events of one tenant are applied.
struct Applying<'a> {
    deployment: &'a Deployment,
    program: &'a ProgramFunctions,
    /// As the monitor has it.
    name: String,
    record: Record,
}

impl Worker {
    pub(super) fn new(instances: NonZeroUsize, sizes: Sizes, monitor: Monitor) -> Self {
        let config = TenantsConfig::default().with_instances(instances).with_asleep_bytes(0);
        Self { tenants: Tenants::new(config, Given::default()), sizes, monitor, versions: HashMap::new() }
    }

    pub(super) fn run(&mut self, Job { deployment, tenant, record, events, done }: Job) {
        let record = self.apply(&deployment, &tenant, &record, events);
        // The caller may have been stopped.
        let _ = done.send(record);
    }

    fn apply(&mut self, deployment: &Deployment, tenant: &Tenant, before: &Record, events: Vec<Event>) -> Record {
        let newest = self.versions.entry(deployment.name.clone()).or_default();
        *newest = (*newest).max(deployment.version);
        let mut record = Record { outputs: Vec::new(), ..before.clone() };
        let name = tenant.token().replacen('.', "/", 1);
        let Some(program) = &deployment.program else {
            let fault =
                || Fault { kind: "no-program", message: format!("the guest `{}` has no [program]", deployment.name) };
            let mut bytes = 0;
            for event in events {
                fail(&mut record, event, fault());
                bytes += record.outputs.last().map_or(0, Output::encoded_bytes);
                if bytes >= self.sizes.outputs {
                    break;
                }
            }
            return record;
        };
        self.tenants.store_mut().0 = record.image.clone();
        let mut applying = Applying { deployment, program, name, record };
        let (mut bytes, began) = (0, Instant::now());
        for event in events {
            let first = applying.record.outputs.len();
            self.event(&mut applying, event);
            bytes += applying.record.outputs[first..].iter().map(Output::encoded_bytes).sum::<usize>();
            if bytes >= self.sizes.outputs || began.elapsed() >= LONGEST {
                break;
            }
        }
        let image = self.image(&applying.name);
        self.tenants.discard(&applying.name);
        self.tenants.store_mut().0 = None;
        let mut record = Record { image, ..applying.record };
        if let Some(image) = &mut record.image {
            image.delta.shrink_to_fit();
        }
        record
    }

    /// Applies an event. One that fails leaves the program as it was before, and is among the outputs.
    fn event(&mut self, applying: &mut Applying<'_>, event: Event) {
        if event.id.is_some_and(|id| applying.record.recent.contains(&id)) {
            // It was applied under another sequence.
            applying.record.applied = event.sequence;
            return;
        }
        let most = applying.deployment.config.program.as_ref().map_or(0, |program| program.message);
        if event.bytes.len() > most {
            let message = format!(
                "the event has {} bytes, and the program takes {most}: see `message` in [program]",
                event.bytes.len()
            );
            return fail(&mut applying.record, event, Fault { kind: "message-too-large", message });
        }
        let mut was_open = applying.record.open;
        // A call that fails is undone. What has to be gone back to besides are memory that became too large, and the call before.
        let may_go_back = applying.deployment.config.limits.memory > self.sizes.image || !was_open;
        let mut before = may_go_back.then(|| self.image(&applying.name));
        let result = match self.connect_and_read(applying, &event.bytes) {
            Err(NotCalled::Begun) => {
                // A failure from now on restores the beginning, where no connection is known.
                (before, was_open) = (Some(None), false);
                applying.record.open = false;
                self.connect_and_read(applying, &event.bytes)
            }
            result => result,
        };
        let result = result.and_then(|wants| {
            let size = self.tenants.image(&applying.name).map_or(0, |image| image.delta.encoded_bytes());
            match size > self.sizes.image {
                false => Ok(wants),
                true => Err(NotCalled::Fault(Fault {
                    kind: "image-too-large",
                    message: format!(
                        "the program's memory takes {size} bytes, and {} fit into a message of NATS: lower `memory` in [limits], or raise \
                         `max_payload` of the NATS server",
                        self.sizes.image
                    ),
                })),
            }
        });
        match result {
            Ok(writes) => {
                let outputs = writes.into_iter().zip(0..).map(|(bytes, index)| Output {
                    place: Place { event: event.sequence, index },
                    body: Body::Written(bytes),
                });
                applying.record.outputs.extend(outputs);
                event.id.into_iter().for_each(|id| applying.record.note_id(id));
                applying.record.applied = event.sequence;
            }
            Err(not_called) => {
                if let Some(image) = before {
                    self.tenants.discard(&applying.name);
                    self.tenants.store_mut().0 = image;
                    applying.record.open = was_open;
                }
                let fault = match not_called {
                    NotCalled::Fault(fault) => fault,
                    NotCalled::Begun => {
                        Fault { kind: "no-instance", message: "the program cannot begin anew".to_owned() }
                    }
                };
                fail(&mut applying.record, event, fault);
            }
        }
    }

    /// The program's memory now.
    fn image(&self, name: &str) -> Option<Image> {
        self.tenants.image(name).or(self.tenants.store().0.as_ref()).cloned()
    }

    /// Calls the program for its connection if it does not know of it, and for bytes of it. Returns what it wrote.
    fn connect_and_read(&mut self, applying: &mut Applying<'_>, bytes: &[u8]) -> Result<Vec<Vec<u8>>, NotCalled> {
        let program = applying.program;
        let mut wants = Wants::default();
        if !applying.record.open {
            if let Some(function) = &program.connected {
                wants = self.call(applying, CONNECTED, |instance| function.call_on(instance, (CONNECTION, PEER)))?;
            }
            applying.record.open = true;
        }
        if !wants.closes {
            let read = self.call(applying, READ, |instance| program.read.call_on(instance, (CONNECTION, bytes)))?;
            wants.writes.extend(read.writes);
            wants.bytes += read.bytes;
            wants.closes = read.closes;
            wants = wants.within(self.sizes.event).map_err(|error| NotCalled::Fault(Error::Failed(error).into()))?;
        }
        if wants.closes {
            applying.record.open = false;
            if let Some(function) = &program.closed {
                // It may write to no connection any more. A call that fails is undone, and recorded.
                let _ = self.call(applying, CLOSED, |instance| function.call_on(instance, (CONNECTION,)));
            }
        }
        Ok(wants.writes)
    }

    /// Calls a function of the program, which begins anew if it has memory of another version.
    fn call(
        &mut self,
        applying: &mut Applying<'_>,
        function: &'static str,
        call: impl Fn(&mut Instance) -> Result<Vec<u8>, FunctionError>,
    ) -> Result<Wants, NotCalled> {
        let deployment = applying.deployment;
        let began = Instant::now();
        let called = self.call_once(applying, function, call);
        // An event of an older version does not take the memory of the newer one.
        let is_newest = self.versions.get(&deployment.name).is_none_or(|newest| *newest == deployment.version);
        if is_newest
            && called.as_ref().is_err_and(TenantError::is_of_other_version)
            && self.tenants.forget(&applying.name).is_ok()
        {
            let reason = "it kept memory of another version of its program, and begins anew";
            self.monitor.event(&MonitorEvent::Begun {
                guest: deployment.name.as_str(),
                tenant: &applying.name,
                reason,
            });
            return Err(NotCalled::Begun);
        }
        let (tenant, took) = (applying.name.as_str(), began.elapsed());
        let ended = Ended { tenant, function, status: 200, took, slow: false, error: None };
        match called {
            Ok(wants) => {
                deployment.monitor.ended(&ended);
                Ok(wants)
            }
            Err(error) => {
                let fault = Fault::from(error);
                deployment.monitor.ended(&Ended { status: 500, error: Some((fault.kind, &fault.message)), ..ended });
                Err(NotCalled::Fault(fault))
            }
        }
    }

    fn call_once(
        &mut self,
        applying: &Applying<'_>,
        function: &str,
        call: impl Fn(&mut Instance) -> Result<Vec<u8>, FunctionError>,
    ) -> Result<Wants, Error> {
        let most = self.sizes.event;
        self.tenants.call(&applying.name, &applying.program.program, |instance| {
            let result = call(instance);
            applying.deployment.monitor.log(&applying.name, function, instance);
            Wants::read(&result?, most)
        })
    }
}

/// Records that an event failed.
fn fail(record: &mut Record, event: Event, fault: Fault) {
    let Fault { kind, message } = fault;
    let message = text::cut(&message, REASON).into_owned();
    let place = Place { event: event.sequence, index: 0 };
    record.applied = event.sequence;
    record.outputs.push(Output { place, body: Body::Failed { kind: kind.to_owned(), message, event: event.bytes } });
}
