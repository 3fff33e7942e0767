//! The thread on which calls with streams run, each in a task of its own.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use guest_functions::FunctionError;
use guest_host::{AsyncInstance, Cause, Function, MemoryState};
use hyper::StatusCode;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_local;
use tokio::time::timeout;

use super::Job;
use super::budget::Budget;
use super::pipe::{LeftOver, Output, Pipe};
use crate::deployment::{Deployment, Loaded, RouteFunction};
use crate::http::{self, Refusal, body};
use crate::monitor::{CountedInstance, Ended};
use crate::registry::Reader;

/// How often instances of versions that are not served any more are dropped.
const TIDY: Duration = Duration::from_secs(1);

/// Instances of a version that wait for the next call, at most.
const MOST_OF_VERSION: usize = 4;

/// Instances that wait for the next call, at most.
const MOST_IDLE: usize = 256;

/// The state of the thread.
pub(super) struct Worker {
    reader: RefCell<Reader>,
    /// Instances that wait for a call, by the version of their guest.
    idle: RefCell<HashMap<u64, Vec<Held>>>,
}

/// An instance, and what belongs to it.
struct Held {
    instance: AsyncInstance,
    budget: Budget,
    deployment: Arc<Deployment>,
    loaded: Arc<Loaded>,
    count: CountedInstance,
}

impl Worker {
    pub(super) fn new(reader: Reader) -> Rc<Self> {
        Rc::new(Self { reader: RefCell::new(reader), idle: RefCell::default() })
    }

    /// Makes calls until it is stopped, which ends those that run.
    pub(super) async fn run(
        self: Rc<Self>,
        mut jobs: mpsc::UnboundedReceiver<Job>,
        mut stopped: oneshot::Receiver<()>,
    ) {
        let mut tidy = tokio::time::interval(TIDY);
        loop {
            tokio::select! {
                _ = &mut stopped => return,
                job = jobs.recv() => match job {
                    Some(job) => drop(spawn_local(Rc::clone(&self).serve(job))),
                    None => return,
                },
                _ = tidy.tick() => self.tidy(),
            }
        }
    }

    /// Drops the instances of versions that are not served any more.
    fn tidy(&self) {
        let mut reader = self.reader.borrow_mut();
        let table = reader.table();
        let is_served =
            |held: &Held| table.get(&held.deployment.name).is_some_and(|now| now.version == held.deployment.version);
        let is_current = |held: &Held| is_served(held) && held.loaded.is_kept();
        self.idle.borrow_mut().retain(|_, idle| idle.first().is_some_and(is_current));
    }

    /// Makes a call, and records its end.
    async fn serve(self: Rc<Self>, job: Job) {
        let Job { deployment, loaded, route, tenant, method, request, received, body: incoming, reply, permit } = job;
        let start = Instant::now();
        let limits = deployment.config.limits;
        let (output, left_over) = (Output::new(method, limits.response, reply), LeftOver::default());
        let called = async {
            let mut held = self.held(&deployment, loaded).await?;
            // That of the instance's module, which may be another one than that of the request.
            let RouteFunction::Stream(function) = held.loaded.functions[route] else {
                return Err(FunctionError::Closed);
            };
            let pipe = Pipe::new(received, incoming, limits, held.budget.clone(), output.clone(), left_over.clone());
            let result = held.call(function, &request, pipe, limits.deadline).await;
            deployment.monitor.log(&tenant, &deployment.config.routes[route].function, &held.instance);
            self.keep(held);
            result
        };
        // A call that is given up takes its instance with it.
        let called = match timeout(limits.total, called).await {
            Ok(called) => called.map_err(|error| output.take_refusal().unwrap_or(Refusal::Failed(error))),
            Err(_) => Err(Refusal::TotalTime { total: limits.total }),
        };
        let (ended, last) = output.end(called);
        let function = deployment.config.routes[route].function.as_str();
        let of_call = Ended { tenant: &tenant, function, status: 200, took: start.elapsed(), slow: false, error: None };
        http::record(&deployment.monitor, &of_call, ended.as_ref().map(StatusCode::as_u16));
        // A client that has the whole response finds it counted, and the place free.
        drop(permit);
        output.send_last(last).await;
        // A connection with bytes that nobody has read is reset, and the client may never see the response.
        if let Some(mut incoming) = left_over.take() {
            body::drain(&mut incoming).await;
        }
    }

    /// An instance for a call.
    async fn held(&self, deployment: &Arc<Deployment>, loaded: Arc<Loaded>) -> Result<Held, FunctionError> {
        let idle = self.idle.borrow_mut().get_mut(&deployment.version).and_then(Vec::pop);
        match idle {
            Some(held) => Ok(held),
            None => Held::new(deployment, loaded).await,
        }
    }

    /// Keeps an instance for the next call, unless there are enough.
    fn keep(&self, mut held: Held) {
        held.count.measure(held.instance.physical_pages());
        let mut idle = self.idle.borrow_mut();
        let all = idle.values().map(Vec::len).sum::<usize>();
        let of_version = idle.entry(held.deployment.version).or_default();
        if all < MOST_IDLE && of_version.len() < MOST_OF_VERSION {
            of_version.push(held);
        }
    }
}

impl Held {
    async fn new(deployment: &Arc<Deployment>, loaded: Arc<Loaded>) -> Result<Self, FunctionError> {
        let module = &loaded.module;
        let own = &module.config().instance;
        let budget = Budget::new(module.guest().engine(), deployment.config.limits.deadline);
        // Its time is counted by ticks in which it runs, as it shares the thread.
        let config = own.clone().with_deadline(None).with_supervisor(Some(budget.supervisor()));
        let instance = module.guest().instantiate_async(&config, MemoryState::new()).await?;
        let count = CountedInstance::new(&deployment.monitor, instance.physical_pages());
        Ok(Self { instance, budget, deployment: Arc::clone(deployment), loaded, count })
    }

    async fn call(
        &mut self,
        function: Function,
        request: &[u8],
        pipe: Pipe,
        deadline: Duration,
    ) -> Result<Vec<u8>, FunctionError> {
        self.budget.renew();
        let called = self.instance.call_bytes(function, request, Box::new(pipe)).await;
        Ok(called.map_err(|mut failure| {
            // Nothing but the budget interrupts a call that is not given up.
            if matches!(failure.cause, Cause::Interrupted) {
                failure.cause = Cause::DeadlineExceeded { deadline };
            }
            failure
        })?)
    }
}
