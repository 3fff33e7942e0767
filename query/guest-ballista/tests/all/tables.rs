//! Table functions of modules on executors: selected, limited, joined with tables, and what fails.

use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use datafusion_proto::bytes::{
    logical_plan_from_bytes_with_extension_codec, logical_plan_to_bytes_with_extension_codec,
    physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec,
};
use guest_ballista::guest_datafusion::guest_functions::{ModuleConfig, TableFunction};
use guest_ballista::guest_datafusion::register_module;
use guest_ballista::{FunctionCodecError, ModuleStore, WasmFunctions};
use guest_ballista_plan::{FunctionCodec as _, Payload, Source, TableCall};

use crate::cluster::{Cluster, built, compare, run, text, wait_until};
use crate::codec::{engine, executor, payload_of};
use crate::support::trapping;

const QUERIES: [&str; 14] = [
    "SELECT position, word FROM tokens('to be or not to be') ORDER BY position",
    "SELECT word, count(*) AS n FROM tokens('to be or not to be') GROUP BY word ORDER BY word",
    "SELECT name, value FROM settings('a=1\nb=') ORDER BY name",
    // Rows without an end, of which the limit takes some.
    "SELECT number FROM series(0, 9223372036854775807, 1) LIMIT 3",
    "SELECT count(*) AS n FROM (SELECT number FROM series(0, 9223372036854775807, 1) WHERE gcd(number, 6) = 6 LIMIT 2)",
    "SELECT t.id, t.a, s.number FROM t JOIN series(0, 1000, 100) AS s ON t.id = s.number ORDER BY t.id",
    "SELECT s.number, count(t.id) AS n FROM series(1990, 2010, 5) AS s LEFT JOIN t ON t.id = s.number GROUP BY s.number ORDER BY 1",
    "SELECT count(*) AS n, sum(s.number) AS s FROM t, series(1, 4, 1) AS s WHERE t.id < 1000",
    "SELECT count(*) AS n, sum(s.number) AS s FROM series(1, 100, 1) AS s JOIN t ON s.number > t.id",
    "SELECT id FROM t WHERE id IN (SELECT number FROM series(0, 20, 5)) ORDER BY id",
    "SELECT id FROM t WHERE id < (SELECT max(number) FROM series(0, 5, 1)) ORDER BY id",
    "SELECT gcd(number, 6) AS g, mean(number) AS m FROM series(1, 100, 1) GROUP BY gcd(number, 6) ORDER BY g",
    "SELECT count(*) AS n, sum(number) AS s FROM (SELECT number FROM series(0, 3, 1) UNION ALL SELECT number FROM series(10, 12, 1) \
     UNION ALL SELECT id FROM t WHERE id < 20)",
    "SELECT number, mean(number) OVER (ORDER BY number ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS m FROM series(0, 5, 1) \
     ORDER BY number",
];

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_those_of_one_node() {
    let cluster = Cluster::start(2, &[]);
    compare(&cluster, 1 << 20, &QUERIES).await;
    let session = cluster.connect(1 << 20).await;
    session.register_module("functions", &built("functions-leaking"), ModuleConfig::default()).await.unwrap();
    let none = run(session.context(), "SELECT * FROM tokens(CAST(NULL AS TEXT))").await.unwrap();
    assert_eq!(none.iter().map(|batch| batch.num_rows()).sum::<usize>(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_a_join_collects_has_a_stage_of_its_own() {
    let cluster = Cluster::start(1, &[]);
    let session = cluster.connect(1 << 20).await;
    session.register_module("functions", &built("functions-leaking"), ModuleConfig::default()).await.unwrap();
    for sql in [
        "SELECT count(*) AS n FROM series(1, 4, 1) AS s CROSS JOIN t",
        "SELECT count(*) AS n FROM series(1, 100, 1) AS s JOIN t ON s.number > t.id",
    ] {
        run(session.context(), sql).await.unwrap();
        // In the stage of the join, each task that has parts of `t` would call the function.
        let has_plan = || cluster.scheduler.log().contains("WasmTableExec: series@");
        tokio::task::block_in_place(|| wait_until("the plan in the log", has_plan));
        let log = cluster.scheduler.log();
        let plan: Vec<&str> = log.lines().take_while(|line| !line.contains("WasmTableExec: series@")).collect();
        let is_boundary = |line: &&&str| line.contains("ExchangeExec") || line.contains("JoinExec");
        let above = plan.iter().rev().find(is_boundary).unwrap();
        assert!(above.contains("ExchangeExec"), "{sql}: {log}");
        cluster.scheduler.clear_log();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_named_and_the_next_query_goes_on() {
    let cluster = Cluster::start(2, &["--deadline", "2000", "--table-rows", "1000"]);
    let session = cluster.connect(1 << 20).await;
    session.register_module("functions", &built("functions-leaking"), ModuleConfig::default()).await.unwrap();
    session.register_module("broken", &trapping(), ModuleConfig::default()).await.unwrap();
    for (sql, expected) in [
        ("SELECT * FROM broken_rows(1)", "`broken_rows`"),
        ("SELECT count(*) FROM t, broken_rows(1)", "unreachable"),
        ("SELECT * FROM series(1, 2, 0)", "the step of a series is not 0"),
        ("SELECT * FROM settings('a=1\nb=x')", "`x` is no number"),
        ("SELECT * FROM series(NULL, 2, 1)", "null"),
        // Without an end: its rows would be written to the executor's disk for ever.
        ("SELECT count(*) FROM series(0, 9223372036854775807, 1)", "a call of `series` has more than the 1000 rows"),
        ("SELECT count(*) FROM t JOIN series(0, 9223372036854775807, 1) AS s ON t.id = s.number", "the 1000 rows"),
    ] {
        match run(session.context(), sql).await.unwrap_err() {
            DataFusionError::Execution(error) => assert!(error.contains(expected), "{sql}: {error}"),
            other => panic!("{sql}: {other:?}"),
        }
    }
    let found = run(session.context(), "SELECT sum(number) AS s FROM series(1, 5, 1)").await.unwrap();
    assert!(text(&found).contains("| 10 |"), "{}", text(&found));
}

#[test]
fn a_table_function_that_is_not_as_the_plan_says_is_refused() {
    let bytes = built("functions-leaking");
    let sent = payload_of::<TableFunction>(&bytes, ModuleConfig::default(), "tokens", &ModuleStore::default());
    let mut other = Payload::decode(&sent).unwrap();
    other.planning.results.pop();
    let error = executor().read::<TableFunction>(&other.encode().unwrap()).unwrap_err();
    assert!(matches!(error, FunctionCodecError::Signature { .. }), "{error}");
    assert!(error.to_string().contains("`tokens(text: string) -> table(position: i64, word: string)`"), "{error}");

    // In a plan, such a table is there, and to read it fails: what a client learns of.
    let mut stored = Payload::decode(&sent).unwrap();
    stored.module.source = Source::Stored;
    let call = TableCall { function: stored.encode().unwrap(), arguments: vec![ScalarValue::from("to be")] };
    let context = SessionContext::new();
    context.register_table("words", executor().decode_table(call.clone()).unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let error = runtime.block_on(run(&context, "SELECT * FROM words")).unwrap_err();
    assert!(
        matches!(&error, DataFusionError::Execution(_)) && error.to_string().contains("are in an object store"),
        "{error}"
    );
    assert!(executor().decode_table(TableCall { function: b"wasmfn".to_vec(), ..call }).is_err());

    // Arguments that do not fit are an error of a plan.
    let call = TableCall { function: sent, arguments: vec![ScalarValue::from(1_i64)] };
    let error = executor().decode_table(call).unwrap_err().to_string();
    assert!(error.contains("the parameter `text` of `called` has type string"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_are_read_where_the_function_never_was() {
    let (bytes, store) = (built("functions-leaking"), ModuleStore::default());
    store.put(&bytes).await.unwrap();
    let client = SessionContext::new();
    register_module(&client, "functions", &bytes, ModuleConfig::default()).unwrap();
    let (client_side, other) = (WasmFunctions::new(&engine(), store), SessionContext::new());
    for sql in [
        "SELECT word FROM tokens('to be or not') LIMIT 2",
        "SELECT number FROM series(0, 9223372036854775807, 1) LIMIT 3",
        "SELECT name FROM settings('a=1\nb=') WHERE value IS NULL",
    ] {
        let expected = text(&run(&client, sql).await.unwrap());
        let frame = client.sql(sql).await.unwrap();
        let sent =
            logical_plan_to_bytes_with_extension_codec(frame.logical_plan(), &client_side.logical_codec()).unwrap();
        let codec = executor().logical_codec();
        let plan = logical_plan_from_bytes_with_extension_codec(&sent, &other.task_ctx(), &codec).unwrap();
        let found = other.execute_logical_plan(plan).await.unwrap().collect().await.unwrap();
        assert_eq!(text(&found), expected, "{sql}");

        let plan = frame.create_physical_plan().await.unwrap();
        let sent = physical_plan_to_bytes_with_extension_codec(plan, &client_side.physical_codec()).unwrap();
        let codec = executor().physical_codec();
        let plan = physical_plan_from_bytes_with_extension_codec(&sent, &other.task_ctx(), &codec).unwrap();
        let found = datafusion::physical_plan::collect(plan, other.task_ctx()).await.unwrap();
        assert_eq!(text(&found), expected, "{sql}");
    }
}
