//! Aggregates of modules on executors: groups whose states go from one process to another, windows, and what fails.

use std::sync::Arc;

use datafusion::error::DataFusionError;
use datafusion::logical_expr::AggregateUDF;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_proto::bytes::{
    physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec,
};
use guest_ballista::guest_datafusion::guest_functions::{Aggregate, ModuleConfig};
use guest_ballista::guest_datafusion::register_module;
use guest_ballista::{FunctionCodecError, ModuleStore};
use guest_ballista_plan::{FunctionCodec as _, FunctionKind, Payload, Source};

use crate::cluster::{Cluster, built, compare, run, text};
use crate::codec::{executor, payload_of};
use crate::support::trapping;

/// Queries whose states cross between executors, and queries with windows.
const QUERIES: [&str; 10] = [
    "SELECT id % 5 AS g, mean(id) AS m, count_nulls(NULLIF(id % 10, 3)) AS c, longest_text(repeat('x', id % 9)) AS l FROM t \
     GROUP BY id % 5 ORDER BY g",
    // Each group has rows in all files. There are more groups than a batch of states holds.
    "SELECT id % 700 AS g, mean(id) AS m FROM t GROUP BY id % 700 ORDER BY g",
    "SELECT mean(id) AS m, count_nulls(levenshtein(a, b)) AS c FROM t",
    "SELECT upper(a) AS u, mean(levenshtein(a, b)) AS m FROM t GROUP BY upper(a) HAVING mean(levenshtein(a, b)) > 2 ORDER BY u",
    "SELECT id % 3 AS g, mean(DISTINCT id % 100) AS m FROM t GROUP BY id % 3 ORDER BY g",
    "SELECT id % 3 AS g, mean(id) FILTER (WHERE gcd(id, 6) > 1) AS m, count(*) FILTER (WHERE gcd(id, 6) > 1) FROM t GROUP BY id % 3 \
     ORDER BY g",
    "SELECT x, (SELECT count_nulls(u.id) FROM t AS u WHERE u.id = v.x) AS c FROM (VALUES (1), (9999)) AS v(x) ORDER BY x",
    "SELECT id, mean(id) OVER (PARTITION BY id % 7 ORDER BY id ROWS BETWEEN 3 PRECEDING AND CURRENT ROW) AS m FROM t ORDER BY id",
    "SELECT id, count_nulls(NULLIF(id % 10, 3)) OVER (ORDER BY id) AS c, \
     mean(id) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS m FROM t ORDER BY id",
    "SELECT id, count_nulls(id) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS c FROM t ORDER BY id",
];

