//! An end for guests when their task is cancelled.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use ballista_core::JobId;
use ballista_core::error::BallistaError;
use ballista_core::serde::protobuf::{RuntimeStatsReport, ShuffleWritePartition, TaskColumnStats, WindowStateReport};
use ballista_executor::execution_engine::{ExecutionEngine, QueryStageExecutor};
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::prelude::SessionConfig;
use guest_ballista_plan::Calls;
use guest_datafusion::guest_functions::FunctionError;
use guest_datafusion::{Reading, WasmAggregateUdf, WasmFunction, WasmScalarUdf, WasmTableExec, WasmTableFunction};
use tokio::task::JoinHandle;

/// Executes tasks by another engine. When the scheduler cancels a task, the guests that it runs end within a tick of their engine's
/// clock. Errors of functions are passed on as their text.
///
/// Without it, they go on until they are done or reach their deadline: a task is cancelled where it waits, and a guest does not.
pub struct InterruptingEngine {
    inner: Arc<dyn ExecutionEngine>,
}

impl InterruptingEngine {
    /// Executes tasks by `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn ExecutionEngine>) -> Self {
        Self { inner }
    }
}

impl ExecutionEngine for InterruptingEngine {
    fn create_query_stage_exec(
        &self,
        job: JobId,
        stage: usize,
        task: usize,
        partitions: Vec<usize>,
        plan: Arc<dyn ExecutionPlan>,
        work_dir: &str,
        config: &SessionConfig,
    ) -> Result<Arc<dyn QueryStageExecutor>> {
        let functions = Functions::of(&plan)?;
        let inner = self.inner.create_query_stage_exec(job, stage, task, partitions, plan, work_dir, config)?;
        Ok(if functions.is_empty() { inner } else { Arc::new(InterruptingStage { inner, functions }) })
    }
}

/// The functions of modules in a plan.
#[derive(Debug, Default)]
struct Functions {
    scalars: Vec<WasmScalarUdf>,
    aggregates: Vec<WasmAggregateUdf>,
    tables: Vec<WasmTableFunction>,
}

impl Functions {
    fn of(plan: &Arc<dyn ExecutionPlan>) -> Result<Self> {
        let mut functions = Self::default();
        plan.apply(|node| {
            let Calls { scalars, aggregates } = Calls::of(node.as_ref())?;
            let scalars = scalars.iter().filter_map(|(_, function)| function.inner().downcast_ref());
            functions.scalars.extend(scalars.cloned());
            let aggregates = aggregates.iter().filter_map(|aggregate| aggregate.inner().downcast_ref());
            functions.aggregates.extend(aggregates.cloned());
            functions.tables.extend(node.downcast_ref::<WasmTableExec>().map(|node| node.function().clone()));
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(functions)
    }

    fn is_empty(&self) -> bool {
        self.scalars.is_empty() && self.aggregates.is_empty() && self.tables.is_empty()
    }

    fn begin(&self) -> Vec<Reading> {
        let scalars = self.scalars.iter().filter_map(WasmFunction::begin);
        let aggregates = self.aggregates.iter().filter_map(WasmFunction::begin);
        scalars.chain(aggregates).chain(self.tables.iter().filter_map(WasmFunction::begin)).collect()
    }
}

/// The part of a query that calls functions of modules.
#[derive(Debug)]
struct InterruptingStage {
    inner: Arc<dyn QueryStageExecutor>,
    functions: Functions,
}

impl fmt::Display for InterruptingStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.inner, f)
    }
}

#[async_trait]
impl QueryStageExecutor for InterruptingStage {
    async fn execute_query_stage(&self, task: usize, context: Arc<TaskContext>) -> Result<Vec<ShuffleWritePartition>> {
        let readings = self.functions.begin();
        let inner = Arc::clone(&self.inner);
        // A task of its own, so that this one waits and can be cancelled while a guest runs.
        let inner = tokio::spawn(async move { inner.execute_query_stage(task, context).await });
        let mut task = Task { readings, inner };
        match (&mut task.inner).await {
            Ok(result) => result.map_err(readable),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(error) => Err(DataFusionError::External(Box::new(error))),
        }
    }

    fn collect_plan_metrics(&self) -> Vec<MetricsSet> {
        self.inner.collect_plan_metrics()
    }

    fn collect_runtime_stats_reports(&self) -> Vec<RuntimeStatsReport> {
        self.inner.collect_runtime_stats_reports()
    }

    fn collect_window_state_reports(&self) -> Result<Vec<WindowStateReport>> {
        self.inner.collect_window_state_reports()
    }

    fn collect_column_stats(&self) -> Vec<TaskColumnStats> {
        self.inner.collect_column_stats()
    }
}

/// An error of a function as its text, as Ballista shows errors to clients in their debug form. Other errors stay: Ballista decides by some
/// of them whether to try again.
fn readable(error: DataFusionError) -> DataFusionError {
    match function_error(&error) {
        Some(function) => DataFusionError::Execution(function.to_string()),
        None => error,
    }
}

fn function_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e FunctionError> {
    if let Some(found) = error.downcast_ref::<FunctionError>() {
        return Some(found);
    }
    function_error(match error.downcast_ref::<BallistaError>() {
        // It does not name its source.
        Some(BallistaError::DataFusionError(inner)) => inner.as_ref(),
        _ => error.source()?,
    })
}

/// A task that runs. When it is dropped, its guests end, and so does the task.
struct Task {
    readings: Vec<Reading>,
    inner: JoinHandle<Result<Vec<ShuffleWritePartition>>>,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.readings.clear();
        self.inner.abort();
    }
}
