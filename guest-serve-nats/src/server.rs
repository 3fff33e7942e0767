//! The life of the process: read the folder, connect, take part, stop.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use guest_host::{CompileCache, Engine, EngineConfig, InstanceAllocation, text};
use guest_serve::admin::{Admin, Connections, Token};
use guest_serve::catalog::{Catalog, Look};
use guest_serve::deployment::Loader;
use guest_serve::error::ServeError;
use guest_serve::folder::GuestFolder;
use guest_serve::http::SlowLane;
use guest_serve::lanes::{SlowCall, SlowOptions};
use guest_serve::monitor::Monitor;
use guest_serve::rate::Rate;
use guest_serve::registry::Registry;
use guest_serve::server::signals::Signals;
use guest_serve::server::watching::Watching;
use guest_serve::server::{self, Stopped};
use tokio::sync::watch;

use crate::applier::Applier;
use crate::calls::Calls;
use crate::connect::{Nats, NatsOptions, StreamOptions, shown};
use crate::error::NatsError;
use crate::executor::{Executor, Sizes};
use crate::keeper::Keeper;
use crate::lease::Lease;
use crate::outputs::Outputs;
use crate::partition::Shared;
use crate::versions::Versions;

/// Compiled code, in the process's own folder.
const CODE: &str = "code";

/// Calls of functions that wait for a thread, at most.
const WAITING: usize = 4096;

/// How long a call may wait for a thread, beside its deadline.
const WAIT: Duration = Duration::from_secs(10);

/// Tenants whose rate of calls is remembered, at most.
const TENANTS: usize = 65_536;

/// How exact deadlines are.
const TICK: Duration = Duration::from_millis(2);

/// The folder whose programs are served, and how.
#[derive(Debug, Clone, clap::Args)]
#[non_exhaustive]
pub struct Options {
    /// The folder of the guests.
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
    /// The process's own folder: logs, events and compiled code. Each process needs another one [default: FOLDER/.serve]
    #[arg(long, value_name = "FOLDER")]
    pub own: Option<PathBuf>,
    /// Address and port of an administration of this process: the page, the API and the metrics of `host-harness serve` [default:
    /// none]
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Option<SocketAddr>,
    /// Bytes of the log that is kept of each guest, and of the events, at least 4KiB.
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = server::log_size)]
    pub log_size: u64,
    /// How long events that have begun may go on after SIGTERM or Ctrl-C. A second signal ends them at once.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = text::duration)]
    pub shutdown_time: Duration,
    /// Which NATS, and where there.
    #[command(flatten)]
    pub nats: NatsOptions,
    /// How this process takes part.
    #[command(flatten)]
    pub part: PartOptions,
    /// How the streams are made.
    #[command(flatten)]
    pub streams: StreamOptions,
}

/// How a process takes part.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Programs")]
#[non_exhaustive]
pub struct PartOptions {
    /// After which time without a sign of this process others take its partitions.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = lease)]
    pub lease: Duration,
    /// Threads that run programs [default: as many as there are processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub program_threads: Option<u32>,
    /// Instances that each of these threads keeps.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub program_instances: u32,
    /// Memory of records that need not be read from NATS again.
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = text::size)]
    pub cache_memory: u64,
}

/// Reads the time of a lease.
fn lease(word: &str) -> Result<Duration, String> {
    let time = text::duration(word)?;
    match (Duration::from_millis(500)..=Duration::from_secs(600)).contains(&time) {
        true => Ok(time),
        false => Err(format!("`{word}` is no time for a lease; give from 500ms to 10min")),
    }
}

