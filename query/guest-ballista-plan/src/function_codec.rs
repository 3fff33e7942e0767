//! Functions of modules in plans, as one side of a cluster has them.

use std::fmt::Debug;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};

/// Reads and writes functions of modules in plans. Each side of a cluster has its own.
pub trait FunctionCodec: Debug + Send + Sync {
    /// The function of an encoded [`Payload`](crate::Payload).
    ///
    /// # Errors
    /// If the payload cannot be read, or the function cannot be had.
    fn decode(&self, payload: &[u8]) -> Result<Arc<ScalarUDF>>;

    /// The encoded payload of a function; `None` if it is none of a module.
    ///
    /// # Errors
    /// If the function cannot be written.
    fn encode(&self, function: &ScalarUDF) -> Result<Option<Vec<u8>>>;

    /// Whether an aggregate is one of a module. Plans with such are refused where they are read. None is by default.
    fn is_aggregate(&self, _aggregate: &AggregateUDF) -> bool {
        false
    }
}
