//! Instances are charged to the session's memory pool.

use std::sync::Arc;

use guest_datafusion::datafusion::arrow::array::{ArrayRef, Int32Array, RecordBatch};
use guest_datafusion::datafusion::error::DataFusionError;
use guest_datafusion::guest_functions::ModuleConfig;

use crate::support::{limited, register_text, rows, table};

const PAGE: usize = 64 << 10;

/// `grown` grows memory by so many pages and traps if it gets none; `tried` says whether it got them.
const FUNCTIONS: &str = r#"(module
    (memory (export "memory") 2)
    (func (export "tried") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "grown") (param i32) (result i32)
        (if (i32.lt_s (memory.grow (local.get 0)) (i32.const 0)) (then (unreachable)))
        (memory.size)))"#;

fn exhausted(error: &DataFusionError) -> &str {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(text) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn growth_beyond_the_pool_is_an_error_that_names_the_function() {
    let (ctx, pool) = limited(1, 16 * PAGE);
    register_text(&ctx, FUNCTIONS, ModuleConfig::default());
    let pages: ArrayRef = Arc::new(Int32Array::from(vec![1, 5, 14, 15]));
    table(&ctx, "t", vec![vec![RecordBatch::try_from_iter([("pages", pages)]).unwrap()]]);
    // Each row begins with two pages.
    assert_eq!(rows(&ctx, "SELECT grown(pages) FROM t WHERE pages < 15").await.unwrap(), ["3", "7", "16"]);
    pool.is_given_back().await;
    let error = rows(&ctx, "SELECT grown(pages) FROM t").await.unwrap_err();
    let text = exhausted(&error);
    assert!(text.starts_with("no memory for the WebAssembly function `grown`"), "{text}");
    pool.is_given_back().await;
    // A guest that does without the memory goes on.
    assert_eq!(rows(&ctx, "SELECT tried(pages) FROM t").await.unwrap(), ["2", "2", "2", "-1"]);
}

#[tokio::test]
async fn an_instance_that_does_not_fit_the_pool_is_not_made() {
    let (ctx, pool) = limited(1, PAGE);
    register_text(&ctx, FUNCTIONS, ModuleConfig::default());
    for sql in ["SELECT grown(1)", "SELECT grown(x) FROM (VALUES (1), (2)) AS t(x)"] {
        let error = rows(&ctx, sql).await.unwrap_err();
        assert!(exhausted(&error).contains("`grown`"), "{sql}: {error}");
        assert_eq!(pool.charged(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_plan_has_is_what_its_instances_have() {
    let (ctx, pool) = limited(1, 64 * PAGE);
    register_text(&ctx, FUNCTIONS, ModuleConfig::default());
    let frame = ctx.sql("SELECT grown(x) FROM (VALUES (1), (2)) AS t(x)").await.unwrap();
    let plan = frame.create_physical_plan().await.unwrap();
    assert_eq!(pool.charged(), 0);
    let batches =
        guest_datafusion::datafusion::physical_plan::collect(Arc::clone(&plan), ctx.task_ctx()).await.unwrap();
    assert_eq!(crate::support::shown(&batches), ["3", "4"]);
    // Pages that a call grew stay with the instance for the next one.
    assert_eq!((pool.instances(), pool.charged()), (1, 4 * PAGE));
    drop(plan);
    pool.is_given_back().await;
}
