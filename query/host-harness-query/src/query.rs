//! Plans the query, runs it and writes its results.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool, UnboundedMemoryPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::StreamExt as _;
use guest_datafusion::guest_functions::FunctionError;

use crate::arguments::Arguments;
use crate::error::Error;
use crate::output::Output;
use crate::progress::Progress;
use crate::{modules, table};

/// Runs what the command line asks for.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Error::failed)?;
    let ended = runtime.block_on(async {
        tokio::select! {
            biased;
            interrupted = tokio::signal::ctrl_c() => match interrupted {
                Ok(()) => Err(Error::Interrupted),
                Err(error) => Err(Error::failed(anyhow!("the signal of Ctrl-C cannot be awaited: {error}"))),
            },
            ended = query(arguments) => ended,
        }
    });
    // A call that is computed while the query is planned ends by its time limit; nobody waits for it.
    runtime.shutdown_background();
    ended
}

async fn query(arguments: &Arguments) -> Result<(), Error> {
    let ctx = session(arguments).map_err(Error::Input)?;
    modules::register(&ctx, arguments).map_err(Error::Input)?;
    table::register(&ctx, &arguments.tables).await.map_err(Error::Input)?;
    // On a thread of its own, so that Ctrl-C is heard while it plans.
    let planning = tokio::spawn({
        let (ctx, sql) = (ctx.clone(), arguments.sql.clone());
        async move { plan(&ctx, &sql).await }
    });
    let plan = planning.await.map_err(Error::failed)?.map_err(|error| of_query(&error, Error::Input))?;
    let progress = Progress::begin(&plan, arguments.format, arguments.quiet);
    let mut output = Output::new(arguments.format, plan.schema());
    let mut batches =
        execute_stream(Arc::clone(&plan), ctx.task_ctx()).map_err(|error| of_query(&error, Error::Failed))?;
    while let Some(batch) = progress.during(batches.next()).await {
        output.write(batch.map_err(|error| of_query(&error, Error::Failed))?)?;
    }
    progress.clear();
    let returned = output.end()?;
    progress.end(returned);
    Ok(())
}

fn session(arguments: &Arguments) -> Result<SessionContext> {
    let memory: Arc<dyn MemoryPool> = match arguments.limit_memory {
        Some(bytes) => Arc::new(GreedyMemoryPool::new(bytes)),
        None => Arc::new(UnboundedMemoryPool::default()),
    };
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(memory).build_arc()?;
    let mut config = SessionConfig::new().with_information_schema(true);
    if let Some(partitions) = arguments.partitions {
        config = config.with_target_partitions(partitions.get());
    }
    Ok(SessionContext::new_with_config_rt(config, runtime))
}

async fn plan(ctx: &SessionContext, sql: &str) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
    let reads = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    ctx.sql_with_options(sql, reads).await?.create_physical_plan().await
}

/// The error of a query. One of a function is a failure of the query, also where it was computed while the query was planned.
fn of_query(error: &DataFusionError, otherwise: impl FnOnce(anyhow::Error) -> Error) -> Error {
    let text = anyhow!(error.strip_backtrace());
    match error.find_root() {
        // Its own words, without those of what it went through.
        DataFusionError::External(inner) if inner.is::<FunctionError>() => Error::Failed(anyhow!("{inner}")),
        DataFusionError::ResourcesExhausted(_) => Error::Failed(text),
        _ => otherwise(text),
    }
}
