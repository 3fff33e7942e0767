//! A table function of a module as one of DataFusion.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err, plan_err, project_schema};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use guest_functions::TableFunction;

use crate::describe::coerce_all;
use crate::query::{Instances, Query, charged, short_hash};

/// Batches of rows that wait to be read.
const WAITING: usize = 2;

/// A [`TableFunction`] as a table function of DataFusion: `SELECT * FROM tokens('to be')`. Its arguments are constants.
///
/// Each scan has an instance of its own, which is charged to the session's memory pool. The guest is called as rows are read, and
/// ends with the query.
#[derive(Debug, Clone)]
pub struct WasmTableFunction {
    table: TableFunction,
    name: String,
    /// Keeps the module among those that are loaded.
    lease: Option<Arc<guest_functions::Module>>,
}

impl WasmTableFunction {
    /// The table function, under the name that it has in its module.
    #[must_use]
    pub fn new(table: TableFunction) -> Self {
        let name = table.signature().name.clone();
        Self::named(table, name)
    }

    /// The table function under another name.
    #[must_use]
    pub fn named(table: TableFunction, name: impl Into<String>) -> Self {
        Self { table, name: name.into(), lease: None }
    }

    pub(crate) fn with_lease(self, lease: Arc<guest_functions::Module>) -> Self {
        Self { lease: Some(lease), ..self }
    }

    /// The table function.
    #[must_use]
    pub fn table(&self) -> &TableFunction {
        &self.table
    }
}

impl TableFunctionImpl for WasmTableFunction {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let mut values = Vec::new();
        for (at, expr) in args.exprs().iter().enumerate() {
            match expr {
                Expr::Literal(value, _) => values.push(value.clone()),
                other => {
                    let name = self.table.signature().params.get(at).map_or("", |param| &param.name);
                    return plan_err!(
                        "the argument `{other}` for `{name}` of `{}` is no constant; table functions take constants alone",
                        self.name
                    );
                }
            }
        }
        let given: Vec<_> = values.iter().map(|value| value.data_type()).collect();
        let types = coerce_all(&self.name, self.table.signature(), &given)?;
        let arrays = values.iter().zip(&types).map(|(value, ty)| value.cast_to(ty)?.to_array());
        Ok(Arc::new(Table { of: self.clone(), arguments: arrays.collect::<Result<_>>()? }))
    }
}

/// A call with its arguments.
#[derive(Debug)]
struct Table {
    of: WasmTableFunction,
    arguments: Vec<ArrayRef>,
}

#[async_trait]
impl TableProvider for Table {
    fn schema(&self) -> SchemaRef {
        self.of.table.schema()
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
        let query = Query::new(Arc::clone(&state.runtime_env().memory_pool));
        let mut instances = Instances::new(Arc::clone(&query));
        let table = charged(&self.of.name, || instances.table_function(&self.of.table))?;
        let schema = project_schema(&self.schema(), projection)?;
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        Ok(Arc::new(WasmTableExec {
            table,
            name: self.of.name.clone(),
            arguments: self.arguments.clone(),
            projection: projection.cloned(),
            limit,
            query,
            properties: Arc::new(properties),
            lease: self.of.lease.clone(),
        }))
    }
}

/// The rows of a call.
#[derive(Debug)]
struct WasmTableExec {
    table: TableFunction,
    name: String,
    arguments: Vec<ArrayRef>,
    projection: Option<Vec<usize>>,
    limit: Option<usize>,
    query: Arc<Query>,
    properties: Arc<PlanProperties>,
    #[expect(dead_code, reason = "held for as long as the plan is there")]
    lease: Option<Arc<guest_functions::Module>>,
}

impl DisplayAs for WasmTableExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WasmTableExec: {}@{}", self.name, short_hash(self.table.module()))?;
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
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() { Ok(self) } else { internal_err!("WasmTableExec has no children") }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("WasmTableExec has one partition, and partition {partition} was asked for");
        }
        let reading = self.query.begin();
        let batch_size = context.session_config().batch_size();
        let mut builder = RecordBatchReceiverStreamBuilder::new(self.schema(), WAITING);
        let sender = builder.tx();
        let (table, name, arguments) = (self.table.clone(), self.name.clone(), self.arguments.clone());
        let (projection, mut left) = (self.projection.clone(), self.limit.unwrap_or(usize::MAX));
        builder.spawn_blocking(move || {
            let most = batch_size.min(left);
            let mut rows = charged(&name, || table.call(&arguments))?.with_batch_size(most);
            while left > 0 {
                let Some(batch) = charged(&name, || rows.next().transpose())? else { break };
                let mut batch = batch.slice(0, batch.num_rows().min(left));
                left -= batch.num_rows();
                if let Some(projection) = &projection {
                    batch = batch.project(projection)?;
                }
                // Nobody receives where the query was dropped.
                if sender.blocking_send(Ok(batch)).is_err() {
                    break;
                }
            }
            Ok(())
        });
        Ok(Box::pin(crate::plan::Results::new(reading, builder.build())))
    }
}
