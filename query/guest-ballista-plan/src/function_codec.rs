//! Functions of modules in plans, as one side of a cluster has them.

use std::fmt::Debug;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::Result;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use datafusion::physical_plan::ExecutionPlan;

use crate::table::{TableCall, TableScan};

/// Reads and writes functions of modules in plans. Each side of a cluster has its own.
///
/// Methods that read fail if a [`Payload`](crate::Payload) cannot be read, or if the function cannot be had. Methods that write return `None`
/// for functions that are none of a module, and fail if one of a module cannot be written.
pub trait FunctionCodec: Debug + Send + Sync {
    /// The function of rows of an encoded payload.
    ///
    /// # Errors
    /// See [`FunctionCodec`].
    fn decode_scalar(&self, payload: &[u8]) -> Result<Arc<ScalarUDF>>;

    /// The encoded payload of a function of rows.
    ///
    /// # Errors
    /// See [`FunctionCodec`].
    fn encode_scalar(&self, function: &ScalarUDF) -> Result<Option<Vec<u8>>>;

    /// The aggregate of an encoded payload.
    ///
    /// # Errors
    /// See [`FunctionCodec`].
    fn decode_aggregate(&self, payload: &[u8]) -> Result<Arc<AggregateUDF>>;

    /// The encoded payload of an aggregate.
    ///
    /// # Errors
    /// See [`FunctionCodec`].
    fn encode_aggregate(&self, aggregate: &AggregateUDF) -> Result<Option<Vec<u8>>>;

    /// The table of a call of a table function.
    ///
    /// # Errors
    /// See [`FunctionCodec`].
    fn decode_table(&self, call: TableCall) -> Result<Arc<dyn TableProvider>>;

    /// The call of a table function whose table this is.
    ///
    /// # Errors
    /// See [`FunctionCodec`].
    fn encode_table(&self, table: &dyn TableProvider) -> Result<Option<TableCall>>;

    /// The node that calls a table function for each row of `input`.
    ///
    /// # Errors
    /// See [`FunctionCodec`].
    fn decode_scan(&self, scan: TableScan, input: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>>;

    /// The description of a node that calls a table function.
    ///
    /// # Errors
    /// See [`FunctionCodec`].
    fn encode_scan(&self, node: &dyn ExecutionPlan) -> Result<Option<TableScan>>;
}
