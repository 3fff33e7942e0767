//! The life of the process: open, serve, stop, close.

use std::io::Write as _;

use anyhow::{Context as _, Result, bail};
use tokio::net::TcpListener;

use crate::arguments::Arguments;
use crate::connections::Connections;
use crate::invoker::{CallLimits, Invoker};
use crate::metrics::ServiceMetrics;
use crate::service::Service;
use crate::store::Store;
use crate::turns::Turns;

/// Serves until a signal stops the process.
///
/// # Errors
/// An error if the guest, the store or the address cannot be used, if the store failed, or if requests were still running when
/// the time for stopping was over. Their commits are in the store all the same.
pub fn run(arguments: &Arguments) -> Result<()> {
    let metrics = ServiceMetrics::default();
    let limits = CallLimits {
        instances: arguments.instances,
        deadline: arguments.deadline,
        memory: arguments.memory_limit,
        exchange: arguments.exchange_size,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let invoker = runtime
        .block_on(Invoker::new(&arguments.guest, limits, &metrics))
        .with_context(|| format!("cannot use the guest {}", arguments.guest.display()))?;
    // Before the store, so that no file is made by a service that cannot serve.
    let listener = runtime
        .block_on(TcpListener::bind(arguments.listen))
        .with_context(|| format!("cannot listen on {}; choose another address by --listen", arguments.listen))?;
    let (store, writer) = Store::open(&arguments.store, metrics.clone())
        .with_context(|| format!("cannot open the store {}", arguments.store.display()))?;
    let service = Service {
        invoker: invoker.clone(),
        store,
        turns: Turns::new(arguments.queue as usize, arguments.tenant_queue as usize),
        metrics,
        body_limit: usize::try_from(arguments.body_limit).unwrap_or(usize::MAX),
        wait: arguments.wait(),
    };
    let served = runtime.block_on(serve(service, listener, arguments));
    // The runtime drops the requests that still run, and with them their handles of the store. Guest code is suspended with
    // each tick of the engine's clock, so this takes no longer than that.
    drop(runtime);
    invoker.close();
    writer.join();
    served
}

/// Serves until a signal comes, or until the store has failed, and the requests that run then have ended.
async fn serve(service: Service, mut listener: TcpListener, arguments: &Arguments) -> Result<()> {
    let address = listener.local_addr()?;
    let mut signals = Signals::new().context("cannot wait for signals")?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "listening on http://{address}")
        .and_then(|()| stdout.flush())
        .context("cannot write to standard output")?;

    let store = service.store.clone();
    let connections = Connections::new(service.router(), arguments.head_time, arguments.send_time);
    let failed = tokio::select! {
        never = connections.take_all(&mut listener) => match never {},
        () = signals.next() => None,
        failed = store.failed() => Some(failed),
    };
    drop(listener);
    if let Some(error) = &failed {
        eprintln!("{error}");
    }
    eprintln!("stopping: no new requests; those that run may end");
    tokio::select! {
        // Where no request runs, a second signal changes nothing.
        biased;
        () = connections.close() => {}
        () = tokio::time::sleep(arguments.shutdown_time) => {
            bail!("requests were still running {:?} after the signal to stop", arguments.shutdown_time)
        }
        () = signals.next() => bail!("requests were still running when a second signal came"),
    }
    eprintln!("stopped");
    match failed {
        // No write succeeds until the file is opened again.
        Some(error) => bail!("{error}; mend the cause, and start the service again"),
        None => Ok(()),
    }
}

/// The signals that ask the process to stop: SIGTERM and Ctrl-C.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Ends when the next of them comes.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {})
    }

    /// Ends when Ctrl-C is pressed.
    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            // There is no such signal here: the process is ended otherwise.
            std::future::pending::<()>().await;
        }
    }
}
