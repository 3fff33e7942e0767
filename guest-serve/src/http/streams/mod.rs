//! Calls whose bodies are streamed: requests and responses that may be larger than the memory of their guest, and last as long as their
//! clients take.
//!
//! One thread of low priority has all of them. A guest that waits for its client has an instance and no thread, and guests that do not wait
//! have the thread in turn, for a tick of the engine's clock each.

mod body;
mod budget;
mod open;
mod pipe;
mod worker;

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use http_body_util::{Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Response};
use tokio::sync::{mpsc, oneshot};

use crate::deployment::{Deployment, Loaded};
use crate::http::Refusal;
use crate::registry::Registry;
pub use body::{Aborted, StreamBody};
use open::Open;
pub(crate) use open::Permit;
use worker::Worker;

/// The body of a response: all of it, or what a guest streams.
pub type ResponseBody = Either<Full<Bytes>, StreamBody>;

/// Where calls enter. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Entrance {
    jobs: mpsc::UnboundedSender<Job>,
    open: Arc<Open>,
}

/// A call.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) deployment: Arc<Deployment>,
    /// Its module.
    pub(crate) loaded: Arc<Loaded>,
    pub(crate) route: usize,
    pub(crate) tenant: Box<str>,
    pub(crate) method: Method,
    /// The request without its body, as the function gets it.
    pub(crate) request: Vec<u8>,
    /// The beginning of the body, as far as it has come.
    pub(crate) received: Bytes,
    pub(crate) body: Incoming,
    /// Where the head of the response is awaited.
    pub(crate) reply: Reply,
    pub(crate) permit: Permit,
}

/// Where a response is awaited, which may go on after its head.
pub(crate) type Reply = oneshot::Sender<Response<ResponseBody>>;

/// The thread. Dropping it ends the calls that run.
#[derive(Debug)]
pub struct Streams {
    entrance: Entrance,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Streams {
    /// Starts the thread, with at most `most` calls at the same time.
    ///
    /// # Errors
    /// If the system makes no thread.
    pub fn start(registry: &Registry, most: usize) -> io::Result<Self> {
        let (jobs, received) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let reader = registry.reader();
        let work = move || {
            crate::lanes::lower_priority();
            let tasks = tokio::task::LocalSet::new();
            runtime.block_on(tasks.run_until(Worker::new(reader).run(received, stopped)));
        };
        let thread = thread::Builder::new().name("streams".to_owned()).spawn(work)?;
        let entrance = Entrance { jobs, open: Arc::new(Open::new(most)) };
        Ok(Self { entrance, stop: Some(stop), thread: Some(thread) })
    }

    /// Where calls enter.
    #[must_use]
    pub fn entrance(&self) -> Entrance {
        self.entrance.clone()
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A fault in it was printed.
            let _ = thread.join();
        }
    }
}

impl Entrance {
    /// A place for a call of a tenant, if there is one. It is free again when the permit is dropped.
    pub(crate) fn permit(&self, deployment: &Deployment, tenant: &str) -> Result<Permit, Refusal> {
        self.open.permit(&deployment.name, tenant, deployment.config.limits.streams)
    }

    /// Lets a call begin.
    pub(crate) fn enter(&self, job: Job) -> Result<(), Refusal> {
        self.jobs.send(job).map_err(|_| Refusal::Stopping)
    }
}
