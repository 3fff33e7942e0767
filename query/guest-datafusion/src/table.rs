//! A table function of a module as one of DataFusion.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, ScalarValue, internal_err, plan_err, project_schema, resources_err};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties as _, Partitioning, PlanProperties,
};
use futures::TryStreamExt as _;
use guest_functions::TableFunction;
use tokio::sync::mpsc::Sender;

use crate::describe::coerce_all;
use crate::function::WasmFunction;
use crate::plan::Results;
use crate::query::charged;

/// Batches of rows that wait to be read.
const WAITING: usize = 2;

/// A [`TableFunction`] as a table function of DataFusion: `SELECT * FROM tokens('to be')`. Its arguments are constants.
///
/// Each scan has an instance of its own, which is charged to the session's memory pool. The guest is called as rows are read, and
/// ends with the query.
pub type WasmTableFunction = WasmFunction<TableFunction>;

impl TableFunctionImpl for WasmTableFunction {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let mut values = Vec::new();
        for (at, expr) in args.exprs().iter().enumerate() {
            match expr {
                Expr::Literal(value, _) => values.push(value.clone()),
                other => {
                    let name = self.function().signature().params.get(at).map_or("", |param| &param.name);
                    return plan_err!(
                        "the argument `{other}` for `{name}` of `{}` is no constant; table functions take constants alone",
                        self.sql_name()
                    );
                }
            }
        }
        Ok(Arc::new(WasmTable::new(self.clone(), &values)?))
    }
}

/// The table of a call: a [`WasmTableFunction`] and its arguments.
#[derive(Debug)]
pub struct WasmTable {
    function: WasmTableFunction,
    arguments: Vec<ScalarValue>,
}

impl WasmTable {
    /// The table of a call with these arguments, which are cast to the types of the parameters.
    ///
    /// # Errors
    /// [`DataFusionError::Plan`] if they do not fit the parameters.
    pub fn new(function: WasmTableFunction, arguments: &[ScalarValue]) -> Result<Self> {
        let given: Vec<_> = arguments.iter().map(ScalarValue::data_type).collect();
        let types = coerce_all(function.sql_name(), function.function().signature(), &given)?;
        let cast = arguments.iter().zip(&types).map(|(value, ty)| value.cast_to(ty));
        let arguments = cast.collect::<Result<_>>()?;
        Ok(Self { function, arguments })
    }

    /// The function that is called.
    #[must_use]
    pub fn function(&self) -> &WasmTableFunction {
        &self.function
    }

    /// The arguments.
    #[must_use]
    pub fn arguments(&self) -> &[ScalarValue] {
        &self.arguments
    }
}

#[async_trait]
impl TableProvider for WasmTable {
    fn schema(&self) -> SchemaRef {
        self.function.function().schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let function = self.function.clone().with_memory_pool(Arc::clone(&state.runtime_env().memory_pool));
        let row = row_of(&self.arguments)?;
        let input = MemorySourceConfig::try_new_exec(&[vec![row.clone()]], row.schema(), None)?;
        Ok(Arc::new(WasmTableExec::try_new(&function, input, projection.cloned(), limit)?))
    }
}

/// The arguments of a call as a batch of one row.
fn row_of(arguments: &[ScalarValue]) -> Result<RecordBatch> {
    let field = |(at, value): (usize, &ScalarValue)| Field::new(format!("p{at}"), value.data_type(), true);
    let schema = Schema::new(arguments.iter().enumerate().map(field).collect::<Vec<_>>());
    let columns: Vec<ArrayRef> = arguments.iter().map(ScalarValue::to_array).collect::<Result<_>>()?;
    let one = RecordBatchOptions::new().with_row_count(Some(1));
    Ok(RecordBatch::try_new_with_options(Arc::new(schema), columns, &one)?)
}

/// The rows of a table function. It is called for each row of the input, whose columns are the arguments.
#[derive(Debug)]
pub struct WasmTableExec {
    function: WasmTableFunction,
    input: Arc<dyn ExecutionPlan>,
    projection: Option<Vec<usize>>,
    limit: Option<usize>,
    /// Rows that a call may have.
    most_rows: usize,
    /// Whether the instances are those of this node, so that its streams say whether somebody reads.
    has_own: bool,
    properties: Arc<PlanProperties>,
}

