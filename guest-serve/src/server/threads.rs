//! The threads that serve requests of clients.

use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use guest_host::{EngineConfig, InstanceAllocation, text};
use tokio::sync::mpsc;

use super::connections::{Connections, Shared, Times};
use crate::error::ServeError;
use crate::http::streams::Streams;
use crate::http::{CallOptions, Calls, Handler, SlowLane};
use crate::lanes::{Lane, SlowCall, SlowOptions};
use crate::programs::{Common, Entrance};
use crate::rate::Rate;
use crate::registry::Registry;
use crate::room::Room;

/// Options of the threads.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Requests")]
pub struct ThreadOptions {
    /// Threads that take requests and make fast calls [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: Option<u32>,

    /// Threads of low priority for calls that take longer than --slice, and as many for events of programs [default: half as
    /// many as --threads, at least 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub slow_threads: Option<u32>,

    /// How long a call may hold up other requests of its thread. A call that takes longer is ended and made again from its
    /// beginning on a slow thread, where it may take as long as its guest.toml says.
    #[arg(long, value_name = "TIME", default_value = "2ms", value_parser = text::duration)]
    pub slice: Duration,

    /// Instances that each thread keeps at most, one of each guest [default: 256, or fewer, so that all threads have 4096]
    ///
    /// Those that were not called for longest are dropped beyond that, and made again for the next call. 0 makes an
    /// instance for each call.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub instances: Option<u32>,

    /// Memory that modules may take. Those that were not called for longest are dropped beyond that, and loaded again from
    /// FOLDER/.serve for the next call
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = text::size)]
    pub module_memory: u64,

    /// Calls that wait for a slow thread at most; a quarter of them may be of one guest. Further ones get status 503.
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..))]
    pub slow_waiting: u32,

    /// Calls with `stream = true` at the same time at most. Further ones get status 503.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub streams: u32,

    /// How long a call may wait for a slow thread, and for its processor, beside the deadline of guest.toml. Then it gets
    /// status 503.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = text::duration)]
    pub wait: Duration,

    /// Connections that may be open at the same time, those of programs over TCP among them, as far as the system's limit of open
    /// files lets it. Further ones wait.
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..))]
    pub connections: u32,

    /// Tenants whose rate of calls is remembered at most.
    #[arg(long, value_name = "N", default_value_t = 65_536, value_parser = clap::value_parser!(u32).range(64..))]
    pub tenants: u32,

    /// How long a connection may take for the head of a request, and how long it may be idle. It is closed then.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = text::duration)]
    pub head_time: Duration,

    /// How long a request's body may take. It gets status 408 then.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = text::duration)]
    pub body_time: Duration,

    /// How long a client may read nothing of a response. The connection is closed then.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = text::duration)]
    pub send_time: Duration,
}

/// Instances of all threads, and of each, by default. Each needs some of the areas of memory of which the system gives a
/// process a limited number, 65,530 on Linux, and some gigabytes of addresses.
const ALL_INSTANCES: usize = 4096;
const MOST_INSTANCES: usize = 256;

/// Threads that serve requests until they are stopped. Dropping it ends them, with the requests that run.
#[derive(Debug)]
pub struct Threads {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    /// Ends after the threads that wait for it.
    _slow: Option<Lane<SlowCall>>,
    _streams: Option<Streams>,
}

impl ThreadOptions {
    /// The engine that the threads need: how memory of instances is allocated, and how exact deadlines are.
    #[must_use]
    pub fn engine(&self) -> EngineConfig {
        // A slice is exact to a tick. A quarter of it is exact enough, and less often than that is cheaper.
        let tick = (self.slice / 4).clamp(Duration::from_micros(500), Duration::from_millis(10));
        // Instances live long, and how many there are nobody knows before.
        EngineConfig::default().with_allocation(InstanceAllocation::OnDemand).with_tick(tick)
    }

    /// The slow lane, of functions or of programs.
    pub(crate) fn slow_lane(&self) -> SlowOptions {
        let fast = self.fast_threads();
        let threads = self.slow_threads.map_or(fast / 2, |threads| threads as usize).max(1);
        let instances = self.instances.map_or_else(
            || (ALL_INSTANCES / (fast + threads)).clamp(1, MOST_INSTANCES),
            |instances| instances as usize,
        );
        let waiting = self.slow_waiting as usize;
        SlowOptions { threads, waiting, instances, slice: self.slice, longer: self.wait }
    }

