//! The codec of a process that has no engine.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::Result;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use datafusion::physical_plan::ExecutionPlan;
use guest_abi::function::Kind;

use crate::function_codec::FunctionCodec;
use crate::opaque::OpaqueUdf;
use crate::opaque_table::{OpaqueTable, OpaqueTableExec};
use crate::table::{TableCall, TableScan};

/// Passes functions on unread: the codec of a scheduler.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpaqueFunctions;

impl FunctionCodec for OpaqueFunctions {
    fn decode_scalar(&self, payload: &[u8]) -> Result<Arc<ScalarUDF>> {
        Ok(Arc::new(ScalarUDF::new_from_impl(OpaqueUdf::new(Kind::Scalar, payload)?)))
    }

    fn encode_scalar(&self, function: &ScalarUDF) -> Result<Option<Vec<u8>>> {
        Ok(function.inner().downcast_ref::<OpaqueUdf>().map(|function| function.payload().to_vec()))
    }

    fn decode_aggregate(&self, payload: &[u8]) -> Result<Arc<AggregateUDF>> {
        Ok(Arc::new(AggregateUDF::new_from_impl(OpaqueUdf::new(Kind::Aggregate, payload)?)))
    }

    fn encode_aggregate(&self, aggregate: &AggregateUDF) -> Result<Option<Vec<u8>>> {
        Ok(aggregate.inner().downcast_ref::<OpaqueUdf>().map(|function| function.payload().to_vec()))
    }

    fn decode_table(&self, call: TableCall) -> Result<Arc<dyn TableProvider>> {
        let TableCall { function, arguments } = call;
        let function = OpaqueUdf::new(Kind::Table, &function)?;
        function.check_count(arguments.len())?;
        Ok(Arc::new(OpaqueTable::new(function, arguments)))
    }

    fn encode_table(&self, table: &dyn TableProvider) -> Result<Option<TableCall>> {
        Ok(table.downcast_ref::<OpaqueTable>().map(OpaqueTable::call))
    }

    fn decode_scan(&self, scan: TableScan, input: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        let TableScan { function, projection, limit } = scan;
        let function = OpaqueUdf::new(Kind::Table, &function)?;
        Ok(Arc::new(OpaqueTableExec::try_new(function, input, projection, limit)?))
    }

    fn encode_scan(&self, node: &dyn ExecutionPlan) -> Result<Option<TableScan>> {
        Ok(node.downcast_ref::<OpaqueTableExec>().map(OpaqueTableExec::scan))
    }
}
