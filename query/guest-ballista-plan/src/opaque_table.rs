//! Tables of table functions in a process that has no engine: planned with, passed on, never read.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, ScalarValue, internal_err, project_schema};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties as _, Partitioning, PlanProperties,
};

use crate::opaque::OpaqueUdf;
use crate::table::{TableCall, TableScan};

/// The table of a call of an [`OpaqueUdf`].
#[derive(Debug)]
pub struct OpaqueTable {
    function: OpaqueUdf,
    schema: SchemaRef,
    arguments: Vec<ScalarValue>,
}

/// The columns of a table function's rows.
fn schema(function: &OpaqueUdf) -> SchemaRef {
    let columns = function.results().iter();
    let fields = columns.map(|column| Field::new(&column.name, column.ty.clone(), column.nullable));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

impl OpaqueTable {
    /// The table of a call with these arguments.
    #[must_use]
    pub fn new(function: OpaqueUdf, arguments: Vec<ScalarValue>) -> Self {
        Self { schema: schema(&function), function, arguments }
    }

    /// The call, as a logical plan has it.
    #[must_use]
    pub fn call(&self) -> TableCall {
        TableCall { function: self.function.payload().to_vec(), arguments: self.arguments.clone() }
    }

    /// The arguments as a row.
    fn row(&self) -> Result<RecordBatch> {
        let field = |(at, value): (usize, &ScalarValue)| Field::new(format!("p{at}"), value.data_type(), true);
        let schema = Schema::new(self.arguments.iter().enumerate().map(field).collect::<Vec<_>>());
        let columns: Vec<ArrayRef> = self.arguments.iter().map(ScalarValue::to_array).collect::<Result<_>>()?;
        let one = RecordBatchOptions::new().with_row_count(Some(1));
        Ok(RecordBatch::try_new_with_options(Arc::new(schema), columns, &one)?)
    }
}

#[async_trait]
impl TableProvider for OpaqueTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    /// The rows of one call. They are in the first of two partitions. Were there no other one, a join that collects this table would
    /// have it in its own stage, and each task of the stage would call the function. Of two partitions Ballista makes a stage.
    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let row = self.row()?;
        let schema = row.schema();
        let input = MemorySourceConfig::try_new_exec(&[vec![row], Vec::new()], schema, None)?;
        Ok(Arc::new(OpaqueTableExec::try_new(self.function.clone(), input, projection.cloned(), limit)?))
    }
}

/// The rows of an [`OpaqueUdf`] that is called for each row of the input, whose columns are the arguments.
#[derive(Debug)]
pub struct OpaqueTableExec {
    function: OpaqueUdf,
    input: Arc<dyn ExecutionPlan>,
    projection: Option<Vec<usize>>,
    limit: Option<usize>,
    properties: Arc<PlanProperties>,
}

impl OpaqueTableExec {
    /// The rows of `function`, of which `limit` are enough, with the columns of `projection`.
    ///
    /// # Errors
    /// If the table does not have the columns.
    pub fn try_new(
        function: OpaqueUdf,
        input: Arc<dyn ExecutionPlan>,
        projection: Option<Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Self> {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(project_schema(&schema(&function), projection.as_ref())?),
            Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        Ok(Self { function, input, projection, limit, properties: Arc::new(properties) })
    }

    /// The node, as a physical plan has it.
    #[must_use]
    pub fn scan(&self) -> TableScan {
        let function = self.function.payload().to_vec();
        TableScan { function, projection: self.projection.clone(), limit: self.limit }
    }
}

impl DisplayAs for OpaqueTableExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WasmTableExec: {}", self.function.shown())?;
        match self.limit {
            Some(limit) => write!(f, ", limit={limit}"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for OpaqueTableExec {
    /// The name of the node that an executor has in the place of this one.
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
            (Some(input), true) => {
                let Self { function, projection, limit, .. } = self.as_ref();
                Ok(Arc::new(Self::try_new(function.clone(), input, projection.clone(), *limit)?))
            }
            _ => internal_err!("WasmTableExec has one child"),
        }
    }

    fn execute(&self, _partition: usize, _context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.function.uncallable()
    }
}
