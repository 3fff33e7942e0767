//! The same queries on one node and on executors that never saw the functions.

use std::sync::Arc;

use guest_ballista::guest_datafusion::FolderResolver;
use guest_ballista::guest_datafusion::guest_functions::ModuleConfig;

use crate::cluster::{Cluster, built, compare, run, text};

const QUERIES: [&str; 7] = [
    "SELECT id, levenshtein(a, b) AS d, upper(a) AS u FROM t ORDER BY id",
    "SELECT id FROM t WHERE levenshtein(a, b) > 3 ORDER BY id",
    "SELECT levenshtein(a, 'abba') AS d, count(*) AS n, sum(levenshtein(a, b)) AS s FROM t GROUP BY levenshtein(a, 'abba') ORDER BY d",
    "SELECT id, a FROM t ORDER BY levenshtein(a, 'abba'), id LIMIT 20",
    "SELECT count(*) AS n FROM t AS l JOIN t AS r ON levenshtein(l.a, 'abba') = gcd(r.id, 6) AND l.id = r.id",
    "SELECT d, count(*) AS n FROM (SELECT levenshtein(a, b) AS d, row_number() OVER (PARTITION BY upper(a) ORDER BY id) AS r FROM t) \
     WHERE r < 3 GROUP BY d ORDER BY d",
    "SELECT levenshtein('kitten', 'sitting') AS d, count(*) AS n FROM t WHERE id < (SELECT max(gcd(id, 100)) FROM t)",
];

#[tokio::test(flavor = "multi_thread")]
async fn modules_in_plans_give_what_one_node_gives_and_are_compiled_once() {
    let cluster = Cluster::start(2, &[]);
    assert_eq!(compare(&cluster, 1 << 20, &QUERIES).await, [1, 1]);
    // None was needed.
    assert_eq!(cluster.modules().read_dir().unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn modules_in_an_object_store_give_what_one_node_gives_and_are_compiled_once() {
    let cluster = Cluster::start(2, &[]);
    assert_eq!(compare(&cluster, 0, &QUERIES).await, [1, 1]);
    let stored: Vec<_> = cluster.modules().read_dir().unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(stored.len(), 1);

    // An executor does not take other bytes.
    let other = Cluster::start(1, &[]);
    let session = other.connect(0).await;
    session.register_module("functions", &built("functions-leaking"), ModuleConfig::default()).await.unwrap();
    std::fs::write(other.modules().join(stored[0].file_name().unwrap()), b"something else").unwrap();
    let error = run(session.context(), QUERIES[0]).await.unwrap_err().to_string();
    assert!(error.contains("the object store has other bytes for the module"), "{error}");
    assert_eq!(other.executors[0].compiled(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn create_function_reaches_the_executors() {
    let cluster = Cluster::start(1, &[]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("functions.wasm"), built("functions-leaking")).unwrap();
    // One without signatures: the statement is the declaration, also on the executor.
    let foreign = r#"(module (func (export "twice") (param i64) (result i64) (i64.shl (local.get 0) (i64.const 1))))"#;
    std::fs::write(folder.path().join("numbers.wasm"), wat::parse_str(foreign).unwrap()).unwrap();

    let session = cluster.connect(1 << 20).await;
    session.create_functions(Arc::new(FolderResolver::new(folder.path())), ModuleConfig::default()).unwrap();
    for statement in [
        "CREATE FUNCTION edits() LANGUAGE WASM AS 'functions.wasm#levenshtein'",
        "CREATE FUNCTION doubled(n BIGINT) RETURNS BIGINT STABLE LANGUAGE WASM AS 'numbers.wasm#twice'",
    ] {
        run(session.context(), statement).await.unwrap();
    }
    let found =
        run(session.context(), "SELECT sum(doubled(id)) AS s, max(edits(a, 'abba')) AS e FROM t").await.unwrap();
    // 2000 numbers from 0, doubled.
    assert!(text(&found).contains("| 3998000 | "), "{}", text(&found));

    run(session.context(), "DROP FUNCTION doubled").await.unwrap();
    let error = run(session.context(), "SELECT doubled(id) FROM t").await.unwrap_err().to_string();
    assert!(error.contains("Invalid function 'doubled'"), "{error}");

    for statement in [
        "CREATE FUNCTION average() LANGUAGE WASM AS 'functions.wasm#mean'",
        "CREATE FUNCTION words() LANGUAGE WASM AS 'functions.wasm#tokens'",
    ] {
        run(session.context(), statement).await.unwrap();
    }
    let found = run(session.context(), "SELECT average(id) AS m, (SELECT max(word) FROM words('b a')) AS w FROM t");
    assert!(text(&found.await.unwrap()).contains("| 999.5 | b |"));
}