/// Serves until a signal stops the process.
///
/// # Errors
/// [`NatsError`] if NATS, the folder or something of the system cannot be used. Errors of guests keep nothing from being
/// served, and neither does a NATS server that is away later.
pub fn run(options: &Options) -> Result<Stopped, NatsError> {
    let system = |what| move |source| ServeError::System { what, source };
    let folder = GuestFolder::open(&options.folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(system("start the threads of the connection"))?;
    // Before anything is written, so that a process that cannot serve leaves nothing.
    let listener = options.admin.map(|address| server::listen(address, "--admin")).transpose()?;
    let label = format!("process {}", std::process::id());
    let nats = runtime.block_on(Nats::connect(&options.nats, &label))?;
    let own = options.own.clone().unwrap_or_else(|| folder.own());
    server::make_private(&own)?;
    let _lock = server::lock(&own, &own)?;
    let engine = EngineConfig::default().with_allocation(InstanceAllocation::OnDemand).with_tick(TICK);
    let engine = engine.with_compile_cache(CompileCache::Folder(own.join(CODE)));
    let engine = Engine::new(&engine).map_err(ServeError::from)?;
    let (monitor, writer) = Monitor::start(&own, options.log_size)?;
    let registry = Registry::default();
    let catalog = Catalog::new(folder, Loader::new(engine, monitor.clone()), registry.clone(), monitor.clone());
    catalog.look(Look::AtOnce);

    let streams = runtime.block_on(nats.streams(&options.streams))?;
    let part = &options.part;
    let threads = part.program_threads.and_then(|threads| NonZeroUsize::new(threads as usize));
    let threads = threads.or_else(|| thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
    let instances = NonZeroUsize::new(part.program_instances as usize).unwrap_or(NonZeroUsize::MIN);
    let executor = Executor::start(threads, instances, Sizes::of(nats.message_size()), &monitor)?;
    let outputs = Outputs::new(nats.context.clone(), streams.outputs.clone(), nats.prefix.clone());
    let cache = usize::try_from(part.cache_memory).unwrap_or(usize::MAX);
    let versions = Versions::new(streams.owners.clone());
    let slow = SlowOptions {
        threads: threads.get(),
        waiting: WAITING,
        instances: part.program_instances as usize,
        slice: TICK,
        longer: WAIT,
    };
    let functions = SlowCall::lane(&registry, &slow).map_err(system("start the threads of functions"))?;
    let calls = Calls {
        nats: nats.clone(),
        registry: registry.clone(),
        slow: SlowLane { entrance: functions.entrance(), wait: WAIT },
        rate: Rate::new(TENANTS),
    };
    let applier = Applier::new(streams.tenants.clone(), outputs, executor, registry, versions, cache);
    let watching = Watching::start(&catalog)?;
    let url = shown(&options.nats.url);
    let mut text = format!("serving {} of {url} over {} partitions\n", nats.prefix, streams.partitions);
    let administration = match listener {
        None => None,
        Some(listener) => {
            let file = own.join(server::TOKEN);
            let token = Token::of_file(&file)?;
            let address = listener.local_addr().map_err(system("start the administration"))?;
            text += &format!("administration on http://{address}, token in {}\n", file.display());
            Some(Administration { listener, catalog, token })
        }
    };
    server::say(text.as_bytes())?;
    let shared = Arc::new(Shared { nats, streams, applier, lease: Lease::default() });
    let keeper = Keeper::new(shared, part.lease, label);
    let run = |stop: watch::Receiver<bool>| async move {
        let (answered, ()) = tokio::join!(calls.run(stop.clone()), keeper.run(stop));
        if let Err(error) = answered {
            eprintln!("requests for functions are not answered: {error}");
        }
    };
    let stopped =
        runtime.block_on(serve(run, administration, options.shutdown_time)).map_err(system("wait for signals"));
    watching.stop();
    // An operation that was given up may still have a thread.
    runtime.shutdown_background();
    writer.close();
    Ok(stopped?)
}

/// The administration of the process.
struct Administration {
    listener: TcpListener,
    catalog: Catalog,
    token: Token,
}

impl Administration {
    /// Takes connections, until this is dropped.
    async fn run(self, stopping: watch::Receiver<bool>) -> io::Result<Infallible> {
        self.listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let connections = Connections::new(Admin::new(self.catalog, self.token, stopping).router());
        Ok(connections.take_all(listener).await)
    }
}

/// Takes part until a signal comes, and stops.
async fn serve<F>(
    run: impl FnOnce(watch::Receiver<bool>) -> F,
    administration: Option<Administration>,
    shutdown_time: Duration,
) -> io::Result<Stopped>
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut signals = Signals::new()?;
    let (stop, stopping) = watch::channel(false);
    let mut taking_part = tokio::spawn(run(stopping.clone()));
    let administration = async {
        match administration {
            Some(administration) => administration.run(stopping).await,
            None => pending().await,
        }
    };
    tokio::select! {
        failed = administration => match failed? {},
        () = signals.next() => {}
        // It ends when it is stopped; a fault was printed.
        _ = &mut taking_part => return Ok(Stopped::Forced("the process does not take part any more")),
    }
    eprintln!("stopping: no new events; those that have begun may end");
    stop.send_replace(true);
    Ok(tokio::select! {
        biased;
        _ = taking_part => {
            eprintln!("stopped");
            Stopped::InOrder
        }
        () = tokio::time::sleep(shutdown_time) => {
            Stopped::Forced("events were still running when the time for stopping was over")
        }
        () = signals.next() => Stopped::Forced("events were still running when a second signal came"),
    })
}
