//! Plans with functions: instances for each of them, and an end for guests when nobody reads the results any more.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::Session;
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{AggregateUDF, Expr, LogicalPlan, ScalarUDF, WindowFunctionDefinition};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::{EvaluationType, SchedulingType};
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties as _, Partitioning, PlanProperties,
};
use futures::{Stream, StreamExt as _};
use guest_functions::FunctionError;

use crate::aggregate::WasmAggregateUdf;
use crate::query::{Instances, Query, Reading};
use crate::scalar::WasmScalarUdf;

/// Batches of results that wait to be read.
const WAITING: usize = 2;

/// Plans queries by another planner, and gives each plan that calls functions instances of its own.
///
/// The instances are charged to the memory pool of the session's runtime environment and dropped with the plan. The plan's
/// results are those of one partition, which tasks of the current tokio runtime compute. When the stream of results is dropped, the guests
/// that run end within a tick of their engine's clock.
///
/// [`WasmModules::of`](crate::WasmModules::of) puts it into a session.
#[derive(Debug)]
pub struct WasmQueryPlanner {
    inner: Arc<dyn QueryPlanner + Send + Sync>,
}

impl WasmQueryPlanner {
    /// Plans by `inner`, for instance the planner that the session has.
    #[must_use]
    pub fn new(inner: Arc<dyn QueryPlanner + Send + Sync>) -> Self {
        Self { inner }
    }

    /// Whether a planner is one of these.
    pub(crate) fn is(planner: &(dyn QueryPlanner + Send + Sync)) -> bool {
        (planner as &dyn Any).is::<Self>()
    }
}

#[async_trait]
impl QueryPlanner for WasmQueryPlanner {
    async fn create_physical_plan(
        &self,
        logical_plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let query = Query::new(Arc::clone(&session.runtime_env().memory_pool));
        let mut instances = Instances::new(Arc::clone(&query));
        let bound = bind(logical_plan, &mut instances)?;
        let plan = self.inner.create_physical_plan(&bound, session).await?;
        Ok(if instances.is_empty() { plan } else { Arc::new(WasmQueryExec::new(plan, query)) })
    }
}

/// The plan with all its functions on instances of the query. Columns keep their names: those of an aggregate's `FILTER` are made of
/// the names of its functions, which change.
fn bind(plan: &LogicalPlan, instances: &mut Instances) -> Result<LogicalPlan> {
    let mut bind = |mut expr: Expr| {
        let bound = match &mut expr {
            Expr::ScalarFunction(call) => bind_scalar(&mut call.func, instances),
            Expr::AggregateFunction(call) => bind_aggregate(&mut call.func, instances),
            Expr::WindowFunction(call) => match &mut call.fun {
                WindowFunctionDefinition::AggregateUDF(func) => bind_aggregate(func, instances),
                WindowFunctionDefinition::WindowUDF(_) => Ok(false),
            },
            _ => Ok(false),
        };
        match bound.map_err(|error| DataFusionError::External(Box::new(error)))? {
            true => Ok(Transformed::yes(expr)),
            false => Ok(Transformed::no(expr)),
        }
    };
    let bound = plan.clone().transform_down_with_subqueries(|node| {
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(expr.transform_up(&mut bind)?.update_data(|expr| name.restore(expr)))
        })
    });
    Ok(bound?.data)
}

/// Gives a function instances of the query, if it is of a module and has none yet. Returns whether it is.
fn bind_scalar(func: &mut Arc<ScalarUDF>, instances: &mut Instances) -> Result<bool, FunctionError> {
    let Some(udf) = func.inner().downcast_ref::<WasmScalarUdf>().filter(|udf| !udf.is_bound()) else {
        return Ok(false);
    };
    *func = Arc::new(ScalarUDF::new_from_impl(udf.bind(instances)?));
    Ok(true)
}

/// The same for an aggregate.
fn bind_aggregate(func: &mut Arc<AggregateUDF>, instances: &mut Instances) -> Result<bool, FunctionError> {
    let Some(udf) = func.inner().downcast_ref::<WasmAggregateUdf>().filter(|udf| !udf.is_bound()) else {
        return Ok(false);
    };
    *func = Arc::new(AggregateUDF::new_from_impl(udf.bind(instances)?));
    Ok(true)
}

/// The root of a plan that calls functions: its input's partitions in one, computed by tasks of their own, so that whoever reads
/// them is never inside a guest.
#[derive(Debug)]
struct WasmQueryExec {
    input: Arc<dyn ExecutionPlan>,
    query: Arc<Query>,
    properties: Arc<PlanProperties>,
}

impl WasmQueryExec {
    fn new(input: Arc<dyn ExecutionPlan>, query: Arc<Query>) -> Self {
        let mut equivalences = input.equivalence_properties().clone();
        if input.output_partitioning().partition_count() > 1 {
            equivalences.clear_orderings();
            equivalences.clear_per_partition_constants();
        }
        let partitioning = Partitioning::UnknownPartitioning(1);
        let properties =
            PlanProperties::new(equivalences, partitioning, input.pipeline_behavior(), input.boundedness())
                .with_evaluation_type(EvaluationType::Eager)
                .with_scheduling_type(SchedulingType::Cooperative);
        Self { input, query, properties: Arc::new(properties) }
    }
}

impl DisplayAs for WasmQueryExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WasmQueryExec")
    }
}

impl ExecutionPlan for WasmQueryExec {
    fn name(&self) -> &'static str {
        "WasmQueryExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![self.input.output_partitioning().partition_count() <= 1]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.is_empty()) {
            (Some(input), true) => Ok(Arc::new(Self::new(input, Arc::clone(&self.query)))),
            _ => internal_err!("WasmQueryExec has one child"),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("WasmQueryExec has one partition, and partition {partition} was asked for");
        }
        let reading = self.query.begin();
        let partitions = self.input.output_partitioning().partition_count();
        let mut tasks = RecordBatchReceiverStreamBuilder::new(self.schema(), partitions.max(WAITING));
        for partition in 0..partitions {
            let (input, context, results) = (Arc::clone(&self.input), Arc::clone(&context), tasks.tx());
            tasks.spawn(async move {
                let mut stream = input.execute(partition, context)?;
                drop(input);
                while let Some(batch) = stream.next().await {
                    let failed = batch.is_err();
                    // Nobody receives where the query was dropped.
                    if results.send(batch).await.is_err() || failed {
                        break;
                    }
                }
                Ok(())
            });
        }
        Ok(Box::pin(Results::new(Some(reading), tasks.build())))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        self.input.metrics()
    }
}

/// The results of a query.
pub(crate) struct Results {
    /// Dropped first: the guests end, and so do the tasks. None where somebody else says when guests end.
    #[expect(dead_code, reason = "held for as long as somebody reads")]
    reading: Option<Reading>,
    tasks: SendableRecordBatchStream,
}

impl Results {
    pub(crate) fn new(reading: Option<Reading>, tasks: SendableRecordBatchStream) -> Self {
        Self { reading, tasks }
    }
}

impl Stream for Results {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.tasks.as_mut().poll_next(context)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.tasks.size_hint()
    }
}

impl RecordBatchStream for Results {
    fn schema(&self) -> SchemaRef {
        self.tasks.schema()
    }
}
