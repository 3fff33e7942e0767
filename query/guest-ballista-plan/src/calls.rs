//! The functions that nodes of physical plans call.

use std::sync::Arc;

use ballista_core::execution_plans::{PartitionedBoundedWindowAggExec, PrefixMergeExec, WindowApply};
use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use datafusion::physical_expr::window::{PlainAggregateWindowExpr, SlidingAggregateWindowExpr, WindowExpr};
use datafusion::physical_expr::{Partitioning, PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties as _};

/// The functions that a node calls, its inputs left out. One that is called twice is there twice.
#[derive(Debug, Clone, Default)]
pub struct Calls {
    /// Functions of rows, with the names that the node has for them.
    pub scalars: Vec<(String, ScalarUDF)>,
    /// Aggregates, also those over windows.
    pub aggregates: Vec<AggregateUDF>,
}

impl Calls {
    /// The functions of this node. Those of its partitioning and its ordering are among them: readers of shuffled results have no others.
    ///
    /// # Errors
    /// If the node does not tell its expressions.
    pub fn of(plan: &dyn ExecutionPlan) -> Result<Self> {
        let mut calls = Self { scalars: Vec::new(), aggregates: aggregates(plan) };
        plan.apply_expressions(&mut |expr| calls.take_scalars(expr))?;
        if let Partitioning::Hash(exprs, _) = plan.output_partitioning() {
            exprs.iter().try_for_each(|expr| calls.take_scalars(expr).map(drop))?;
        }
        for sort in plan.output_ordering().into_iter().flatten() {
            calls.take_scalars(&sort.expr)?;
        }
        Ok(calls)
    }

    fn take_scalars(&mut self, root: &Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion> {
        root.apply(|expr| {
            if let Some(call) = expr.downcast_ref::<ScalarFunctionExpr>() {
                self.scalars.push((call.name().to_owned(), call.fun().clone()));
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(TreeNodeRecursion::Continue)
    }
}

fn aggregates(plan: &dyn ExecutionPlan) -> Vec<AggregateUDF> {
    if let Some(node) = plan.downcast_ref::<AggregateExec>() {
        return node.aggr_expr().iter().map(|call| call.fun().clone()).collect();
    }
    if let Some(node) = plan.downcast_ref::<PrefixMergeExec>() {
        let aggregate = |apply: &WindowApply| match apply {
            WindowApply::Aggregate { udf, .. } => Some(AggregateUDF::clone(udf)),
            _ => None,
        };
        return node.applies().iter().filter_map(aggregate).collect();
    }
    let windows = if let Some(node) = plan.downcast_ref::<WindowAggExec>() {
        node.window_expr()
    } else if let Some(node) = plan.downcast_ref::<BoundedWindowAggExec>() {
        node.window_expr()
    } else if let Some(node) = plan.downcast_ref::<PartitionedBoundedWindowAggExec>() {
        node.window_expr()
    } else {
        return Vec::new();
    };
    windows.iter().filter_map(|window| aggregate_of(window.as_ref())).collect()
}

fn aggregate_of(window: &dyn WindowExpr) -> Option<AggregateUDF> {
    let plain = window.as_any().downcast_ref::<PlainAggregateWindowExpr>().map(|window| window.get_aggregate_expr());
    let sliding = || {
        let window = window.as_any().downcast_ref::<SlidingAggregateWindowExpr>();
        window.map(|window| window.get_aggregate_expr())
    };
    Some(plain.or_else(sliding)?.fun().clone())
}