impl WasmTableExec {
    /// The rows of `function`, of which each partition has at most `limit`, with the columns of `projection`.
    ///
    /// The instances are charged to the function's [memory pool](WasmFunction::with_memory_pool) and dropped with the plan; guests end with
    /// the streams that are read. A function that has [instances](WasmFunction::with_own_instances) keeps them, and its guests end
    /// with those who [read](WasmFunction::begin).
    ///
    /// # Errors
    /// [`FunctionError`](guest_functions::FunctionError) if no instances can be had, and an error if the table does not have the columns.
    pub fn try_new(
        function: &WasmTableFunction,
        input: Arc<dyn ExecutionPlan>,
        projection: Option<Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Self> {
        let has_own = !function.is_bound();
        let function = match has_own {
            true => charged(function.sql_name(), || function.with_own_instances())?,
            false => function.clone(),
        };
        let schema = project_schema(&function.function().schema(), projection.as_ref())?;
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        Ok(Self {
            function,
            input,
            projection,
            limit,
            most_rows: usize::MAX,
            has_own,
            properties: Arc::new(properties),
        })
    }

    /// Lets a call have at most this many rows: one with more is an error. By default nothing bounds them but the query's own limit.
    #[must_use]
    pub fn with_most_rows(self, most_rows: usize) -> Self {
        Self { most_rows, ..self }
    }

    /// The function that is called.
    #[must_use]
    pub fn function(&self) -> &WasmTableFunction {
        &self.function
    }

    /// The columns of the table that the node has; `None` for all.
    #[must_use]
    pub fn projection(&self) -> Option<&Vec<usize>> {
        self.projection.as_ref()
    }

    /// Rows that are enough.
    #[must_use]
    pub fn limit(&self) -> Option<usize> {
        self.limit
    }

    /// Sends the rows of all calls, until there are enough or nobody receives any more.
    fn send(&self, arguments: &[RecordBatch], batch_size: usize, sender: &Sender<Result<RecordBatch>>) -> Result<()> {
        let name = self.function.sql_name();
        let mut left = self.limit.unwrap_or(usize::MAX);
        for (batch, row) in arguments.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch, row))) {
            if left == 0 {
                break;
            }
            let arguments: Vec<ArrayRef> = batch.columns().iter().map(|column| column.slice(row, 1)).collect();
            let rows = charged(name, || self.function.callable()?.call(&arguments));
            let mut rows = rows?.with_batch_size(batch_size.min(left));
            let mut of_call = 0_usize;
            while left > 0 {
                let Some(batch) = charged(name, || rows.next().transpose())? else { break };
                of_call = of_call.saturating_add(batch.num_rows().min(left));
                if of_call > self.most_rows {
                    let most = self.most_rows;
                    return resources_err!("a call of `{name}` has more than the {most} rows that are allowed here");
                }
                let mut batch = batch.slice(0, batch.num_rows().min(left));
                left -= batch.num_rows();
                if let Some(projection) = &self.projection {
                    batch = batch.project(projection)?;
                }
                // Nobody receives where the query was dropped.
                if sender.blocking_send(Ok(batch)).is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The same with other input and the same instances.
    fn over(&self, input: Arc<dyn ExecutionPlan>) -> Self {
        let partitioning = Partitioning::UnknownPartitioning(input.output_partitioning().partition_count());
        let properties = PlanProperties::clone(&self.properties).with_partitioning(partitioning);
        Self {
            function: self.function.clone(),
            input,
            projection: self.projection.clone(),
            limit: self.limit,
            most_rows: self.most_rows,
            has_own: self.has_own,
            properties: Arc::new(properties),
        }
    }
}

impl DisplayAs for WasmTableExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WasmTableExec: {}", self.function.shown())?;
        match self.limit {
            Some(limit) => write!(f, ", limit={limit}"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for WasmTableExec {
    fn name(&self) -> &'static str {
        "WasmTableExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    /// The rows of the input are calls: to have more partitions of them makes nothing faster.
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
            (Some(input), true) => Ok(Arc::new(self.over(input))),
            _ => internal_err!("WasmTableExec has one child"),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let reading = self.has_own.then(|| self.function.begin()).flatten();
        let batch_size = context.session_config().batch_size();
        let calls = self.input.execute(partition, context)?;
        let mut builder = RecordBatchReceiverStreamBuilder::new(self.schema(), WAITING);
        let sender = builder.tx();
        let of = self.over(Arc::clone(&self.input));
        builder.spawn(async move {
            let arguments: Vec<RecordBatch> = calls.try_collect().await?;
            // A thread that may be inside a guest for long.
            let sent = tokio::task::spawn_blocking(move || of.send(&arguments, batch_size, &sender)).await;
            match sent {
                Ok(sent) => sent,
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Err(error) => Err(DataFusionError::External(Box::new(error))),
            }
        });
        Ok(Box::pin(Results::new(reading, builder.build())))
    }
}