    /// What programs have in common with requests.
    #[must_use]
    pub fn common(&self) -> Common {
        Common { slow: self.slow_lane(), send: self.send_time, connections: self.connections }
    }

    /// How many threads take requests.
    fn fast_threads(&self) -> usize {
        self.threads.map_or_else(|| thread::available_parallelism().map_or(1, usize::from), |threads| threads as usize)
    }
}

impl Threads {
    /// Starts threads that take connections of `listener` and serve the guests of `registry`.
    ///
    /// # Errors
    /// [`ServeError::System`] if no thread can be made.
    pub fn start(listener: TcpListener, registry: &Registry, options: &ThreadOptions) -> Result<Self, ServeError> {
        Self::start_beside(listener, registry, Rate::new(options.tenants as usize), None, options)
    }

    /// The same beside the threads of programs, whose WebSockets come here. Both know the rates of tenants by `rate`.
    ///
    /// # Errors
    /// As for [`Threads::start`].
    pub fn start_beside(
        listener: TcpListener,
        registry: &Registry,
        rate: Rate,
        programs: Option<Entrance>,
        options: &ThreadOptions,
    ) -> Result<Self, ServeError> {
        let lane = options.slow_lane();
        let slow = SlowCall::lane(registry, &lane).map_err(no_thread)?;
        let room =
            programs.as_ref().map_or_else(|| Room::new(options.connections), |programs| Arc::clone(programs.room()));
        let streams = Streams::start(registry, options.streams as usize).map_err(no_thread)?;
        let calls = CallOptions {
            registry: registry.clone(),
            rate,
            slow: SlowLane { entrance: slow.entrance(), wait: options.wait },
            streams: streams.entrance(),
            slice: options.slice,
            instances: lane.instances,
            body_time: options.body_time,
            programs,
        };
        let mut threads = Self::start_in(room, listener, options, move || Calls::new(calls.clone()))?;
        threads._slow = Some(slow);
        threads._streams = Some(streams);
        Ok(threads)
    }

    /// Starts threads whose requests are answered by what `make` makes for each thread.
    ///
    /// # Errors
    /// As for [`Threads::start`].
    pub fn start_with<H: Handler>(
        listener: TcpListener,
        options: &ThreadOptions,
        make: impl Fn() -> H + Send + Sync + 'static,
    ) -> Result<Self, ServeError> {
        Self::start_in(Room::new(options.connections), listener, options, make)
    }

    fn start_in<H: Handler>(
        room: Arc<Room>,
        listener: TcpListener,
        options: &ThreadOptions,
        make: impl Fn() -> H + Send + Sync + 'static,
    ) -> Result<Self, ServeError> {
        let count = options.fast_threads();
        listener.set_nonblocking(true).map_err(no_thread)?;
        let times = Times { head: options.head_time, send: options.send_time };
        let most = (options.connections as usize).div_ceil(count);
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..count).map(|_| mpsc::unbounded_channel()).unzip();
        let shared = Arc::new(Shared::new(senders, room));
        // The threads that there are end with it if there is none for the next.
        let mut threads = Self { shared: Arc::clone(&shared), threads: Vec::new(), _slow: None, _streams: None };
        let make = Arc::new(make);
        for (number, handed) in receivers.into_iter().enumerate() {
            let listener = listener.try_clone().map_err(no_thread)?;
            // Made here, where an error can be reported.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(no_thread)?;
            let (shared, make) = (Arc::clone(&shared), Arc::clone(&make));
            let serve = move || {
                let connections = Connections::new(number, shared, times, most, Rc::new(make()));
                runtime.block_on(tokio::task::LocalSet::new().run_until(connections.serve(listener, handed)));
            };
            let thread = thread::Builder::new().name(format!("requests-{number}")).spawn(serve).map_err(no_thread)?;
            threads.threads.push(thread);
        }
        Ok(threads)
    }

    /// Takes no more connections, and closes those without a request. Requests that run go on.
    pub fn close(&self) {
        self.shared.close();
    }

    /// Waits until no request runs, at most so long, and says whether none does. [`Threads::close`] comes before.
    #[must_use]
    pub fn wait(&self, longest: Duration) -> bool {
        self.shared.wait(longest)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.shared.stop();
        for thread in self.threads.drain(..) {
            // It has nothing to say; a fault in it was printed.
            let _ = thread.join();
        }
    }
}

fn no_thread(source: io::Error) -> ServeError {
    ServeError::System { what: "start the threads that serve requests", source }
}
