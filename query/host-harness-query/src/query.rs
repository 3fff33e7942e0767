//! Plans the query, runs it and writes its results.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::anyhow;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionContext;
use futures::StreamExt as _;
use guest_datafusion::guest_functions::FunctionError;

use crate::arguments::QueryArguments;
use crate::error::Error;
use crate::output::Output;
use crate::progress::{Place, Progress};

/// Runs a program's query until it ends or Ctrl-C interrupts it, reports an error, and returns the exit status: 0 fine, 1 the query failed while
/// it ran, 2 wrong input or SQL, 130 after Ctrl-C.
pub fn run(query: impl Future<Output = Result<(), Error>>) -> ExitCode {
    match run_to_end(query) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}

fn run_to_end(query: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Error::failed)?;
    let ended = runtime.block_on(async {
        tokio::select! {
            biased;
            interrupted = tokio::signal::ctrl_c() => match interrupted {
                Ok(()) => Err(Error::Interrupted),
                Err(error) => Err(Error::failed(anyhow!("the signal of Ctrl-C cannot be awaited: {error}"))),
            },
            ended = query => ended,
        }
    });
    // A call that is computed while the query is planned ends by its time limit; nobody waits for it.
    runtime.shutdown_background();
    ended
}

/// Plans the query in a session that has its tables and functions, runs it at `place`, and writes its results to standard output, its
/// progress and its rate to standard error.
///
/// # Errors
/// [`Error::Input`] if the SQL is wrong or writes, [`Error::Failed`] if the query fails, and [`Error::Unread`] if nobody reads the results.
pub async fn execute(ctx: &SessionContext, arguments: &QueryArguments, place: Place) -> Result<(), Error> {
    // On a thread of its own, so that Ctrl-C is heard while it plans.
    let planning = tokio::spawn({
        let (ctx, sql) = (ctx.clone(), arguments.sql.clone());
        async move { plan(&ctx, &sql).await }
    });
    let (plan, schema) = planning.await.map_err(Error::failed)?.map_err(|error| of_query(&error, Error::Input))?;
    let progress = Progress::begin(&plan, place, arguments.format, arguments.quiet);
    let mut output = Output::new(arguments.format, schema);
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

/// The plan of a query, and the columns of its results. A plan without rows may have lost these: Ballista's has.
async fn plan(ctx: &SessionContext, sql: &str) -> Result<(Arc<dyn ExecutionPlan>, SchemaRef), DataFusionError> {
    let reads = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let query = ctx.sql_with_options(sql, reads).await?;
    let schema = Arc::clone(query.schema().inner());
    Ok((query.create_physical_plan().await?, schema))
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
