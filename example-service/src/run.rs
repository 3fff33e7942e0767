//! The life of the process: open, serve, stop, close.

use std::io::Write as _;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::arguments::Arguments;
use crate::invoker::{CallLimits, Invoker};
use crate::metrics::ServiceMetrics;
use crate::service::Service;
use crate::store::Store;
use crate::turns::Turns;

/// Serves until the process is told to stop.
///
/// # Errors
/// An error if the guest, the store or the address cannot be used, or if requests were still running when the time for
/// stopping was over. What they had committed is in the store all the same.
pub fn run(arguments: &Arguments) -> Result<()> {
    let metrics = ServiceMetrics::default();
    let limits =
        CallLimits { instances: arguments.instances, deadline: arguments.deadline, memory: arguments.memory_limit };
    let invoker = Invoker::new(&arguments.guest, limits, &metrics)?;
    let (store, writer) = Store::open(&arguments.store, metrics.clone())
        .with_context(|| format!("cannot open the store {}", arguments.store.display()))?;
    let service = Service {
        invoker: invoker.clone(),
        store,
        turns: Turns::new(arguments.queue as usize, arguments.tenant_queue as usize),
        metrics,
        body_limit: usize::try_from(arguments.body_limit).unwrap_or(usize::MAX),
        wait: arguments.wait,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(serve(service, arguments));
    // What still runs is dropped with the runtime, and with it what it has of the store.
    runtime.shutdown_timeout(arguments.deadline);
    invoker.close();
    writer.join();
    served
}

/// Listens, and serves until a signal comes and what runs then has ended.
async fn serve(service: Service, arguments: &Arguments) -> Result<()> {
    let listener =
        TcpListener::bind(arguments.listen).await.with_context(|| format!("cannot listen on {}", arguments.listen))?;
    let address = listener.local_addr()?;
    let signal = signal()?;
    println!("listening on http://{address}");
    std::io::stdout().flush()?;

    let stopping = Arc::new(Notify::new());
    let stop = {
        let stopping = Arc::clone(&stopping);
        async move {
            signal.await;
            eprintln!("stopping: no new requests; those that run may end");
            stopping.notify_one();
        }
    };
    let serving = axum::serve(listener, service.router()).with_graceful_shutdown(stop);
    tokio::select! {
        served = serving.into_future() => {
            served?;
            eprintln!("stopped");
            Ok(())
        }
        () = async { stopping.notified().await; tokio::time::sleep(arguments.shutdown_time).await } => {
            bail!("requests were still running {:?} after the signal to stop", arguments.shutdown_time)
        }
    }
}

/// Ends when the process is told to stop.
fn signal() -> Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    Ok(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        #[cfg(not(unix))]
        drop(tokio::signal::ctrl_c().await);
    })
}