#[tokio::test(flavor = "multi_thread")]
async fn groups_and_windows_are_those_of_one_node() {
    let cluster = Cluster::start(2, &[]);
    // Both executors have parts of each aggregation.
    assert_eq!(compare(&cluster, 1 << 20, &QUERIES).await, [1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_named_and_the_next_query_goes_on() {
    let cluster = Cluster::start(2, &[]);
    let session = cluster.connect(1 << 20).await;
    session.register_module("functions", &built("functions-leaking"), ModuleConfig::default()).await.unwrap();
    session.register_module("broken", &trapping(), ModuleConfig::default()).await.unwrap();
    for (sql, expected) in [
        ("SELECT broken(id) FROM t", "`broken`"),
        ("SELECT id % 3, broken(id) FROM t GROUP BY id % 3", "unreachable"),
        ("SELECT percentile(id, 1.5) FROM t", "0 to 1"),
        ("SELECT mean(DISTINCT id), count_nulls(DISTINCT id % 7) FROM t", "select distinct rows first"),
        ("SELECT count_nulls(id) OVER (ORDER BY id ROWS BETWEEN 3 PRECEDING AND CURRENT ROW) FROM t", "retract"),
    ] {
        match run(session.context(), sql).await.unwrap_err() {
            DataFusionError::Execution(error) => assert!(error.contains(expected), "{sql}: {error}"),
            other => panic!("{sql}: {other:?}"),
        }
    }
    let found = run(session.context(), "SELECT mean(id) AS m FROM t").await.unwrap();
    assert!(text(&found).contains("| 999.5 |"), "{}", text(&found));
}

/// Ballista's own nodes for windows have aggregates by their names alone.
#[tokio::test(flavor = "multi_thread")]
async fn windows_in_parallel_are_those_of_one_node_where_no_state_crosses_the_scheduler() {
    let cluster = Cluster::start(2, &[]);
    let single = cluster.single_node().await;
    register_module(&single, "functions", &built("functions-leaking"), ModuleConfig::default()).unwrap();
    let session = cluster.connect(1 << 20).await;
    session.register_module("functions", &built("functions-leaking"), ModuleConfig::default()).await.unwrap();
    run(session.context(), "SET ballista.planner.parallel_window.enabled = true").await.unwrap();
    let sql =
        "SELECT id, mean(id) OVER (ORDER BY id RANGE BETWEEN 30 PRECEDING AND CURRENT ROW) AS m FROM t ORDER BY id";
    let found = text(&run(session.context(), sql).await.unwrap());
    assert_eq!(found, text(&run(&single, sql).await.unwrap()));
    assert!(cluster.scheduler.log().contains("PartitionedBoundedWindowAggExec"), "{}", cluster.scheduler.log());

    let sql = "SELECT id, mean(id) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS m FROM t";
    let error = run(session.context(), sql).await.unwrap_err().to_string();
    assert!(error.contains("a scheduler cannot merge its states for a window from UNBOUNDED PRECEDING"), "{error}");
}

#[test]
fn an_aggregate_that_is_not_as_the_plan_says_is_refused() {
    let bytes = built("functions-leaking");
    let sent = payload_of::<Aggregate>(&bytes, ModuleConfig::default(), "mean", &ModuleStore::default());
    let refused = |change: fn(&mut Payload)| {
        let mut payload = Payload::decode(&sent).unwrap();
        change(&mut payload);
        executor().read::<Aggregate>(&payload.encode().unwrap()).unwrap_err()
    };
    let error = refused(|payload| {
        payload.planning.kind = FunctionKind::Aggregate { state_version: 7, retracts: true };
    });
    assert!(matches!(error, FunctionCodecError::StateVersion { planned: 7, found: 0 | 1, .. }), "{error}");
    let said = error.to_string();
    assert!(
        said.starts_with("`called` was planned with version 7 of its states, and the module `module` has"),
        "{said}"
    );
    let FunctionCodecError::StateVersion { found: state_version, .. } = error else { unreachable!() };

    let mut payload = Payload::decode(&sent).unwrap();
    payload.planning.kind = FunctionKind::Aggregate { state_version, retracts: false };
    let error = executor().read::<Aggregate>(&payload.encode().unwrap()).unwrap_err();
    assert!(matches!(error, FunctionCodecError::Signature { .. }), "{error}");
    let error = refused(|payload| payload.planning.results[0].nullable = false);
    assert!(matches!(error, FunctionCodecError::Signature { .. }), "{error}");
    let error = refused(|payload| payload.function = "tokens".to_owned());
    assert!(matches!(error, FunctionCodecError::Function(_)), "{error}");
    let error = refused(|payload| payload.planning.kind = FunctionKind::Scalar);
    assert!(matches!(error, FunctionCodecError::Payload(_)), "{error}");
    let mut damaged = sent.clone();
    *damaged.last_mut().unwrap() ^= 1;
    assert!(matches!(executor().read::<Aggregate>(&damaged), Err(FunctionCodecError::Payload(_))));

    // In a plan, such an aggregate is there, and its calls fail: what a client learns of.
    let mut stored = Payload::decode(&sent).unwrap();
    stored.module.source = Source::Stored;
    let context = SessionContext::new();
    let udaf = executor().decode_aggregate(&stored.encode().unwrap()).unwrap();
    context.register_udaf(AggregateUDF::clone(&udaf));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for sql in
        ["SELECT called(x) FROM (VALUES (1)) AS t(x)", "SELECT called(x) OVER (ORDER BY x) FROM (VALUES (1)) AS t(x)"]
    {
        let error = runtime.block_on(run(&context, sql)).unwrap_err();
        let is_execution = matches!(error.find_root(), DataFusionError::Execution(_));
        assert!(is_execution && error.to_string().contains("are in an object store"), "{sql}: {error}");
    }
    assert!(executor().decode_aggregate(b"wasmfn").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_physical_plan_aggregates_where_the_function_never_was() {
    let (bytes, store) = (built("functions-leaking"), ModuleStore::default());
    store.put(&bytes).await.unwrap();
    let client = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(3));
    register_module(&client, "functions", &bytes, ModuleConfig::default()).unwrap();
    let codec = guest_ballista::WasmFunctions::new(&crate::codec::engine(), store).physical_codec();
    for sql in [
        "SELECT x % 2 AS g, mean(x) AS m FROM (VALUES (1), (2), (3), (NULL)) AS t(x) GROUP BY x % 2 ORDER BY g",
        "SELECT x, mean(x) OVER (ORDER BY x ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS m FROM (VALUES (1), (2), (3)) AS t(x)",
    ] {
        let plan = client.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
        // The node of queries on one machine does not cross, and its input does.
        let plan = Arc::clone(plan.children()[0]);
        let sent = physical_plan_to_bytes_with_extension_codec(plan, &codec).unwrap();
        let other = SessionContext::new();
        let codec = executor().physical_codec();
        let plan = physical_plan_from_bytes_with_extension_codec(&sent, &other.task_ctx(), &codec).unwrap();
        let found = datafusion::physical_plan::collect(plan, other.task_ctx()).await.unwrap();
        assert_eq!(text(&found), text(&run(&client, sql).await.unwrap()), "{sql}");
    }
}
