//! Plans that say something else than the modules do: errors that name the function, and a cluster that goes on.

use std::sync::Arc;

use ballista::prelude::{SessionConfigExt as _, SessionContextExt as _};
use datafusion::catalog::TableProvider;
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateBuilder;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use guest_ballista::guest_datafusion::guest_functions::ModuleConfig;
use guest_ballista::guest_datafusion::register_module;
use guest_ballista::{ModuleStore, WasmFunctions, WasmLogicalCodec};
use guest_ballista_plan::{FunctionCodec, FunctionKind, Payload, TableCall, TableScan};

use crate::cluster::{Cluster, built, run, text};
use crate::codec::engine;

/// How a payload is changed on its way.
type Change = fn(Vec<u8>) -> Vec<u8>;

/// A client's functions, whose payloads are changed.
#[derive(Debug)]
struct Tampered {
    inner: WasmFunctions,
    change: Change,
}

impl FunctionCodec for Tampered {
    fn decode_scalar(&self, payload: &[u8]) -> Result<Arc<ScalarUDF>> {
        self.inner.decode_scalar(payload)
    }

    fn encode_scalar(&self, function: &ScalarUDF) -> Result<Option<Vec<u8>>> {
        Ok(self.inner.encode_scalar(function)?.map(self.change))
    }

    fn decode_aggregate(&self, payload: &[u8]) -> Result<Arc<AggregateUDF>> {
        self.inner.decode_aggregate(payload)
    }

    fn encode_aggregate(&self, aggregate: &AggregateUDF) -> Result<Option<Vec<u8>>> {
        Ok(self.inner.encode_aggregate(aggregate)?.map(self.change))
    }

    fn decode_table(&self, call: TableCall) -> Result<Arc<dyn TableProvider>> {
        self.inner.decode_table(call)
    }

    fn encode_table(&self, table: &dyn TableProvider) -> Result<Option<TableCall>> {
        let call = self.inner.encode_table(table)?;
        Ok(call.map(|call| TableCall { function: (self.change)(call.function), ..call }))
    }

    fn decode_scan(&self, scan: TableScan, input: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        self.inner.decode_scan(scan, input)
    }

    fn encode_scan(&self, node: &dyn ExecutionPlan) -> Result<Option<TableScan>> {
        self.inner.encode_scan(node)
    }
}

/// A session with the cluster whose plans are changed.
async fn session(cluster: &Cluster, change: Change) -> SessionContext {
    let (bytes, store) = (built("functions-leaking"), ModuleStore::default());
    store.put(&bytes).await.unwrap();
    let functions = Tampered { inner: WasmFunctions::new(&engine(), store), change };
    let codec = WasmLogicalCodec::new(Arc::new(functions));
    let config = SessionConfig::new().upgrade_for_ballista().with_ballista_logical_extension_codec(Arc::new(codec));
    let state = SessionStateBuilder::new().with_config(config).with_default_features().build();
    let context = SessionContext::remote_with_state(&cluster.url(), state).await.unwrap();
    cluster.register_table(&context).await;
    register_module(&context, "functions", &bytes, ModuleConfig::default()).unwrap();
    context
}

/// A payload with another version of an aggregate's states.
fn with_other_states(payload: Vec<u8>) -> Vec<u8> {
    let mut payload = Payload::decode(&payload).unwrap();
    if let FunctionKind::Aggregate { retracts, .. } = payload.planning.kind {
        payload.planning.kind = FunctionKind::Aggregate { state_version: 77, retracts };
    }
    payload.encode().unwrap()
}

/// A payload with another signature.
fn with_other_signature(payload: Vec<u8>) -> Vec<u8> {
    let mut payload = Payload::decode(&payload).unwrap();
    for param in &mut payload.planning.params {
        param.name.push('s');
    }
    payload.encode().unwrap()
}

/// A payload of which a byte was lost on its way.
fn damaged(mut payload: Vec<u8>) -> Vec<u8> {
    payload.pop();
    payload
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_that_differ_from_their_modules_are_refused_and_others_go_on() {
    const AGGREGATE: &str = "SELECT id % 3 AS g, mean(id) AS m FROM t GROUP BY id % 3 ORDER BY g";
    const WINDOW: &str = "SELECT mean(id) OVER (ORDER BY id) FROM t";
    const TABLE: &str = "SELECT count(*) FROM t JOIN series(0, 3, 1) AS s ON t.id = s.number";
    let cluster = Cluster::start(2, &[]);
    let changes: [(Change, &[&str], &str); 3] = [
        (
            with_other_states,
            &[AGGREGATE, WINDOW],
            "`mean` was planned with version 77 of its states, and the module `functions` has",
        ),
        (
            with_other_signature,
            &[AGGREGATE, WINDOW, TABLE],
            "was planned with another signature than the module `functions` has: `",
        ),
        (
            damaged,
            &[AGGREGATE, WINDOW, TABLE],
            "cannot be read from the plan: the function in the plan is damaged: its checksum differs",
        ),
    ];
    for (change, queries, expected) in changes {
        let context = session(&cluster, change).await;
        for sql in queries {
            match run(&context, sql).await.unwrap_err() {
                DataFusionError::Execution(error) => assert!(error.contains(expected), "{sql}: {error}"),
                other => panic!("{sql}: {other:?}"),
            }
        }
    }
    let untouched = session(&cluster, |payload| payload).await;
    let found = run(&untouched, AGGREGATE).await.unwrap();
    assert!(text(&found).contains("| 0 | 999.0 "), "{}", text(&found));
}
