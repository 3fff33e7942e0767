//! Plans: what they show, and the instances that they have.

use std::sync::Arc;

use guest_datafusion::datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use guest_datafusion::datafusion::prelude::SessionContext;
use guest_datafusion::guest_functions::{Module, ModuleConfig, Pristine};
use guest_datafusion::{FolderResolver, RegisterError, WasmFunctionFactory, WasmModules, register_module};

use crate::support::{built, gcd, rows, session, table};

fn functions(ctx: &SessionContext) -> Module {
    register_module(ctx, "functions", &built("functions-leaking"), ModuleConfig::default()).unwrap()
}

/// A table `t` of so many partitions, each of 50 batches of 20 numbers.
fn numbers(ctx: &SessionContext, partitions: i64) -> i64 {
    let batch = |first: i64| {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(first..first + 20));
        RecordBatch::try_from_iter([("n", numbers)]).unwrap()
    };
    table(ctx, "t", (0..partitions).map(|part| (0..50).map(|at| batch((part * 50 + at) * 20)).collect()).collect());
    (0..partitions * 1000).map(|n| gcd(n, 36)).sum()
}

#[tokio::test]
async fn explain_shows_the_hash_and_columns_have_natural_names() {
    let (ctx, _) = session(2);
    let module = functions(&ctx);
    numbers(&ctx, 2);
    let hash: String = module.hash()[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    let sql = "SELECT gcd(n, 36) AS d, gcd(n, 5) FROM t WHERE gcd(n, 10) > 1 ORDER BY gcd(n, 7)";
    let plan = rows(&ctx, &format!("EXPLAIN {sql}")).await.unwrap().join("\n");
    let (_, physical) = plan.split_once("physical_plan").unwrap();
    assert!(physical.matches(&format!("gcd@{hash}(n@")).count() >= 3, "{plan}");
    let batches = ctx.sql(sql).await.unwrap().collect().await.unwrap();
    let names: Vec<String> = batches[0].schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["d", "gcd(t.n,Int64(5))"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_have_instances_of_their_own_that_end_with_the_query() {
    let (ctx, pool) = session(2);
    functions(&ctx);
    let expected = numbers(&ctx, 2);
    let frame = ctx.sql("SELECT sum(gcd(n, 36)), count(nullable(n)) FROM t").await.unwrap();
    let plan = frame.create_physical_plan().await.unwrap();
    assert_eq!((pool.instances(), pool.charged()), (0, 0), "planning makes none");
    let batches =
        guest_datafusion::datafusion::physical_plan::collect(Arc::clone(&plan), ctx.task_ctx()).await.unwrap();
    assert_eq!(crate::support::shown(&batches), [format!("{expected}|2000")]);
    // 100 batches and two functions of one module, on two threads.
    assert!((1..=2).contains(&pool.instances()), "{} instances", pool.instances());
    assert!(pool.charged() > 0, "the plan can be executed again");
    drop(plan);
    pool.is_given_back().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_can_be_executed_again() {
    let (ctx, pool) = session(2);
    functions(&ctx);
    let expected = numbers(&ctx, 2);
    let frame = ctx.sql("SELECT sum(gcd(n, 36)) FROM t").await.unwrap();
    let plan = frame.create_physical_plan().await.unwrap();
    for _ in 0..3 {
        let collect = guest_datafusion::datafusion::physical_plan::collect(Arc::clone(&plan), ctx.task_ctx());
        assert_eq!(crate::support::shown(&collect.await.unwrap()), [expected.to_string()]);
    }
    drop(plan);
    pool.is_given_back().await;
}

#[tokio::test]
async fn functions_work_wherever_expressions_do() {
    let (ctx, _) = session(2);
    functions(&ctx);
    numbers(&ctx, 1);
    for (sql, expected) in [
        ("SELECT count(*) FROM t WHERE gcd(n, 10) = 10", "100"),
        ("SELECT count(*) FROM t AS a JOIN t AS b ON gcd(a.n, 0) = b.n", "1000"),
        ("SELECT count(*) FROM t WHERE n IN (SELECT gcd(n, 4) FROM t)", "3"),
        ("SELECT (SELECT max(gcd(n, 36)) FROM t)", "36"),
        ("SELECT count(DISTINCT g) FROM (SELECT gcd(n, 12) AS g FROM t GROUP BY gcd(n, 12))", "6"),
        ("SELECT max(gcd(n, 36)) OVER (PARTITION BY gcd(n, 2)) FROM t ORDER BY 1 DESC LIMIT 1", "36"),
        ("SELECT CASE WHEN gcd(4, 6) = 2 THEN upper('yes') ELSE 'no' END", "YES"),
        ("SELECT gcd(a => 4, b => 6)", "2"),
    ] {
        assert_eq!(rows(&ctx, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}")), [expected], "{sql}");
    }
    ctx.sql("CREATE VIEW v AS SELECT gcd(n, 8) AS g FROM t").await.unwrap().collect().await.unwrap();
    assert_eq!(rows(&ctx, "SELECT max(g) FROM v").await.unwrap(), ["8"]);
}

#[tokio::test]
async fn documentation_is_that_of_the_module() {
    let (ctx, _) = session(1);
    functions(&ctx);
    let sql = "SELECT DISTINCT description, syntax_example FROM information_schema.routines WHERE routine_name = 'gcd'";
    assert_eq!(rows(&ctx, sql).await.unwrap(), ["The greatest common divisor. That of 0 and 0 is 0.|gcd(a, b)"]);
}

#[tokio::test]
async fn one_module_may_be_there_with_two_configurations() {
    let (ctx, pool) = session(1);
    functions(&ctx);
    let config = ModuleConfig::default().with_pristine(Pristine::Row);
    let again = WasmModules::of(&ctx).unwrap().register(&ctx, "again", &built("functions-leaking"), config);
    assert!(matches!(again, Err(RegisterError::Exists { .. })));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("f.wasm"), built("functions-leaking")).unwrap();
    let config = ModuleConfig::default().with_pristine(Pristine::Row);
    WasmFunctionFactory::install(&ctx, Arc::new(FolderResolver::new(folder.path())), config).unwrap();
    rows(&ctx, "CREATE FUNCTION by_row() LANGUAGE WASM AS 'f.wasm#gcd'").await.unwrap();
    assert_eq!(WasmModules::of(&ctx).unwrap().modules().len(), 2);
    numbers(&ctx, 1);
    // An instance of each.
    let before = pool.instances();
    assert_eq!(rows(&ctx, "SELECT max(gcd(n, 36) - by_row(n, 36)) FROM t").await.unwrap(), ["0"]);
    assert_eq!(pool.instances(), before + 2);
}

#[tokio::test]
async fn two_modules_cannot_have_functions_of_one_name() {
    let (ctx, _) = session(1);
    functions(&ctx);
    let again = register_module(&ctx, "others", &built("functions-freelist"), ModuleConfig::default());
    let error = again.unwrap_err().to_string();
    assert!(error.starts_with("a function `") && error.contains("exists"), "{error}");
}
