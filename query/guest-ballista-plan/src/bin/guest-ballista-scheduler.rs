//! The scheduler as a program.

use std::future;

use anyhow::Context as _;
use clap::Parser;
use guest_ballista_plan::program::ProgramOptions;
use guest_ballista_plan::scheduler::ballista_scheduler::config::{SchedulerConfig, TaskDistributionPolicy};
use guest_ballista_plan::scheduler::serve;

/// Plan queries of Ballista with functions of WebAssembly modules, and give their tasks to executors, to each in turn.
///
/// It has no WebAssembly engine: functions pass through it unread. It prints its address as soon as it accepts connections, and
/// ends on SIGTERM and Ctrl-C. Its log goes to standard error.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    /// Port to listen at; 0 is any free one.
    #[arg(long, value_name = "PORT", default_value_t = 50050)]
    port: u16,
    /// Name or address by which executors reach it. Default: the address to listen at.
    #[arg(long, value_name = "HOST")]
    external_host: Option<String>,
    /// Seconds without a sign of life after which an executor counts as lost, and its tasks are given to others; more than
    /// two heartbeats of the executors.
    #[arg(long, value_name = "SECONDS", default_value_t = 180, value_parser = clap::value_parser!(u64).range(1..))]
    executor_timeout: u64,
    #[command(flatten)]
    program: ProgramOptions,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    arguments.program.clone().run(run(arguments))
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { port, external_host, executor_timeout, program: ProgramOptions { host, .. } } = arguments;
    let config = SchedulerConfig {
        external_host: external_host.unwrap_or_else(|| host.clone()),
        bind_host: host.clone(),
        bind_port: port,
        task_distribution: TaskDistributionPolicy::RoundRobin,
        executor_timeout_seconds: executor_timeout,
        expire_dead_executor_interval_seconds: (executor_timeout / 4).clamp(1, 15),
        no_executors_grace_period_seconds: executor_timeout,
        ..SchedulerConfig::default()
    };
    let shutdown = shutdown().context("signals cannot be received")?;
    serve(config, |address| println!("listening on {address}"), shutdown)
        .await
        .with_context(|| format!("the scheduler cannot serve at {host}:{port}"))
}

/// Ready on SIGTERM and Ctrl-C.
fn shutdown() -> std::io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    Ok(async move {
        #[cfg(unix)]
        let terminated = terminate.recv();
        #[cfg(not(unix))]
        let terminated = future::pending::<()>();
        tokio::select! {
            _ = terminated => {}
            // Without a handler for it, Ctrl-C ends the process by itself.
            () = async { if tokio::signal::ctrl_c().await.is_err() { future::pending().await } } => {}
        }
    })
}
