//! Nodes of Ballista's own in plans. Its codec writes their expressions without functions, only with the functions' names. So they are
//! written beside the node, and where it is read, the names mean them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use datafusion::physical_plan::ExecutionPlan;
use prost::Message as _;

use crate::calls::Calls;
use crate::function_codec::FunctionCodec;
use crate::payload::PayloadError;

/// Begins a node with functions. No message of Protocol Buffers begins so.
const MAGIC: &[u8; 8] = b"wasmnode";

#[derive(Clone, PartialEq, prost::Message)]
struct NodeMessage {
    /// Payloads by the names that the node has for the functions.
    #[prost(btree_map = "string, bytes", tag = "1")]
    functions: BTreeMap<String, Vec<u8>>,
    /// The node, as the other codec wrote it.
    #[prost(bytes = "vec", tag = "2")]
    node: Vec<u8>,
    /// Payloads of aggregates by their names.
    #[prost(btree_map = "string, bytes", tag = "3")]
    aggregates: BTreeMap<String, Vec<u8>>,
}

/// Writes a node behind the functions that it calls.
pub(crate) fn encode(functions: &dyn FunctionCodec, plan: &dyn ExecutionPlan, node: Vec<u8>) -> Result<Vec<u8>> {
    let calls = Calls::of(plan)?;
    let (mut scalars, mut aggregates) = (BTreeMap::new(), BTreeMap::new());
    for (name, function) in calls.scalars {
        if let Some(payload) = functions.encode_scalar(&function)? {
            scalars.insert(name, payload);
        }
    }
    for aggregate in calls.aggregates {
        if let Some(payload) = functions.encode_aggregate(&aggregate)? {
            aggregates.insert(aggregate.name().to_owned(), payload);
        }
    }
    if scalars.is_empty() && aggregates.is_empty() {
        return Ok(node);
    }
    let mut encoded = MAGIC.to_vec();
    encoded.extend_from_slice(&NodeMessage { functions: scalars, node, aggregates }.encode_to_vec());
    Ok(encoded)
}

/// A node as the other codec wrote it, and a context in which its functions have their names.
pub(crate) fn decode(functions: &dyn FunctionCodec, encoded: &[u8], ctx: &TaskContext) -> Result<Option<Decoded>> {
    let Some(message) = encoded.strip_prefix(MAGIC) else {
        return Ok(None);
    };
    let message = NodeMessage::decode(message).map_err(|error| PayloadError::Damaged { what: error.to_string() })?;
    let mut scalar: HashMap<String, Arc<ScalarUDF>> = ctx.scalar_functions().clone();
    for (name, payload) in message.functions {
        scalar.insert(name, functions.decode_scalar(&payload)?);
    }
    let mut aggregates: HashMap<String, Arc<AggregateUDF>> = ctx.aggregate_functions().clone();
    for (name, payload) in message.aggregates {
        aggregates.insert(name, functions.decode_aggregate(&payload)?);
    }
    let context = TaskContext::new(
        ctx.task_id(),
        ctx.session_id(),
        ctx.session_config().clone(),
        scalar,
        ctx.higher_order_functions().clone(),
        aggregates,
        ctx.window_functions().clone(),
        ctx.runtime_env(),
    );
    Ok(Some(Decoded { node: message.node, context }))
}

/// A node that was read.
pub(crate) struct Decoded {
    pub(crate) node: Vec<u8>,
    pub(crate) context: TaskContext,
}
