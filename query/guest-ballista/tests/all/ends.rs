//! Functions that fail, executors that are killed, and programs that are asked to end.

use datafusion::error::DataFusionError;
use guest_ballista::guest_datafusion::guest_functions::guest_host::InstanceConfig;
use guest_ballista::guest_datafusion::guest_functions::{ModuleConfig, Pristine};
use guest_ballista::guest_datafusion::register_module;

use crate::cluster::{Cluster, executor, run, scheduler, text, wait_until};

/// `picky` traps for one number. `forever` does not end, and `slow` takes a while.
const FUNCTIONS: &str = r#"(module
    (func (export "picky") (param i64) (result i64)
        (if (i64.eq (local.get 0) (i64.const 1234)) (then unreachable))
        (local.get 0))
    (func (export "forever") (param i64) (result i64) (loop (br 0)) (unreachable))
    (func (export "slow") (param i64) (result i64) (local $left i32)
        (local.set $left (i32.const 2000000))
        (loop $again
            (local.set $left (i32.sub (local.get $left) (i32.const 1)))
            (br_if $again (local.get $left)))
        (local.get 0)))"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_named_and_the_next_query_goes_on() {
    let cluster = Cluster::start(2, &["--deadline", "300"]);
    let session = cluster.connect(1 << 20).await;
    let wasm = wat::parse_str(FUNCTIONS).unwrap();
    let forever = InstanceConfig::default().with_deadline(None);
    session.register_module("ends", &wasm, ModuleConfig::default().with_instance(forever)).await.unwrap();
    for (sql, expected) in [
        // The row within its batch: the 1235th of all is in a file of 250.
        ("SELECT picky(id) FROM t", "row 234 of the batch: `picky`"),
        // Not the client's limit, which is none, but the executor's.
        ("SELECT forever(id) FROM t", "the deadline of 300ms passed"),
    ] {
        match run(session.context(), sql).await.unwrap_err() {
            DataFusionError::Execution(error) => assert!(error.contains(expected), "{sql}: {error}"),
            other => panic!("{sql}: {other:?}"),
        }
    }
    let found = run(session.context(), "SELECT sum(picky(id)) AS s FROM t WHERE id < 1000").await.unwrap();
    assert!(text(&found).contains("| 499500 |"), "{}", text(&found));
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_of_instances_is_bounded() {
    let cluster = Cluster::start(1, &["--guest-memory", "1"]);
    let session = cluster.connect(1 << 20).await;
    let wasm = wat::parse_str(r#"(module (memory 40) (func (export "same") (param i64) (result i64) (local.get 0)))"#);
    session.register_module("large", &wasm.unwrap(), ModuleConfig::default()).await.unwrap();
    let error = run(session.context(), "SELECT same(id) FROM t").await.unwrap_err().to_string();
    assert!(error.contains("no memory for the WebAssembly function `same`"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_whose_executor_is_killed_has_the_right_result_or_an_error() {
    let mut cluster = Cluster::start(2, &[]);
    let wasm = wat::parse_str(FUNCTIONS).unwrap();
    let config = || ModuleConfig::default().with_instance(InstanceConfig::default().with_deadline(None));
    let single = cluster.single_node().await;
    register_module(&single, "ends", &wasm, config().with_pristine(Pristine::Never)).unwrap();
    let session = cluster.connect(1 << 20).await;
    session.register_module("ends", &wasm, config()).await.unwrap();

    // The second stage needs what the first one left on both executors.
    const SQL: &str = "SELECT gcd, sum(n) AS s FROM (SELECT id % 10 AS gcd, slow(id) AS n FROM t WHERE id < 1000) GROUP BY gcd ORDER BY gcd";
    let context = session.context().clone();
    let query = tokio::spawn(async move { run(&context, SQL).await });
    tokio::task::block_in_place(|| {
        wait_until("a task", || cluster.executors.iter().all(|executor| executor.compiled() == 1));
    });
    assert!(!query.is_finished());
    cluster.executors[0].kill();
    match query.await.unwrap() {
        Ok(found) => assert_eq!(text(&found), text(&run(&single, SQL).await.unwrap())),
        Err(DataFusionError::Execution(error)) => assert!(error.starts_with("Job "), "{error}"),
        Err(other) => panic!("{other:?}"),
    }

    // The other one goes on.
    let sql = "SELECT sum(picky(id)) AS s FROM t WHERE id < 1000";
    assert!(text(&run(session.context(), sql).await.unwrap()).contains("| 499500 |"));
}

#[test]
fn programs_end_when_they_are_asked_to() {
    let mut cluster = Cluster::start(1, &[]);
    assert!(cluster.executors[0].terminate().success());
    assert!(cluster.scheduler.terminate().success());
}

#[test]
fn programs_tell_their_options_and_what_is_wrong() {
    for (mut command, option) in [(executor(), "--modules"), (scheduler(), "--executor-timeout")] {
        let help = command.arg("--help").output().unwrap();
        assert!(help.status.success() && String::from_utf8(help.stdout).unwrap().contains(option));
    }
    let wrong = executor().args(["--modules", "/no/such/folder"]).output().unwrap();
    let said = String::from_utf8(wrong.stderr).unwrap();
    assert!(!wrong.status.success() && said.contains("/no/such/folder is no folder for modules"), "{said}");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let wrong = executor().args(["--grpc-port", &port]).output().unwrap();
    let said = String::from_utf8(wrong.stderr).unwrap();
    assert!(said.contains(&format!("the port {port} of 127.0.0.1 cannot be used")), "{said}");
    let wrong = scheduler().args(["--port", &port]).output().unwrap();
    let said = String::from_utf8(wrong.stderr).unwrap();
    assert!(said.contains(&format!("the scheduler cannot serve at 127.0.0.1:{port}")), "{said}");
}
