//! Aggregates through SQL: groups, windows, filters, partitions, and what fails.

use std::collections::BTreeMap;
use std::sync::Arc;

use guest_datafusion::datafusion::arrow::array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use guest_datafusion::datafusion::prelude::SessionContext;
use guest_datafusion::guest_functions::guest_host::Cause;
use guest_datafusion::guest_functions::{FunctionError, ModuleConfig};
use guest_datafusion::register_module;

use crate::support::{built, function_error, rows, session, table, with_functions};

/// A table `t` of two partitions with a group, a number and a text in each row.
fn filled(ctx: &SessionContext, groups: i64) -> Vec<(i64, Option<i64>, String)> {
    let row =
        |at: i64| (at * 7 % groups, (at % 5 != 0).then_some(at % 97), "x".repeat(usize::try_from(at % 9).unwrap()));
    let batch = |rows: std::ops::Range<i64>| {
        let rows: Vec<_> = rows.map(row).collect();
        let key: ArrayRef = Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>());
        let number: ArrayRef = Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>());
        let text: ArrayRef = Arc::new(rows.iter().map(|row| Some(row.2.as_str())).collect::<StringArray>());
        RecordBatch::try_from_iter_with_nullable([("g", key, false), ("n", number, true), ("s", text, false)]).unwrap()
    };
    table(ctx, "t", vec![(0..5).map(|at| batch(at * 100..at * 100 + 100)).collect(), vec![batch(500..1000)]]);
    (0..1000).map(row).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_have_the_results_of_the_built_in_ones() {
    let ctx = with_functions(2);
    // Few groups, and so many that DataFusion passes the states of single rows on, once it has seen some.
    for groups in [7, 900] {
        let ctx = if groups == 7 { ctx.clone() } else { with_functions(2) };
        let all = filled(&ctx, groups);
        let few = "SET datafusion.execution.skip_partial_aggregation_probe_rows_threshold = 50";
        ctx.sql(few).await.unwrap().collect().await.unwrap();
        let sql = |mean: &str, nulls: &str, longest: &str| {
            format!("SELECT g, {mean}, {nulls}, {longest} FROM t GROUP BY g ORDER BY g")
        };
        let own = rows(&ctx, &sql("mean(n)", "count_nulls(n)", "longest_text(s)")).await.unwrap();
        let built_in = rows(&ctx, &sql("avg(n)", "count(*) - count(n)", "max(s)")).await.unwrap();
        assert_eq!(own, built_in);
        let keys: BTreeMap<i64, ()> = all.iter().map(|row| (row.0, ())).collect();
        assert_eq!(own.len(), keys.len());
        let filtered =
            "SELECT g, mean(n) FILTER (WHERE n > 40), count_nulls(n) FILTER (WHERE g < 3) FROM t GROUP BY g ORDER BY g";
        let expected = "SELECT g, avg(n) FILTER (WHERE n > 40), count(*) FILTER (WHERE g < 3 AND n IS NULL) FROM t GROUP BY g ORDER BY g";
        assert_eq!(rows(&ctx, filtered).await.unwrap(), rows(&ctx, expected).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_groups_all_rows_are_one() {
    let ctx = with_functions(2);
    filled(&ctx, 7);
    let found = rows(&ctx, "SELECT mean(n), count_nulls(n), longest_text(s) FROM t").await.unwrap();
    assert_eq!(found, rows(&ctx, "SELECT avg(n), count(*) - count(n), max(s) FROM t").await.unwrap());
    // Of no rows.
    assert_eq!(rows(&ctx, "SELECT mean(n), count_nulls(n) FROM t WHERE g > 7").await.unwrap(), ["NULL|0"]);
    let near = rows(&ctx, "SELECT abs(percentile(n, 0.5) - median(n)) <= 0.01 * median(n) + 1 FROM t").await.unwrap();
    assert_eq!(near, ["true"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_slide_where_the_guest_retracts() {
    let ctx = with_functions(2);
    filled(&ctx, 7);
    let over = "OVER (PARTITION BY g ORDER BY s, n ROWS BETWEEN 3 PRECEDING AND CURRENT ROW)";
    let sql = |call: &str| format!("SELECT g, s, n, round({call}(n) {over}, 6) FROM t ORDER BY g, s, n, 4");
    assert_eq!(rows(&ctx, &sql("mean")).await.unwrap(), rows(&ctx, &sql("avg")).await.unwrap());
    let running = |call: &str| format!("SELECT s, {call} OVER (ORDER BY s) FROM t ORDER BY s");
    let counted = rows(&ctx, &running("count_nulls(n)")).await.unwrap();
    assert_eq!(counted, rows(&ctx, &running("count(CASE WHEN n IS NULL THEN 1 END)")).await.unwrap());
    // Windows and subqueries of no rows.
    let before = "OVER (ORDER BY s, n, g ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)";
    let counted = rows(&ctx, &format!("SELECT count_nulls(n) {before} AS c FROM t ORDER BY c LIMIT 1")).await.unwrap();
    assert_eq!(counted, ["0"]);
    let none = "SELECT (SELECT count_nulls(u.n) FROM t u WHERE u.g = v.k) FROM (VALUES (100)) AS v(k)";
    assert_eq!(rows(&ctx, none).await.unwrap(), ["0"]);
    let error = rows(&ctx, &format!("SELECT count_nulls(n) {over} FROM t")).await.unwrap_err().to_string();
    assert!(error.contains("retract"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explain_shows_the_hash_columns_have_natural_names_and_instances_end() {
    let (ctx, pool) = session(2);
    let module = register_module(&ctx, "functions", &built("functions-leaking"), ModuleConfig::default()).unwrap();
    filled(&ctx, 7);
    let hash: String = module.hash()[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    let sql = "SELECT g, mean(n), mean(n) OVER (ORDER BY g) FROM (SELECT g, n FROM t) GROUP BY g, n";
    let plan = rows(&ctx, &format!("EXPLAIN {sql}")).await.unwrap().join("\n");
    assert!(plan.contains(&format!("mean@{hash}")), "{plan}");
    let frame = ctx.sql("SELECT mean(n) FROM t").await.unwrap();
    assert_eq!(frame.schema().field(0).name(), "mean(t.n)");
    let batches = frame.collect().await.unwrap();
    assert_eq!(batches[0].schema().field(0).name(), "mean(t.n)");
    assert!((1..=3).contains(&pool.instances()), "{} instances", pool.instances());
    pool.is_given_back().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_that_call_functions_leave_the_names_of_columns() {
    let ctx = with_functions(2);
    filled(&ctx, 7);
    for (sql, expected) in [
        (
            "SELECT count(*) FILTER (WHERE gcd(g, 6) > 1) FROM t",
            "SELECT count(*) FILTER (WHERE g IN (0, 2, 3, 4, 6)) FROM t",
        ),
        (
            "SELECT DISTINCT count(*) FILTER (WHERE gcd(g, 6) > 1) FROM t GROUP BY g",
            "SELECT DISTINCT count(*) FILTER (WHERE g IN (0, 2, 3, 4, 6)) FROM t GROUP BY g",
        ),
        (
            "SELECT g, mean(n) FILTER (WHERE gcd(g, 6) > 1) FROM t GROUP BY g HAVING count(*) FILTER (WHERE gcd(g, 6) > 1) > 0",
            "SELECT g, avg(n) FROM t WHERE g IN (0, 2, 3, 4, 6) GROUP BY g",
        ),
        (
            "SELECT g, count(*) FILTER (WHERE gcd(g, 6) > 1) OVER (PARTITION BY s ORDER BY g) FROM t",
            "SELECT g, count(*) FILTER (WHERE g IN (0, 2, 3, 4, 6)) OVER (PARTITION BY s ORDER BY g) FROM t",
        ),
    ] {
        let sorted = async |sql: &str| {
            let mut found = rows(&ctx, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
            found.sort();
            found
        };
        assert_eq!(sorted(sql).await, sorted(expected).await, "{sql}");
        let frame = ctx.sql(sql).await.unwrap();
        let planned: Vec<String> = frame.schema().fields().iter().map(|field| field.name().clone()).collect();
        let batches = frame.collect().await.unwrap();
        let found: Vec<String> = batches[0].schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(found, planned, "{sql}");
        assert!(planned.iter().all(|name| !name.contains('@')), "{planned:?}");
    }
}

#[tokio::test]
async fn errors_are_typed_and_say_what_to_do() {
    let ctx = with_functions(1);
    filled(&ctx, 7);
    let error = rows(&ctx, "SELECT percentile(n, 1.5) FROM t").await.unwrap_err();
    match function_error(&error) {
        FunctionError::Row { failure, .. } => {
            assert!(matches!(&failure.cause, Cause::GuestError { message, .. } if message.contains("0 to 1")));
        }
        other => panic!("{other}"),
    }
    for (sql, told) in [
        ("SELECT mean(DISTINCT n), count_nulls(DISTINCT g) FROM t", "select distinct rows first"),
        ("SELECT mean(n ORDER BY s) FROM t", "order the rows in a window"),
        ("SELECT mean(s) FROM t", "the parameter `number` of `mean` has type f64"),
        ("SELECT percentile(n) FROM t", "`percentile` takes 2 arguments, not 1"),
    ] {
        let error = rows(&ctx, sql).await.unwrap_err().to_string();
        assert!(error.contains(told), "{sql}: {error}");
    }
    // One alone is a query over groups.
    assert_eq!(rows(&ctx, "SELECT mean(DISTINCT n) FROM t").await.unwrap(), ["48.0"]);
    // And the next query goes on.
    assert_eq!(rows(&ctx, "SELECT count_nulls(n) FROM t").await.unwrap(), ["200"]);
}

#[tokio::test]
async fn an_aggregate_is_created_and_dropped_by_sql() {
    let (ctx, _, _folder) = crate::create::factory();
    rows(&ctx, "CREATE FUNCTION average(number DOUBLE) RETURNS DOUBLE LANGUAGE WASM AS 'functions.wasm#mean'")
        .await
        .unwrap();
    let numbers: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0, 6.0]));
    table(&ctx, "t", vec![vec![RecordBatch::try_from_iter([("n", Arc::clone(&numbers))]).unwrap()]]);
    assert_eq!(numbers.len(), 3);
    assert_eq!(rows(&ctx, "SELECT average(n) FROM t").await.unwrap(), ["3.0"]);
    rows(&ctx, "DROP FUNCTION average").await.unwrap();
    assert!(rows(&ctx, "SELECT average(n) FROM t").await.is_err());
}
