//! Nodes of Ballista's own in plans. Its codec writes their expressions without functions, only with the functions' names. So they are
//! written beside the node, and where it is read, the names mean them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::ScalarUDF;
use datafusion::physical_expr::{Partitioning, PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties as _};
use prost::Message as _;

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
}

/// Writes a node behind the functions that it calls.
pub(crate) fn encode(functions: &dyn FunctionCodec, plan: &dyn ExecutionPlan, node: Vec<u8>) -> Result<Vec<u8>> {
    let mut called = BTreeMap::new();
    for expr in expressions(plan)? {
        expr.apply(|expr| {
            if let Some(call) = expr.downcast_ref::<ScalarFunctionExpr>()
                && let Some(payload) = functions.encode(call.fun())?
            {
                called.insert(call.name().to_owned(), payload);
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    if called.is_empty() {
        return Ok(node);
    }
    let mut encoded = MAGIC.to_vec();
    encoded.extend_from_slice(&NodeMessage { functions: called, node }.encode_to_vec());
    Ok(encoded)
}

/// The expressions of a node, those of its partitioning and its ordering included: readers of shuffled results have no others.
fn expressions(plan: &dyn ExecutionPlan) -> Result<Vec<Arc<dyn PhysicalExpr>>> {
    let mut found = Vec::new();
    plan.apply_expressions(&mut |expr| {
        found.push(Arc::clone(expr));
        Ok(TreeNodeRecursion::Continue)
    })?;
    if let Partitioning::Hash(exprs, _) = plan.output_partitioning() {
        found.extend(exprs.iter().cloned());
    }
    found.extend(plan.output_ordering().into_iter().flatten().map(|sort| Arc::clone(&sort.expr)));
    Ok(found)
}

/// A node as the other codec wrote it, and a context in which its functions have their names.
pub(crate) fn decode(functions: &dyn FunctionCodec, encoded: &[u8], ctx: &TaskContext) -> Result<Option<Decoded>> {
    let Some(message) = encoded.strip_prefix(MAGIC) else {
        return Ok(None);
    };
    let message = NodeMessage::decode(message).map_err(|error| PayloadError::Damaged { what: error.to_string() })?;
    let mut scalar: HashMap<String, Arc<ScalarUDF>> = ctx.scalar_functions().clone();
    for (name, payload) in message.functions {
        scalar.insert(name, functions.decode(&payload)?);
    }
    let context = TaskContext::new(
        ctx.task_id(),
        ctx.session_id(),
        ctx.session_config().clone(),
        scalar,
        ctx.higher_order_functions().clone(),
        ctx.aggregate_functions().clone(),
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
