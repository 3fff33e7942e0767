//! The executor as a program.

use std::net::TcpListener;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use datafusion::execution::memory_pool::GreedyMemoryPool;
use guest_ballista::executor::ballista_executor::executor_process::ExecutorProcessConfig;
use guest_ballista::executor::serve;
use guest_ballista::guest_datafusion::guest_functions::guest_host::{Engine, EngineConfig, InstanceAllocation};
use guest_ballista::object_store::local::LocalFileSystem;
use guest_ballista::{ModuleStore, Most, WasmFunctions};
use guest_ballista_plan::program::ProgramOptions;

/// Execute tasks of Ballista with functions of WebAssembly modules that come with the plans.
///
/// It ends on SIGTERM and Ctrl-C when its tasks are done. Its log goes to standard error.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    /// Name or address of the scheduler.
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    scheduler_host: String,
    /// Port of the scheduler.
    #[arg(long, value_name = "PORT", default_value_t = 50050)]
    scheduler_port: u16,
    /// Name or address by which clients and other executors reach it. Default: the one that the scheduler sees.
    #[arg(long, value_name = "HOST")]
    external_host: Option<String>,
    /// Port from which results are fetched; 0 is any free one.
    #[arg(long, value_name = "PORT", default_value_t = 50051)]
    port: u16,
    /// Port at which the scheduler gives it tasks; 0 is any free one.
    #[arg(long, value_name = "PORT", default_value_t = 50052)]
    grpc_port: u16,
    /// Tasks that it executes at a time. Default: the number of processors.
    #[arg(long, value_name = "N")]
    tasks: Option<NonZeroUsize>,
    /// Seconds between heartbeats.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    heartbeat: u64,
    /// Folder for intermediate results. Default: a temporary one.
    #[arg(long, value_name = "FOLDER")]
    work_dir: Option<PathBuf>,
    /// Folder of the object store with modules that are too large for plans, which clients have as well.
    #[arg(long, value_name = "FOLDER")]
    modules: Option<PathBuf>,
    /// Most MiB of linear memory for an instance, whatever a client asks for.
    #[arg(long, value_name = "MIB", default_value_t = 4096, value_parser = clap::value_parser!(u64).range(1..=4096))]
    instance_memory: u64,
    /// Most MiB for all instances together.
    #[arg(long, value_name = "MIB", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..))]
    guest_memory: u32,
    /// Most milliseconds for a call, which is one for a batch, whatever a client asks for.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 60_000, value_parser = clap::value_parser!(u64).range(1..))]
    deadline: u64,
    /// Most rows for a call of a table function.
    #[arg(long, value_name = "ROWS", default_value_t = Most::default().table_rows)]
    table_rows: usize,
    /// MiB for sorting, joining and grouping. Default: most of the machine's memory.
    #[arg(long, value_name = "MIB")]
    query_memory: Option<u32>,
    #[command(flatten)]
    program: ProgramOptions,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    arguments.program.clone().run(run(arguments))
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    const MIB: u64 = 1 << 20;
    let bytes = |mib: u32| u64::from(mib) * MIB;
    let mut store = ModuleStore::default();
    if let Some(folder) = &arguments.modules {
        let objects = LocalFileSystem::new_with_prefix(folder);
        let objects = objects.with_context(|| format!("{} is no folder for modules", folder.display()))?;
        store = store.with_object_store(Arc::new(objects));
    }
    let engine = Engine::new(&EngineConfig::default().with_allocation(InstanceAllocation::OnDemand))?;
    let guest_memory = usize::try_from(bytes(arguments.guest_memory)).unwrap_or(usize::MAX);
    let most = Most::default()
        .with_memory_limit(arguments.instance_memory * MIB)
        .with_deadline(Duration::from_millis(arguments.deadline))
        .with_table_rows(arguments.table_rows);
    let functions = WasmFunctions::new(&engine, store)
        .with_most(most)
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(guest_memory)));

    // Removed with the process.
    let temporary =
        tempfile::tempdir().context("no temporary folder for intermediate results; give one by --work-dir")?;
    let work_dir = arguments.work_dir.unwrap_or_else(|| temporary.path().to_owned());
    let host = arguments.program.host.as_str();
    let mut config = ExecutorProcessConfig {
        bind_host: host.to_owned(),
        external_host: arguments.external_host,
        scheduler_host: arguments.scheduler_host,
        scheduler_port: arguments.scheduler_port,
        scheduler_connect_timeout_seconds: 30,
        executor_heartbeat_interval_seconds: arguments.heartbeat,
        work_dir: Some(work_dir.display().to_string()),
        memory_pool_size: arguments.query_memory.map(bytes),
        ..ExecutorProcessConfig::default()
    };
    (config.port, config.grpc_port) = ports(host, arguments.port, arguments.grpc_port)?;
    if let Some(tasks) = arguments.tasks {
        config.vcores = tasks.get();
    }
    println!("results at {host}:{}, tasks at {host}:{}", config.port, config.grpc_port);
    Ok(serve(config, &functions).await?)
}

/// The ports, with free ones in place of 0. Both are found before either is given back, so they differ.
fn ports(host: &str, port: u16, grpc_port: u16) -> anyhow::Result<(u16, u16)> {
    let free = |port: u16| {
        let listener = TcpListener::bind((host, port));
        listener.with_context(|| format!("the port {port} of {host} cannot be used; choose another one, or 0 for any"))
    };
    let listeners = (free(port)?, free(grpc_port)?);
    Ok((listeners.0.local_addr()?.port(), listeners.1.local_addr()?.port()))
}
