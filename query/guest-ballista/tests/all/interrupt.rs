//! A task that is cancelled while it is inside a guest.

use std::sync::Arc;
use std::time::Duration;

use ballista_core::execution_plans::ShuffleWriterExec;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};
use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::{SessionConfig, SessionContext};
use guest_ballista::executor::ballista_executor::execution_engine::{DefaultExecutionEngine, ExecutionEngine as _};
use guest_ballista::guest_datafusion::guest_functions::{Function, ModuleConfig};
use guest_ballista::guest_datafusion::guest_functions::guest_host::InstanceConfig;
use guest_ballista::{InterruptingEngine, ModuleStore, Most, WasmFunctions};

use crate::cluster::{PATIENCE, wait_until};
use crate::codec::{engine, payload};

/// A task of a stage whose function does not end for an hour.
struct Stage {
    memory: Arc<GreedyMemoryPool>,
    task: tokio::task::JoinHandle<()>,
    #[expect(dead_code, reason = "removed with the test")]
    folder: tempfile::TempDir,
}

async fn start() -> Stage {
    let wasm = r#"(module (func (export "forever") (param i64) (result i64) (loop (br 0)) (unreachable)) (memory 1))"#;
    let config = ModuleConfig::default().with_instance(InstanceConfig::default().with_deadline(None));
    let wasm = wat::parse_str(wasm).unwrap();
    let sent = tokio::task::spawn_blocking(move || payload(&wasm, config, "forever", &ModuleStore::default()));
    let sent = sent.await.unwrap();
    let memory = Arc::new(GreedyMemoryPool::new(1 << 30));
    let functions = WasmFunctions::new(&engine(), ModuleStore::default())
        .with_most(Most::default().with_deadline(Duration::from_secs(3600)))
        .with_memory_pool(memory.clone());

    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
    let udf = ScalarUDF::new_from_impl(functions.read::<Function>(&sent).unwrap());
    let shown = udf.name().to_owned();
    context.register_udf(udf);
    let plan = context.sql(&format!("SELECT \"{shown}\"(column1) FROM (VALUES (1), (2))")).await.unwrap();
    let plan = plan.create_physical_plan().await.unwrap();
    context.deregister_udf(&shown);
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
    Stage { memory, task, folder }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_cancelled_task_ends_its_guests() {
    let stage = start().await;
    tokio::task::block_in_place(|| wait_until("an instance", || stage.memory.reserved() > 0));
    stage.task.abort();
    let ended = tokio::time::timeout(PATIENCE, stage.task).await.expect("the task goes on").unwrap_err();
    assert!(ended.is_cancelled(), "{ended}");
    // The instance is given back when its call has ended.
    tokio::task::block_in_place(|| wait_until("the end of the guest", || stage.memory.reserved() == 0));
}
