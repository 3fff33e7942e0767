//! A task that is cancelled while it is inside a guest.

use std::sync::Arc;
use std::time::Duration;

use ballista_core::execution_plans::ShuffleWriterExec;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use guest_ballista::executor::ballista_executor::execution_engine::{DefaultExecutionEngine, ExecutionEngine as _};
use guest_ballista::guest_datafusion::ModuleFunction;
use guest_ballista::guest_datafusion::guest_functions::guest_host::InstanceConfig;
use guest_ballista::guest_datafusion::guest_functions::{Aggregate, Function, ModuleConfig, TableFunction};
use guest_ballista::{InterruptingEngine, ModuleStore, Most, WasmFunctions};
use guest_ballista_plan::{FunctionCodec as _, TableScan};

use crate::cluster::{PATIENCE, wait_until};
use crate::codec::{engine, payload_of};
use crate::support::endless;

/// A task of a stage whose function does not end for an hour.
struct Stage {
    task: tokio::task::JoinHandle<()>,
    #[expect(dead_code, reason = "removed with the test")]
    folder: tempfile::TempDir,
}

/// The pool that pays for instances, and functions that are charged to it, which may take an hour for a call.
fn functions() -> (Arc<GreedyMemoryPool>, WasmFunctions) {
    let memory = Arc::new(GreedyMemoryPool::new(1 << 30));
    let functions = WasmFunctions::new(&engine(), ModuleStore::default())
        .with_most(Most::default().with_deadline(Duration::from_secs(3600)))
        .with_memory_pool(memory.clone());
    (memory, functions)
}

/// The payload of a function whose calls have no deadline.
async fn endless_payload<F: ModuleFunction>(wasm: Vec<u8>, function: &'static str) -> Vec<u8> {
    let config = ModuleConfig::default().with_instance(InstanceConfig::default().with_deadline(None));
    let sent = tokio::task::spawn_blocking(move || payload_of::<F>(&wasm, config, function, &ModuleStore::default()));
    sent.await.unwrap()
}

fn context() -> SessionContext {
    SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1))
}

/// A plan that calls a function of rows.
async fn rows(functions: &WasmFunctions) -> Arc<dyn ExecutionPlan> {
    let wasm = r#"(module (func (export "forever") (param i64) (result i64) (loop (br 0)) (unreachable)) (memory 1))"#;
    let sent = endless_payload::<Function>(wat::parse_str(wasm).unwrap(), "forever").await;
    let (context, udf) = (context(), ScalarUDF::new_from_impl(functions.read::<Function>(&sent).unwrap()));
    let sql = format!("SELECT \"{}\"(column1) FROM (VALUES (1), (2))", udf.name());
    context.register_udf(udf);
    context.sql(&sql).await.unwrap().create_physical_plan().await.unwrap()
}

/// A plan that calls an aggregate, `over` a window or not.
async fn aggregate(functions: &WasmFunctions, over: &str) -> Arc<dyn ExecutionPlan> {
    let sent = endless_payload::<Aggregate>(endless(), "broken").await;
    let (context, udaf) = (context(), AggregateUDF::new_from_impl(functions.read::<Aggregate>(&sent).unwrap()));
    let sql = format!("SELECT \"{}\"(x) {over} FROM (VALUES (1), (2)) AS t(x)", udaf.name());
    context.register_udaf(udaf);
    context.sql(&sql).await.unwrap().create_physical_plan().await.unwrap()
}

/// A plan that reads the rows of a table function.
async fn table(functions: &WasmFunctions) -> Arc<dyn ExecutionPlan> {
    let function = endless_payload::<TableFunction>(endless(), "broken_rows").await;
    let argument = context().sql("VALUES (1)").await.unwrap().create_physical_plan().await.unwrap();
    functions.decode_scan(TableScan { function, projection: None, limit: None }, argument).unwrap()
}

fn start(plan: Arc<dyn ExecutionPlan>) -> Stage {
    let context = context();
    let folder = tempfile::tempdir().unwrap();
    let work_dir = folder.path().to_str().unwrap().to_owned();
    let writer = ShuffleWriterExec::try_new("job".to_owned().into(), 1, plan, work_dir.clone()).unwrap();

    let engine = InterruptingEngine::new(Arc::new(DefaultExecutionEngine::new()));
    let stage = engine
        .create_query_stage_exec(
            "job".to_owned().into(),
            1,
            0,
            vec![0],
            Arc::new(writer),
            &work_dir,
            &context.copied_config(),
        )
        .unwrap();
    let context = context.task_ctx();
    let task = tokio::spawn(async move {
        let result = stage.execute_query_stage(0, context).await;
        panic!("the task came to an end: {result:?}");
    });
    Stage { task, folder }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_cancelled_task_ends_its_guests() {
    let (memory, functions) = functions();
    ends("a function of rows", &memory, rows(&functions).await).await;
    ends("an aggregate", &memory, aggregate(&functions, "").await).await;
    ends("a window", &memory, aggregate(&functions, "OVER (ORDER BY x)").await).await;
    ends("a table function", &memory, table(&functions).await).await;
}

async fn ends(what: &str, memory: &Arc<GreedyMemoryPool>, plan: Arc<dyn ExecutionPlan>) {
    let stage = start(plan);
    tokio::task::block_in_place(|| wait_until(&format!("an instance for {what}"), || memory.reserved() > 0));
    stage.task.abort();
    let ended = tokio::time::timeout(PATIENCE, stage.task).await.expect("the task goes on").unwrap_err();
    assert!(ended.is_cancelled(), "{what}: {ended}");
    // The instance is given back when its call has ended.
    tokio::task::block_in_place(|| wait_until(&format!("the end of {what}"), || memory.reserved() == 0));
}
