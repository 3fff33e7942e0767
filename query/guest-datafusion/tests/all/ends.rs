//! Queries that end before their time: by an error, a limit, or because nobody reads them.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use guest_datafusion::datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use guest_datafusion::datafusion::prelude::SessionContext;
use guest_datafusion::guest_functions::guest_host::{Cause, InstanceConfig};
use guest_datafusion::guest_functions::{FunctionError, ModuleConfig};
use guest_datafusion::{FolderResolver, WasmFunctionFactory, WasmModules, register_module};

use crate::support::{built, function_error, register_text, rows, session, shown, table, with_functions};

/// `spin` never ends; `quotient` traps where the divisor is 0.
const FUNCTIONS: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "spin") (param i64) (result i64) (loop (br 0)) (unreachable))
    (func (export "quotient") (param i64 i64) (result i64) (i64.div_s (local.get 0) (local.get 1))))"#;

/// A time that no test reaches unless a guest does not end when it has to.
const VERY_LONG: Duration = Duration::from_secs(600);

fn with_deadline(deadline: Duration) -> ModuleConfig {
    let config = ModuleConfig::default();
    let instance: InstanceConfig = config.instance.clone().with_deadline(Some(deadline));
    config.with_instance(instance)
}

/// A table `t` of two partitions, of two batches with these numbers each.
fn numbers(ctx: &SessionContext, numbers: &[i64]) {
    let numbers: ArrayRef = Arc::new(Int64Array::from(numbers.to_vec()));
    let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
    table(ctx, "t", vec![vec![batch.clone(), batch.clone()], vec![batch.clone(), batch]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_query_that_is_dropped_ends_its_guests() {
    let (ctx, pool) = session(2);
    register_text(&ctx, FUNCTIONS, with_deadline(VERY_LONG));
    numbers(&ctx, &[1, 2, 3]);
    for sql in ["SELECT spin(n) FROM t", "SELECT sum(spin(n)) FROM t", "SELECT n FROM t WHERE spin(n) > 1 ORDER BY n"] {
        let before = pool.instances();
        let mut stream = ctx.sql(sql).await.unwrap().execute_stream().await.unwrap();
        // Both partitions are inside a guest.
        while pool.instances() < before + 2 {
            assert!(tokio::time::timeout(Duration::from_millis(5), stream.next()).await.is_err(), "{sql} returned");
        }
        drop(stream);
        pool.is_given_back().await;
        assert_eq!(pool.instances(), before + 2, "{sql}");
    }
    assert_eq!(rows(&ctx, "SELECT max(quotient(n, 1)) FROM t").await.unwrap(), ["3"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timeout_around_a_query_works_and_so_does_an_aborted_task() {
    let (ctx, pool) = session(1);
    register_text(&ctx, FUNCTIONS, with_deadline(VERY_LONG));
    let spin = |ctx: SessionContext| async move { rows(&ctx, "SELECT spin(x) FROM (VALUES (1), (2)) AS t(x)").await };
    assert!(tokio::time::timeout(Duration::from_millis(50), spin(ctx.clone())).await.is_err());
    pool.is_given_back().await;
    let before = pool.instances();
    let task = tokio::spawn(spin(ctx.clone()));
    while pool.instances() == before {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    pool.is_given_back().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_guest_that_never_ends_is_an_error_and_other_queries_go_on() {
    let (ctx, pool) = session(2);
    register_text(&ctx, FUNCTIONS, with_deadline(Duration::from_millis(200)));
    numbers(&ctx, &[4, 6]);
    let endless = tokio::spawn({
        let ctx = ctx.clone();
        async move { rows(&ctx, "SELECT spin(n) FROM t").await }
    });
    for _ in 0..5 {
        assert_eq!(rows(&ctx, "SELECT sum(quotient(n, 2)) FROM t").await.unwrap(), ["20"]);
    }
    let error = endless.await.unwrap().unwrap_err();
    match function_error(&error) {
        FunctionError::Row { failure, .. } | FunctionError::Call(failure) => {
            assert!(matches!(failure.cause, Cause::DeadlineExceeded { .. }) && failure.function == "spin", "{error}");
        }
        other => panic!("{other}"),
    }
    pool.is_given_back().await;
}

#[tokio::test]
async fn a_row_that_fails_is_named_and_the_next_query_works() {
    let ctx = with_functions(1);
    register_text(&ctx, FUNCTIONS, ModuleConfig::default());
    numbers(&ctx, &[4, 6, 0, 2]);
    for (sql, words) in [
        ("SELECT quotient(8, n) FROM t", "the guest trapped"),
        ("SELECT safe_div(8, n) FROM t", "the divisor is 0"),
        ("SELECT count(*) FROM t WHERE quotient(8, n) > 1", "the guest trapped"),
    ] {
        let error = rows(&ctx, sql).await.unwrap_err();
        assert!(matches!(function_error(&error), FunctionError::Row { row: 2, .. }), "{sql}: {error:?}");
        let text = error.to_string();
        assert!(text.contains("row 2 of the batch") && text.contains(words), "{sql}: {text}");
        assert_eq!(rows(&ctx, "SELECT sum(quotient(n, 2) + safe_div(n, 2)) FROM t").await.unwrap(), ["48"]);
    }
    // Constants are computed while the query is planned.
    let error = rows(&ctx, "SELECT quotient(1, 0)").await.unwrap_err();
    assert!(matches!(function_error(&error), FunctionError::Row { row: 0, .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_goes_on_when_its_function_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("functions.wasm"), built("functions-leaking")).unwrap();
    let (ctx, pool) = session(1);
    let resolver = Arc::new(FolderResolver::new(folder.path()));
    WasmFunctionFactory::install(&ctx, resolver, ModuleConfig::default()).unwrap();
    let modules = WasmModules::of(&ctx).unwrap();
    rows(&ctx, "CREATE FUNCTION gcd() LANGUAGE WASM AS 'functions.wasm'").await.unwrap();
    numbers(&ctx, &[4, 6]);
    let mut stream = ctx.sql("SELECT gcd(n, 12) FROM t").await.unwrap().execute_stream().await.unwrap();
    let mut found = shown(&[stream.next().await.unwrap().unwrap()]);
    rows(&ctx, "DROP FUNCTION gcd").await.unwrap();
    assert!(rows(&ctx, "SELECT gcd(1, 2)").await.is_err());
    assert_eq!(modules.modules().len(), 1, "the query has it");
    while let Some(batch) = stream.next().await {
        found.extend(shown(&[batch.unwrap()]));
    }
    assert_eq!(found, ["4", "6", "4", "6", "4", "6", "4", "6"]);
    drop(stream);
    pool.is_given_back().await;
    assert!(modules.modules().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_volatile_function_has_a_result_for_each_row() {
    let (ctx, _) = session(1);
    register_module(&ctx, "functions", &built("functions-leaking"), ModuleConfig::default()).unwrap();
    numbers(&ctx, &[4, 6]);
    // 0, drawn for each of the rows, and 16294208416658607535 as a native function has it.
    let found = rows(&ctx, "SELECT draws(CAST(0 AS BIGINT UNSIGNED)) FROM t").await.unwrap();
    assert_eq!(found, ["16294208416658607535"; 8]);
}
