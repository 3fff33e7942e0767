//! A check of windows whose states a scheduler without an engine would have to merge.

use std::sync::Arc;

use async_trait::async_trait;
use ballista_core::extension::SessionConfigExt as _;
use datafusion::catalog::Session;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, plan_err};
use datafusion::execution::SessionState;
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::{Expr, LogicalPlan, WindowFunctionDefinition};
use datafusion::physical_plan::ExecutionPlan;

use crate::opaque::OpaqueUdf;

/// Plans by another planner, and refuses aggregates of modules over windows that Ballista computes in parallel by merging states in the
/// scheduler. Without the check, the scheduler finds that it cannot merge them when executors have computed them, and the query never
/// ends.
#[derive(Debug)]
pub(crate) struct WindowCheck {
    inner: Arc<dyn QueryPlanner + Send + Sync>,
}

impl WindowCheck {
    /// The session with this check.
    pub(crate) fn install(state: SessionState) -> SessionState {
        let planner = Self { inner: Arc::clone(state.query_planner()) };
        let session_id = state.session_id().to_owned();
        let builder = SessionStateBuilder::new_from_existing(state).with_session_id(session_id);
        builder.with_query_planner(Arc::new(planner)).build()
    }
}

#[async_trait]
impl QueryPlanner for WindowCheck {
    async fn create_physical_plan(
        &self,
        logical_plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if session.config().ballista_config().parallel_window_enabled() {
            logical_plan.apply_with_subqueries(|node| {
                if let LogicalPlan::Window(window) = node {
                    window.window_expr.iter().try_for_each(check)?;
                }
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        self.inner.create_physical_plan(logical_plan, session).await
    }
}

/// That the scheduler merges no states of this window: it does so for windows that begin with the first of all rows and end before the last.
fn check(expr: &Expr) -> Result<()> {
    let Expr::WindowFunction(call) = expr.clone().unalias() else {
        return Ok(());
    };
    let WindowFunctionDefinition::AggregateUDF(aggregate) = &call.fun else {
        return Ok(());
    };
    let frame = &call.params.window_frame;
    let is_merged =
        call.params.partition_by.is_empty() && frame.start_bound.is_unbounded() && !frame.end_bound.is_unbounded();
    match aggregate.inner().downcast_ref::<OpaqueUdf>() {
        Some(of_module) if is_merged => plan_err!(
            "`{}` is an aggregate of a WebAssembly module, and a scheduler cannot merge its states for a window from UNBOUNDED \
             PRECEDING; SET ballista.planner.parallel_window.enabled = false, or write PARTITION BY",
            of_module.sql_name()
        ),
        _ => Ok(()),
    }
}
